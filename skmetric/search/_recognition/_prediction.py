"""Prediction: the class of a query's match, turned away beyond the threshold, and scores of all classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skmetric._checks import check_labels, join_labels
from skmetric._input._groups import check_groups
from skmetric._input._weights import check_weights
from skmetric._warning import warn
from skmetric.retrieval import nearest
from skmetric.search._asked._excluded import Excluded
from skmetric.search._asked._filters import by_filter, check_number, is_list
from skmetric.search._base import SearchBase
from skmetric.search._calibration._gathering._copies import find_themselves
from skmetric.search._calibration._matchers import MATCHERS, Match
from skmetric.search._calibration._scoring._probability import probability_at
from skmetric.search._calibration._scoring._rule import rule_of
from skmetric.search._columns._not import Not
from skmetric.search._columns._types import concatenated
from skmetric.search._gallery._labels import refuse_several
from skmetric.search._gallery._metadata import GROUPS
from skmetric.search._gallery._selection import selection
from skmetric.search._matching._class_distances import (
    ByClass,
    nearest_of_classes,
    nearest_prototypes,
    votes_of_classes,
    with_winner,
)
from skmetric.search._matching._runners_up import DEPTH, ClassSearch, to_another
from skmetric.search._matching._without import SearchWithout
from skmetric.search._progress import n_samples

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from skmetric.search._asked._filters import Where
    from skmetric.search._gallery._labels import LabelColumn
    from skmetric.search._gallery._memory import MemoryGallery


def _takes_votes(search: Prediction) -> bool:
    """Whether the matcher takes votes, which have shares."""
    matcher = search.matcher
    return hasattr(MATCHERS.get(matcher) if isinstance(matcher, str) else matcher, "votes")


class Prediction(SearchBase):
    """Predictions of :class:`SimilaritySearch`."""

    def predict(
        self,
        X: ArrayLike,
        *,
        where: Where = None,
        among: Any = None,
        exclude: Any = None,
        groups: ArrayLike | None = None,
    ) -> NDArray[Any]:
        """Class of the match of each query; the no-match label where that is farther than the cutpoint.

        Parameters
        ----------
        X : array-like of shape (n_queries, ...)
            What the embedder takes.
        where : dict of str to value, list, slice, None or Not, or list of dict, default=None
            Only items whose metadata hold these values are matched, as in `lookup`; a list has a filter for
            each query; None matches to all. The threshold is that of the whole gallery: among fewer items
            fewer strangers are accepted.
        among : array-like of ids, default=None
            Only the items with these ids are matched; a KeyError if one is unknown.
        exclude : array-like of ids, or list of them, default=None
            Items that are not matched: ids for all queries, or a list of ids, or None, for each query, such
            as the item that the query is. A KeyError if one is unknown.
        groups : array-like of shape (n_queries,), default=None
            Groups of the queries, where the items have groups. The class of a query is not known, so that all
            items of its group are left out, of all classes: strangers are accepted less often than
            `calibrate` says.

        Returns
        -------
        ndarray of shape (n_queries,)
            Labels of the gallery, ``no_match_label_``, or ``review_label_`` if `set_cutpoint` was given a
            second cutpoint. Before `calibrate` every query is accepted.

        Raises
        ------
        ValueError
            If the gallery has no labels or no items, no item passes `where`, `exclude` leaves a query none or
            has not one list for each query, or `groups` do not fit.
        """
        check_is_fitted(self)
        return self._predict(X, where, among, groups, exclude)[0]

    def _predict(
        self,
        X: ArrayLike,
        where: Where = None,
        among: Any = None,
        groups: ArrayLike | None = None,
        exclude: Any = None,
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float64]]:
        """What `predict` gives, and the label and distance of the match before any is refused."""
        rule = self._rule()
        counts_runner_up = bool(rule.weight) and self.cutpoint_ is not None
        where = self._outside(groups, where, X)
        names, distances, runners_up = self._match_all("predict", X, where, among, exclude, counts_runner_up)
        if self.cutpoint_ is None:
            self._say_that_all_are_accepted()
        accepted = rule.accepts(distances, names, runners_up)
        if self.review_cutpoint_ is None:
            return _with_label(names, ~accepted, self.no_match_label_), names, distances
        rule = rule_of(self.calibration_, self.review_cutpoint_, self._matcher())
        is_possible = rule.accepts(distances, names, runners_up)
        predicted = _with_label(names, ~accepted & ~is_possible, self.no_match_label_)
        return _with_label(predicted, ~accepted & is_possible, self.review_label_), names, distances

    def match_probability(
        self,
        X: ArrayLike,
        *,
        where: Where = None,
        among: Any = None,
        exclude: Any = None,
        groups: ArrayLike | None = None,
    ) -> NDArray[np.float64]:
        """Probability that the match of each query is right: that the query is of the class it is matched to.

        The match is the class that `predict` gives if it refuses nobody.

        Parameters
        ----------
        X : array-like of shape (n_queries, ...)
            What the embedder takes.
        where : dict of str to value, list, slice, None or Not, or list of dict, default=None
            As for `predict`.
        among : array-like of ids, default=None
            As for `predict`.
        exclude : array-like of ids, or list of them, default=None
            As for `predict`.
        groups : array-like of shape (n_queries,), default=None
            As for `predict`.

        Returns
        -------
        ndarray of shape (n_queries,)
            In [0, 1]. The smaller the score of the match, the larger the probability, or it is the same.

        Raises
        ------
        ValueError
            As `predict`; or if there is no calibration of the open protocol that had known queries.

        Notes
        -----
        A logistic function of the score, fitted by `calibrate` on its evidence (Platt scaling). As in the
        precision of the calibration, a query is as likely a stranger as of a class in the gallery: where
        strangers are rarer, matches are right more often.
        """
        check_is_fitted(self)
        fitted = self.calibration_.probability if hasattr(self, "calibration_") else {}
        if not fitted:
            raise ValueError(
                "match_probability needs a calibration with known queries and strangers: call calibrate() "
                "first, with protocol='open', and two items of some classes"
            )
        self._warn_if_stale()
        rule = rule_of(self.calibration_, self.cutpoint_ or "optimal", self._matcher())
        where = self._outside(groups, where, X)
        found = self._match_all("match_probability", X, where, among, exclude, bool(rule.weight))
        names, distances, runners_up = found
        return probability_at(fitted, rule.scores(distances, names, runners_up))

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Score of each class for each query: larger is better.

        Minus the distance to the nearest item, or centre, of the class; the share of the votes where the
        matcher takes votes. The threshold of `calibrate` plays no part.

        Parameters
        ----------
        X : array-like of shape (n_queries, ...)
            What the embedder takes.

        Returns
        -------
        ndarray of shape (n_queries, n_classes), or (n_queries,) with two classes
            Columns as in ``classes_``; with two, the second minus the first.
        """
        check_is_fitted(self)
        embeddings = self._embed(X)
        with self._gallery.reading():
            return self._decide(embeddings)

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Share of the queries to which `predict` gives their own label: the accuracy.

        As the score of any classifier on its own training data, that of items of the gallery is no estimate:
        each finds itself. If more than 5 % of the queries do, there is a warning; `evaluate` leaves them out
        of their own search.

        Parameters
        ----------
        X : array-like of shape (n_queries, ...)
            What the embedder takes.
        y : array-like of shape (n_queries,)
            Their labels, of any kind that `fit` takes; ``no_match_label_`` for strangers.
        sample_weight : array-like of shape (n_queries,), default=None
            Weight of each query, from 0.

        Returns
        -------
        float
            In [0, 1].

        Raises
        ------
        ValueError
            As `predict`; or if labels or weights do not fit.
        """
        check_is_fitted(self)
        refuse_several(y)
        predicted, names, distances = self._predict(X)
        y = check_labels(y, len(predicted))  # Python compares, so that large integers are exact
        is_right, is_own = (
            np.array([ours == own for ours, own in zip(given.tolist(), y.tolist(), strict=True)])
            for given in (predicted, names)
        )
        if said := find_themselves(is_own & (distances == 0)):
            warn(said)
        if sample_weight is not None:
            sample_weight = check_weights(sample_weight, len(predicted), "queries")
            if not np.any(sample_weight):
                raise ValueError("sample_weight is 0 for all queries: give one of them more")
        return float(np.average(is_right, weights=sample_weight))

    @available_if(_takes_votes)
    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Share of the votes of each class, where the matcher takes votes: "majority" and "distance".

        The threshold of `calibrate` plays no part. The largest share is that of the class that `predict`
        gives before `calibrate`: where votes are equal, that class has the smallest possible amount more.

        Parameters
        ----------
        X : array-like of shape (n_queries, ...)
            What the embedder takes.

        Returns
        -------
        ndarray of shape (n_queries, n_classes)
            Columns as in ``classes_``; each row sums to 1.
        """
        check_is_fitted(self)
        embeddings = self._embed(X)
        with self._gallery.reading():
            return self._vote(embeddings, self._labelled_gallery("predict_proba"))

    def _decide(self, embeddings: NDArray[Any]) -> NDArray[np.float64]:
        gallery = self._labelled_gallery("decision_function")
        if _takes_votes(self):
            decision = self._vote(embeddings, gallery)
        else:
            decision = self._compare(embeddings, gallery)
        return decision[:, 1] - decision[:, 0] if decision.shape[1] == 2 else decision

    def _vote(self, embeddings: NDArray[Any], gallery: MemoryGallery) -> NDArray[np.float64]:
        """Shares of the votes, (n_queries, n_classes)."""
        matcher = self._matcher()
        found = gallery.up_to(embeddings, matcher.depth(self.n_neighbors))
        codes, present = gallery.labels.codes.values[found.indices], gallery.labels.present
        votes = matcher.votes(found.distances)
        shares = votes_of_classes(votes, codes, present)
        match = matcher.match(found.distances, codes)
        return with_winner(shares, (match.codes[:, None] == present).argmax(axis=1))

    def _compare(self, embeddings: NDArray[Any], gallery: MemoryGallery) -> NDArray[np.float64]:
        """Minus the distances to the nearest item or prototype of each class, (n_queries, n_classes)."""
        present = gallery.labels.present
        if hasattr(self._matcher(), "prototypes"):
            side = self._prototypes(gallery)
            by_class = ByClass.of(side.codes, present)
            distances, places = nearest_prototypes(embeddings, side.embeddings, by_class)
            return with_winner(-distances, (side.codes[places][:, None] == present).argmax(axis=1))
        made = gallery.made
        if made.by_class is None:
            made.by_class = ByClass.of(gallery.labels.codes.values, present)
        distances, rows = nearest_of_classes(embeddings, gallery.searchable(), made.by_class)
        is_nearest = distances == distances.min(axis=1, keepdims=True)
        return with_winner(-distances, np.where(is_nearest, rows, rows.max() + 1).argmin(axis=1))

    def _match_all(
        self, task: str, X: Any, where: Where, among: Any, exclude: Any, counts_runner_up: bool
    ) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.float64] | None]:
        """As `_matched`, of all samples, batch by batch where callbacks are told."""

        def match(X: Any, where: Where) -> tuple[Any, ...]:
            return self._matched(self._embed(X), where, among, exclude, counts_runner_up)

        is_one = exclude is not None
        parts = [part for _, part in self._by_batches(task, X, where, match, is_one)]
        if len(parts) == 1:
            return parts[0]  # type: ignore[return-value]
        names, distances, runners_up = zip(*parts, strict=True)
        others = None if runners_up[0] is None else np.concatenate(runners_up)
        return concatenated(list(names)), np.concatenate(distances), others

    def _outside(self, groups: Any, where: Where, X: Any) -> Where:
        """Filters of queries with the groups of the queries left out."""
        if groups is None:
            return where
        if not self._gallery.has_column(GROUPS):
            raise ValueError("groups= needs the groups of the items too: fit with groups")
        if hasattr(self._matcher(), "prototypes"):
            raise ValueError(
                f"groups= leaves out items, and matcher={self.matcher!r} matches to prototypes of whole "
                "classes: use another matcher"
            )
        n_queries = n_samples(X) or len(X)
        values = check_groups(groups, n_queries).tolist()
        try:
            self._gallery.conditions({GROUPS: Not(values[0])} if values else None)
        except ValueError as error:
            raise ValueError(f"groups= are of another type than the groups of the items: {error}") from None
        check_number(where, n_queries)
        filters: list[Any] = list(where) if is_list(where) else [where] * n_queries  # type: ignore[arg-type]
        if any(GROUPS in (filter_ or {}) for filter_ in filters):
            raise ValueError(f"where has a condition on {GROUPS!r}, and groups= is another: give one of them")
        return [{**(part or {}), GROUPS: Not(value)} for part, value in zip(filters, values, strict=True)]

    def _matched(
        self, embeddings: NDArray[Any], where: Where, among: Any, exclude: Any, counts_runner_up: bool
    ) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.float64] | None]:
        """The label and the distance that each embedding is matched to, and the distance to the runner-up."""
        if exclude is None and not is_list(where):
            match, runners_up, labels = self._match(embeddings, selection(where, among), counts_runner_up)
            return labels.decode(match.codes), match.distances, runners_up
        with self._gallery.reading():
            parts = by_filter(self._gallery, where, among, len(embeddings))
            if exclude is None:
                found = [self._match(embeddings[rows], filter_, counts_runner_up) for rows, filter_ in parts]
            else:
                out, matcher = self._excluded(exclude, len(embeddings)), self._matcher()
                depth = None if counts_runner_up else matcher.depth(self.n_neighbors)
                search = SearchWithout(self._gallery, matcher, out, depth)
                found = [search.match(embeddings, part) for part in parts]
        order = np.argsort(np.concatenate([part.rows for part in parts]))
        names = [labels.decode(match.codes) for match, _, labels in found]
        nearest_other = [runners_up for _, runners_up, _ in found if runners_up is not None]
        return (
            concatenated(names)[order],
            np.concatenate([match.distances for match, _, _ in found])[order],
            np.concatenate(nearest_other)[order] if nearest_other else None,
        )

    def _match(
        self, embeddings: NDArray[Any], where: Any = None, counts_runner_up: bool = False
    ) -> tuple[Match, NDArray[np.float64] | None, LabelColumn]:
        """The class, as a code, and the distance that each embedding is matched to; labels decode it.

        Between them the distance to the runner-up, where it counts.
        """
        self._check_labelled("predict")
        matcher = self._matcher()
        if hasattr(matcher, "prototypes"):
            if where is not None:
                raise ValueError(
                    "where= and among= filter items, and matcher='center' matches to the centres of whole "
                    "classes: use another matcher, or a gallery of the items that pass"
                )
            return self._match_to_prototypes(embeddings, counts_runner_up)
        if not counts_runner_up:
            found = self._gallery.labelled(embeddings, matcher.depth(self.n_neighbors), where)
            return matcher.match(found.distances, found.codes), None, found.labels
        with self._gallery.reading():
            found = self._gallery.labelled(embeddings, DEPTH, where)
            runners_up = ClassSearch(self._gallery, embeddings, where).runners_up(found)
        return matcher.match(found.distances, found.codes), runners_up, found.labels

    def _excluded(self, exclude: Any, n_queries: int) -> Excluded:
        """The items that queries are not matched to."""
        self._check_labelled("predict")
        if hasattr(self._matcher(), "prototypes"):
            raise ValueError(
                f"exclude= leaves out items, and matcher={self.matcher!r} matches to prototypes of whole "
                "classes: use another matcher"
            )
        return Excluded.of(self._gallery, exclude, n_queries)

    def _match_to_prototypes(
        self, embeddings: NDArray[Any], counts_runner_up: bool
    ) -> tuple[Match, NDArray[np.float64] | None, LabelColumn]:
        """As `_match`, by the nearest prototype."""
        gallery = self._labelled_gallery("predict")
        with gallery.reading():
            prototypes, labels = self._prototypes(gallery), gallery.labels  # of one state
        depth = int(np.bincount(prototypes.codes).max()) + 1 if counts_runner_up else 1
        found = nearest(embeddings, prototypes.embeddings, min(depth, len(prototypes.codes)))
        codes = prototypes.codes[found.indices]
        match = Match(codes[:, 0], found.distances[:, 0])
        return match, to_another(found.distances, codes) if counts_runner_up else None, labels

    def _say_that_all_are_accepted(self) -> None:
        if self.no_match_label is None or self._gallery.has_said_all_accepted:
            return
        self._gallery.has_said_all_accepted = True
        warn(f"no query gets no_match_label={self.no_match_label!r} before calibrate: all are accepted")


def _with_label(names: NDArray[Any], rows: NDArray[np.bool_], label: Any) -> NDArray[Any]:
    """Names, with the label in some rows, in a dtype that holds both."""
    if not rows.any():
        return names
    as_array = np.asarray(label)
    kinds = names.dtype.kind + as_array.dtype.kind
    if set(kinds) <= set("biuf"):
        dtype = join_labels(names, as_array.reshape(1)).dtype  # no integer becomes a float64 that rounds it
    elif set(kinds) <= set("US"):
        dtype = np.result_type(names.dtype, as_array.dtype)
    else:
        dtype = np.dtype(object)
    names = names.astype(dtype)
    names[rows] = label
    return names
