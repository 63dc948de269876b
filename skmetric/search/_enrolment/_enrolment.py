"""Enrolment: starting a gallery, and changing what is in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from skmetric._params import fit_context
from skmetric._warning import warn
from skmetric.search._calibration._gathering._copies import leave_items_out
from skmetric.search._calibration._matchers import BY_ITEM
from skmetric.search._gallery._memory import MemoryGallery
from skmetric.search._gallery._metadata import GROUPS, PATH, with_groups, with_paths
from skmetric.search._gallery._new_items import check_targets, check_what_comes_with
from skmetric.search._gallery._server import ServerGallery
from skmetric.search._index._exact import ExactIndex
from skmetric.search._matching._enrolment_quality import (
    names_of,
    outliers,
    some_rows,
    to_classes,
    usual_distances,
    zeros,
)
from skmetric.search._progress import n_batches, told
from skmetric.search._server._shared import SharedIndex

from ._beginning import Beginning

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from skmetric.search._progress import Step

_AROUND = 10  # neighbours of a new item that are looked at
_PAIRS = 3 * 10**7  # of new items with all items, whose search takes about a second


class Enrolment(Beginning):
    """Fitting and enrolment of :class:`SimilaritySearch`."""

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        *,
        ids: ArrayLike | None = None,
        metadata: Mapping[str, Any] | Any = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Start a gallery, after fitting the embedder if it is not fitted.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            What the embedder takes; embeddings, (n_samples, n_features), without one.
        y : array-like of shape (n_samples,), default=None
            Labels: numbers or text.
        ids : array-like of shape (n_samples,), default=None
            An int or a text for each item, all different. None counts from 0.
        metadata : dict of str to array-like, or DataFrame, default=None
            Columns of numbers, booleans, dates (kept to the microsecond) or text, which lookups return. None
            among numbers is kept as NaN and among dates as NaT, which pass no filter. Where `X` is a sequence
            of paths, as an embedder of images takes them, they are kept as a column "path", unless there is
            one.
        groups : array-like of shape (n_samples,), default=None
            Group of each item, such as the camera, the session or the seller, by numbers or text. `calibrate`
            and `evaluate` search each item without the items of its class and its group. They are kept as a
            column "groups" of metadata, which may be given there as well.

        Returns
        -------
        SimilaritySearch
            Fitted.

        Raises
        ------
        ValueError
            On NaN or infinity (rows named), labels, ids or a column of mixed types, ids that come twice,
            items without a group, or lengths that differ; of these all but the first before the embedder
            works.
        """
        metadata = with_groups(with_paths(metadata, X), groups, X)
        if self.embedder is not None:  # what is wrong with these is said before an embedder works
            check_what_comes_with(X, y, ids, metadata)
        started = object.__new__(type(self))  # aside: a fit that is cut short leaves the search as it was
        with told(self, "fit", X, y, n_batches(self, X) + 2) as step:
            started.__dict__.update(self.__dict__)
            started._start(X, y, ids, metadata, step)
            self.__dict__ = started.__dict__
        return self

    def _start(self, X: Any, y: Any, ids: Any, metadata: Any, step: Step) -> None:
        """Fit the embedder, and begin the gallery."""
        index = ExactIndex() if self.index is None else clone(self.index)
        kind = ServerGallery.start if isinstance(index, SharedIndex) else MemoryGallery
        embeddings, kept = self._embed_first(X, y, isinstance(index, SharedIndex), step)
        labels = check_targets(y, len(embeddings))
        with step("enrol"):
            gallery = kind(index, embeddings, ids, labels, metadata, **kept)
        self._gallery, self.n_components_ = gallery, embeddings.shape[1]
        self._refit_key = len(embeddings) if kept else 0
        self._know_embedder()
        self._forget_calibration()
        self._say_doubts(embeddings, labels, ids)
        if labels is not None:
            self.no_match_label_ = self._choose_no_match_label(labels)

    @fit_context(prefer_skip_nested_validation=False)
    def partial_fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        *,
        ids: ArrayLike | None = None,
        metadata: Mapping[str, Any] | Any = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Enrol more items, of old classes or new ones; nothing is retrained. The first call is `fit`.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            As in `fit`.
        y : array-like of shape (n_samples,), default=None
            Labels, if `fit` had some.
        classes : array-like, default=None
            Ignored; here for scikit-learn's signature.
        ids : array-like of shape (n_samples,), default=None
            Ids, if `fit` had some; not in use yet.
        metadata : dict of str to array-like, or DataFrame, default=None
            The same columns as in `fit`; "path" comes from `X` as it did there.
        groups : array-like of shape (n_samples,), default=None
            Groups, if `fit` had some.

        Returns
        -------
        SimilaritySearch
            With more items, searchable at once; with none of them if an error is raised. A warning names
            items whose embedding is zero and, in memory and once calibrated, those that are nearer to another
            class than to their own or farther from it than any item was at calibration. Of many new items
            every second, third or nth is looked at, as many as a second or so allows.

        Raises
        ------
        ValueError
            As `fit`; or if ids are in use, columns differ, or the embedder's output changed its dimension.
        """
        if not hasattr(self, "_gallery"):
            return self.fit(X, y, ids=ids, metadata=metadata, groups=groups)
        self._drop_factors_left()
        embeddings, labels, metadata, kept = self._new_items(X, y, metadata, groups)
        if labels is not None and self._gallery.has_labels:
            self._check_no_match_label(self.no_match_label_, labels)
        self._gallery.add(embeddings, ids, labels, metadata, **kept)
        self._say_doubts(embeddings, labels, ids)
        self._warn_if_grown()
        return self

    def remove(self, ids: Any) -> Self:
        """Take items out of the gallery.

        Parameters
        ----------
        ids : int, str or array-like of them
            Ids to remove.

        Returns
        -------
        SimilaritySearch
            Without them.

        Raises
        ------
        KeyError
            If an id is unknown; then nothing is removed.
        """
        check_is_fitted(self)
        self._gallery.remove(ids)
        self._drop_factors_of_absent_classes()
        return self

    def update(
        self,
        ids: Any,
        X: Any = None,
        y: ArrayLike | None = None,
        *,
        metadata: Mapping[str, Any] | Any = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Replace items, which move to the end of the gallery, or some of their metadata alone.

        Parameters
        ----------
        ids : array-like of shape (n_samples,)
            Ids of items in the gallery.
        X : array-like of shape (n_samples, ...), default=None
            As in `fit`. None keeps embeddings, labels and places, and replaces the columns of `metadata`.
        y : array-like of shape (n_samples,), default=None
            Labels, if `fit` had some; only with `X`.
        metadata : dict of str to array-like, or DataFrame, default=None
            With `X` the same columns as in `fit`; "path" comes from `X` as it did there. Without `X` one or
            more of them.
        groups : array-like of shape (n_samples,), default=None
            Groups, if `fit` had some; without `X` they replace the groups of the items.

        Returns
        -------
        SimilaritySearch
            With these items replaced; unchanged if an error is raised.

        Raises
        ------
        KeyError
            If an id is unknown.
        ValueError
            As `partial_fit`.
        """
        check_is_fitted(self)
        if X is None:
            if y is not None or (metadata is None and groups is None):
                raise ValueError("without X only metadata can be replaced: give metadata=, or X and y")
            if groups is not None:
                metadata = with_groups(metadata, groups, ids, self._gallery.has_column(GROUPS))
            self._gallery.redescribe(ids, metadata)
            return self
        self._drop_factors_left()
        embeddings, labels, metadata, kept = self._new_items(X, y, metadata, groups)
        if labels is not None and self._gallery.has_labels:
            self._check_no_match_label(self.no_match_label_, labels)
        self._gallery.update(ids, embeddings, labels, metadata, **kept)
        self._say_doubts(embeddings, labels, ids)
        self._drop_factors_of_absent_classes()
        self._warn_if_grown()
        return self

    def upsert(
        self,
        ids: Any,
        X: Any,
        y: ArrayLike | None = None,
        *,
        metadata: Mapping[str, Any] | Any = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Enrol items, or replace those whose ids are in the gallery; in memory these move to the end.

        Parameters
        ----------
        ids : array-like of shape (n_samples,)
            An id for each item, all different, of the kind that `fit` was given. Where `fit` had no `ids`, a
            ValueError says so.
        X : array-like of shape (n_samples, ...)
            As in `fit`.
        y : array-like of shape (n_samples,), default=None
            Labels, if `fit` had some.
        metadata : dict of str to array-like, or DataFrame, default=None
            The same columns as in `fit`; "path" comes from `X` as it did there.
        groups : array-like of shape (n_samples,), default=None
            Groups, if `fit` had some.

        Returns
        -------
        SimilaritySearch
            With these items; unchanged if an error is raised. The first call is `fit`.

        Raises
        ------
        ValueError
            As `partial_fit`, but that ids may be in use.

        Examples
        --------
        >>> from skmetric.search import SimilaritySearch
        >>> search = SimilaritySearch().fit([[0.0], [1.0]], ["ant", "bee"], ids=["a", "b"])
        >>> search.upsert(["b", "c"], [[5.0], [6.0]], ["wasp", "fly"]).ids_.tolist()
        ['a', 'b', 'c']
        """
        if not hasattr(self, "_gallery"):
            return self.fit(X, y, ids=ids, metadata=metadata, groups=groups)
        self._drop_factors_left()
        embeddings, labels, metadata, kept = self._new_items(X, y, metadata, groups)
        if labels is not None and self._gallery.has_labels:
            self._check_no_match_label(self.no_match_label_, labels)
        self._gallery.upsert(ids, embeddings, labels, metadata, **kept)
        self._say_doubts(embeddings, labels, ids)
        self._drop_factors_of_absent_classes()
        self._warn_if_grown()
        return self

    def _say_doubts(self, embeddings: NDArray[Any], labels: NDArray[Any] | None, ids: Any) -> None:
        """Warn of new items whose embedding is zero, or, once calibrated, that are far from their class."""
        names = names_of(ids, len(embeddings))
        if said := zeros(embeddings, names, self.embedder_ is not None):
            warn(said)
        gallery, matcher = self._gallery, self._matcher()
        if labels is None or not isinstance(gallery, MemoryGallery) or not isinstance(matcher, BY_ITEM):
            return
        if self.cutpoint_ is None or self._is_stale or self.calibration_.protocol == "pairs":
            return
        with gallery.reading():
            (column, counts), true = gallery.tally(), gallery.labels.encode(labels)
            if (true < 0).any():  # another thread has removed them
                return
            n_before = (counts - np.bincount(true, minlength=len(counts)))[true]
            rows = some_rows(len(embeddings), _PAIRS // len(gallery))
            names, labels, true, n_before = names[rows], labels[rows], true[rows], n_before[rows]
            found = gallery.labelled(embeddings[rows], _AROUND + 1)
        distances, codes, *_ = leave_items_out(found.distances, found.codes, true, _AROUND)
        own, other, others = to_classes(distances, codes, true)
        own[counts[true] < 2] = np.nan  # there is no other item of the class
        seen = np.where(np.isfinite(distances), distances, 0.0).max(axis=1)
        factors = [self._factors().get(label, 1.0) for label in labels.tolist()]
        limits, usual = self._threshold() * np.array(factors), usual_distances(self.calibration_)
        others = column.decode(others)
        if said := outliers(names, labels, own, other, others, seen, limits, usual, n_before):
            warn(said)

    def _new_items(
        self, X: Any, y: Any, metadata: Any, groups: Any
    ) -> tuple[NDArray[Any], NDArray[Any] | None, Any, dict[str, NDArray[Any]]]:
        """Embeddings, labels and metadata of items to enrol, and what else the gallery keeps of them.

        Paths are kept if those at fit were.
        """
        metadata = with_groups(metadata, groups, X, self._gallery.has_column(GROUPS))
        with told(self, "enrol", X, y, n_batches(self, X)) as step:
            embeddings, kept = self._embed_kept(X, step)
        if self._gallery.has_column(PATH):
            metadata = with_paths(metadata, X)
        return embeddings, check_targets(y, len(embeddings)), metadata, kept
