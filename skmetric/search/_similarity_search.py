"""Look up, match, turn away, enrol: one estimator over an embedder and an index."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

from sklearn.base import clone
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from skmetric._params import HasMethods, Interval, StrOptions, fit_context

from ._calibration._matchers import MATCHERS
from ._cleaning import Cleaning
from ._gallery._labels import check_y
from ._gallery._layout import check_user_ids
from ._gallery._memory import MemoryGallery
from ._gallery._metadata import PATH, check_metadata, with_paths
from ._gallery._server import ServerGallery
from ._index._exact import ExactIndex
from ._index._index import Index
from ._lookups import Lookups
from ._opening import Opening
from ._ranking._k_reciprocal import KReciprocal
from ._ranking._neighbor_average import NeighborAverage
from ._recognition import Recognition
from ._server._shared import SharedIndex

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    pass


class SimilaritySearch(Recognition, Lookups, Cleaning, Opening):
    """Search a gallery by learned distance, recognise its classes, and turn strangers away.

    The gallery is filled by `fit` and changed by `partial_fit`, `update` and `remove`, with nothing
    retrained. Labels are optional: without them items can be looked up and not predicted. `predict` is
    nearest-neighbour classification until `calibrate` sets a threshold; after that a query that is farther
    from its match is given the no-match label.

    Parameters
    ----------
    embedder : transformer or pipeline, default=None
        Maps samples to embeddings; with None the samples are embeddings already. A fitted embedder, as
        :func:`~sklearn.utils.validation.check_is_fitted` tells, is used as it is; otherwise `fit` clones it
        and fits the clone on `X` and `y`. The last step of a pipeline is left out if it has no
        ``transform``, such as k-NN; of a fitted grid search the ``best_estimator_`` is used. ``clone``, and
        so a grid search, makes an embedder unfitted: wrap it in :class:`~sklearn.frozen.FrozenEstimator` to
        keep it.
    index : Index, default=None
        Where embeddings are kept and searched; cloned by `fit`. None means :class:`ExactIndex`.
    n_neighbors : int, default=5
        Number of neighbours that lookups return and that vote. If the gallery has fewer items, all of them
        are used.
    matcher : {"nearest", "majority", "distance", "center", "ratio"} or matcher, default="nearest"
        From neighbours to a class and the distance to compare with the threshold: the nearest item;
        the most frequent class; a vote by inverse distance; the nearest class centre, also
        :class:`ClassCenters` with several; the nearest item at the ratio to the nearest of another class.
        Votes are thresholded on the distance of the winner's own nearest item.
    no_match_label : label, default=None
        What `predict` gives to strangers. None means -1 where labels are numbers and "unknown" where they
        are text. It must not be a class of the gallery.
    rerank : KReciprocal, default=None
        Re-ranking of the results of `kneighbors`, `lookup` and `kneighbors_graph`, which then have the
        distances of the re-ranking. The three ranking options need the gallery in memory. They change no
        match, threshold or calibration, which use the Euclidean distance. With ``where=`` they act on the
        items that pass, as if there were no others; each time that the filter changes, these items are
        searched among each other.
    query_expansion : NeighborAverage, default=None
        Replaces each query of these methods by a mean of the query and its neighbours.
    augment_gallery : NeighborAverage, default=None
        Replaces each item that these methods search by a mean of the item and its neighbours.

    Attributes
    ----------
    embedder_ : transformer or None
        The fitted embedder.
    index_ : Index
        The embeddings. Another object after each change of a gallery in memory.
    classes_ : ndarray of shape (n_classes,)
        Labels that have an item in the gallery, sorted.
    labels_ : ndarray of shape (n_items,), or None
        Label of each item, in the order of enrolment.
    ids_ : ndarray of shape (n_items,)
        Ids, in the order of enrolment, to which the rows that `kneighbors` returns refer.
    calibration_ : Calibration
        After `calibrate`.
    cutpoint_ : str or None
        Name of the cutpoint in use.
    no_match_label_ : label
        What `predict` gives to strangers.
    n_components_ : int
        Dimension of the embeddings.
    n_features_in_ : int
        Number of features seen during fit, where the embedder says it.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features, without an embedder and where `X` had string names.

    See Also
    --------
    sklearn.neighbors.KNeighborsClassifier : Neighbours vote; every query is accepted.
    skmetric.MetricLearner : An embedder.

    Notes
    -----
    Changes of a gallery in memory are all or nothing, whatever cuts them short: an error, Ctrl-C, a time limit.
    So are pickles and copies made while another thread enrols. `remove` leaves no label, id or metadata of an
    item behind, and no name of a class that has lost its last item.

    Threads may search a gallery in memory while others enrol, update and remove: `kneighbors`, `lookup`,
    `radius_neighbors`, `predict`, `decision_function`, `duplicates`, `outliers` and `save` see it before a
    change or after it, and the embedder works while others search. After a removal, rows that `kneighbors`
    returned before belong to other items: use the ids of `lookup`. `fit`, `calibrate`, `evaluate`,
    `set_cutpoint` and `set_params` must not run beside other calls.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmetric import MetricLearner
    >>> from skmetric.search import SimilaritySearch
    >>> X, y = load_digits(return_X_y=True)
    >>> learner = MetricLearner(random_state=0).fit(X[y < 4], y[y < 4])
    >>> known = (y >= 4) & (y < 8)
    >>> search = SimilaritySearch(learner).fit(X[known][::2], y[known][::2])
    >>> calibration = search.calibrate()
    >>> bool(search.score(X[known][1::2], y[known][1::2]) > 0.8)
    True
    >>> strangers = search.predict(X[y >= 8])
    >>> bool((strangers == -1).mean() > 0.5)
    True
    >>> search.partial_fit(X[y == 8][:20], y[y == 8][:20]).classes_
    array([4, 5, 6, 7, 8])
    """

    _parameter_constraints = {
        "embedder": [HasMethods("fit"), HasMethods("transform"), None],
        "index": [Index, None],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "matcher": [StrOptions(set(MATCHERS)), HasMethods("match"), HasMethods("prototypes")],
        "no_match_label": "no_validation",
        "rerank": [HasMethods(["encode", "rerank"]), None],
        "query_expansion": [NeighborAverage, None],
        "augment_gallery": [NeighborAverage, None],
    }

    def __init__(
        self,
        embedder: Any = None,
        index: Index | None = None,
        n_neighbors: int = 5,
        matcher: Any = "nearest",
        no_match_label: Any = None,
        *,
        rerank: KReciprocal | None = None,
        query_expansion: NeighborAverage | None = None,
        augment_gallery: NeighborAverage | None = None,
    ) -> None:
        self.embedder = embedder
        self.index = index
        self.n_neighbors = n_neighbors
        self.matcher = matcher
        self.no_match_label = no_match_label
        self.rerank = rerank
        self.query_expansion = query_expansion
        self.augment_gallery = augment_gallery

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        *,
        ids: ArrayLike | None = None,
        metadata: Mapping[str, Any] | Any = None,
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

        Returns
        -------
        SimilaritySearch
            Fitted.

        Raises
        ------
        ValueError
            On NaN or infinity (rows named), labels, ids or a column of mixed types, ids that come twice, or
            lengths that differ; of these all but the first before the embedder works.
        """
        metadata = with_paths(metadata, X)
        if self.embedder is not None:  # what is wrong with these is said before an embedder works
            _check_what_comes_with(X, y, ids, metadata)
        started = object.__new__(type(self))  # aside: a fit that is cut short leaves the search as it was
        started.__dict__.update(self.__dict__)
        started._start(X, y, ids, metadata)
        self.__dict__ = started.__dict__
        return self

    def _start(self, X: Any, y: Any, ids: Any, metadata: Any) -> None:
        """Fit the embedder, and begin the gallery."""
        self.embedder_ = self._fitted_embedder(X, y)
        embeddings = self._embed(X, reset=True)
        labels = _check_targets(y, len(embeddings))
        index = ExactIndex() if self.index is None else clone(self.index)
        kind = ServerGallery.start if isinstance(index, SharedIndex) else MemoryGallery
        gallery = kind(index, embeddings, ids, labels, metadata)
        self._gallery, self.n_components_ = gallery, embeddings.shape[1]
        self._forget_calibration()
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

        Returns
        -------
        SimilaritySearch
            With more items, searchable at once; with none of them if an error is raised.

        Raises
        ------
        ValueError
            As `fit`; or if ids are in use, columns differ, or the embedder's output changed its dimension.
        """
        if not hasattr(self, "_gallery"):
            return self.fit(X, y, ids=ids, metadata=metadata)
        self._drop_factors_left()
        embeddings, labels, metadata = self._new_items(X, y, metadata)
        if labels is not None and self._gallery.has_labels:
            self._check_no_match_label(self.no_match_label_, labels)
        self._gallery.add(embeddings, ids, labels, metadata)
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
        self, ids: Any, X: Any = None, y: ArrayLike | None = None, *, metadata: Mapping[str, Any] | Any = None
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
            if y is not None or metadata is None:
                raise ValueError("without X only metadata can be replaced: give metadata=, or X and y")
            self._gallery.redescribe(ids, metadata)
            return self
        self._drop_factors_left()
        embeddings, labels, metadata = self._new_items(X, y, metadata)
        if labels is not None and self._gallery.has_labels:
            self._check_no_match_label(self.no_match_label_, labels)
        self._gallery.update(ids, embeddings, labels, metadata)
        self._drop_factors_of_absent_classes()
        self._warn_if_grown()
        return self

    def upsert(
        self, ids: Any, X: Any, y: ArrayLike | None = None, *, metadata: Mapping[str, Any] | Any = None
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
            return self.fit(X, y, ids=ids, metadata=metadata)
        self._drop_factors_left()
        embeddings, labels, metadata = self._new_items(X, y, metadata)
        if labels is not None and self._gallery.has_labels:
            self._check_no_match_label(self.no_match_label_, labels)
        self._gallery.upsert(ids, embeddings, labels, metadata)
        self._drop_factors_of_absent_classes()
        self._warn_if_grown()
        return self

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_gallery")

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        """Parameters, as scikit-learn prints them; once fitted a second line: items, classes, calibration."""
        parameters = super().__repr__(N_CHAR_MAX)
        return f"{parameters}\n{self._state()}" if self.__sklearn_is_fitted__() else parameters

    def _state(self) -> str:
        """Items and classes of the gallery, and the threshold in use; no server is asked."""
        sizes = self._gallery.known_sizes()
        if sizes is None:
            gallery = f"gallery of {type(self.index_).__name__}"
        else:
            gallery = _many(sizes[0], "item", "items")
            if self._gallery.has_labels:
                gallery += f" in {_many(sizes[1], 'class', 'classes')}"
        if not self._gallery.has_labels and not hasattr(self, "calibration_"):
            return f"# {gallery}, without labels"
        if self.cutpoint_ is None:
            calibrated = "calibrated" if hasattr(self, "calibration_") else "not calibrated"
            return f"# {gallery}, {calibrated}: every query is accepted"
        return (
            f"# {gallery}, calibrated: accepts distances up to {self._threshold():.4g} ({self.cutpoint_!r})"
        )

    def _new_items(self, X: Any, y: Any, metadata: Any) -> tuple[NDArray[Any], NDArray[Any] | None, Any]:
        """Embeddings, labels and metadata of items to enrol, whose paths are kept if those at fit were."""
        embeddings = self._embed(X)
        if self._gallery.has_column(PATH):
            metadata = with_paths(metadata, X)
        return embeddings, _check_targets(y, len(embeddings)), metadata


def _many(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"


def _check_targets(y: Any, n_samples: int) -> NDArray[Any] | None:
    labels = check_y(y, n_samples)
    if labels is None:
        return None
    if labels.dtype.kind not in "biuUS" and not isinstance(labels[0], str):
        check_classification_targets(labels)  # of others it would only say that classes of one item are many
    return labels


def _check_what_comes_with(X: Any, y: Any, ids: Any, metadata: Any) -> None:
    """Refuse labels, ids and metadata that do not go with samples, where these can be counted."""
    n_items = X.shape[0] if getattr(X, "shape", ()) else len(X) if hasattr(X, "__len__") else 0
    if not n_items:  # the embedder says what is wrong with samples
        return
    _check_targets(y, n_items)
    if ids is not None:
        check_user_ids(ids, n_items)
    check_metadata(metadata, n_items)
