"""Measuring a search on labelled queries and on strangers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skmetric._warning import warn
from skmetric.metrics._bootstrap import as_generator
from skmetric.search._base import SearchBase
from skmetric.search._calibration._evaluation import (
    Evaluation,
    evaluate_matches,
    retrieval_scores,
    with_promises,
)
from skmetric.search._calibration._gathering._copies import Copies, drop_one, leave_items_out, own_items
from skmetric.search._calibration._gathering._evidence import match_to_prototypes
from skmetric.search._calibration._gathering._strangers import check_bootstrap, with_strangers
from skmetric.search._calibration._matchers import Match, PrototypeMatcher
from skmetric.search._calibration._measured import Measured, Subgroups
from skmetric.search._gallery._gallery import Labelled
from skmetric.search._gallery._labels import check_y
from skmetric.search._gallery._side import Side
from skmetric.search._matching._runners_up import DEPTH, ClassSearch
from skmetric.search._matching._visible import VisibleItems
from skmetric.search._progress import n_batches, told

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from skmetric.search._calibration._scoring._rule import Rule
    from skmetric.search._gallery._gallery import Gallery
    from skmetric.search._gallery._labels import LabelColumn
    from skmetric.search._progress import Step


class Measuring(SearchBase):
    """Evaluation of :class:`SimilaritySearch`."""

    def evaluate(
        self,
        X: ArrayLike,
        y: ArrayLike,
        X_unknown: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        by: ArrayLike | None = None,
        by_unknown: ArrayLike | None = None,
        per_query: bool = False,
        recall_at: Sequence[int] = (1, 5, 10),
        confidence_level: float = 0.95,
        n_resamples: int = 1000,
        random_state: int | np.random.RandomState | None = 0,
    ) -> Evaluation:
        """Measure retrieval, recognition and refusal on labelled queries, and on strangers.

        Parameters
        ----------
        X : array-like of shape (n_queries, ...)
            What the embedder takes; not in the gallery. A query that is an item of the gallery, with the same
            embedding and class, is searched among the other items. More than 5 % of them give a warning.
        y : array-like of shape (n_queries,)
            Their labels. Queries of classes that are not in the gallery count as strangers; so do queries
            that are the only item of their class.
        X_unknown : array-like of shape (n_unknown, ...), default=None
            Strangers.
        groups : array-like of shape (n_queries,), default=None
            Groups of the queries `X`, where the items have groups: each query is searched exactly, without
            the items of its class and group. A query with nothing left to find counts as a stranger. None
            searches all items. Without ranking options. The gallery of a server is fetched.
        by : array-like of shape (n_queries,), default=None
            Subgroup of each query of `X`, such as the skin type for faces: each subgroup gets an evaluation
            too, in the same gallery with the same threshold.
        by_unknown : array-like of shape (n_unknown,), default=None
            Subgroups of `X_unknown`. None counts them in no subgroup.
        per_query : bool, default=False
            Whether to keep the scores of each query too.
        recall_at : sequence of int, default=(1, 5, 10)
            Cut-offs of recall@k; those beyond the size of the gallery are left out. Recall@k and MAP@R are
            those of the ranking that `kneighbors` gives, its options included.
        confidence_level : float, default=0.95
            Of the intervals, in (0, 1).
        n_resamples : int, default=1000
            Bootstrap samples of classes.
        random_state : int, RandomState instance or None, default=0
            Of the bootstrap.

        Returns
        -------
        Evaluation
            Scores by name with their intervals, beside what the calibration promised, the curve of open-set
            recognition, and the confusion matrix.

        Raises
        ------
        ValueError
            If the gallery has no labels, no query is of a class in the gallery, a cut-off is below 1, or
            groups or subgroups do not fit.

        Notes
        -----
        Intervals resample classes, known ones and strangers apart, each class with all of its queries: they
        say how much a score may change with other classes of the same kind. The labels of `X_unknown` are not
        known, so each of its rows counts as a class; where several are of one class, give them in `X` with
        their labels.
        """
        check_is_fitted(self)
        check_bootstrap(confidence_level, n_resamples)
        if not np.iterable(recall_at) or not all(isinstance(k, Integral) and k >= 1 for k in recall_at):
            raise ValueError(f"recall_at must hold integers from 1; got {recall_at!r}")
        self._check_labelled("evaluate")
        with told(self, "evaluate", X, y, n_batches(self, X, X_unknown) + 2) as step:
            return self._evaluate(
                X, y, X_unknown, recall_at, confidence_level, n_resamples, random_state, step,
                groups, per_query, by, by_unknown,
            )  # fmt: skip

    def _evaluate(
        self,
        X: ArrayLike,
        y: ArrayLike,
        X_unknown: ArrayLike | None,
        recall_at: Sequence[int],
        confidence_level: float,
        n_resamples: int,
        random_state: int | np.random.RandomState | None,
        step: Step,
        groups: ArrayLike | None,
        per_query: bool,
        by: Any,
        by_unknown: Any,
    ) -> Evaluation:
        embeddings = self._embed_in_steps(X, step)
        gallery = self._gallery if groups is None else self._gallery.in_memory()
        labels, counts = gallery.tally()
        y = np.asarray(check_y(y, len(embeddings)))
        true = labels.encode(y)
        classes = with_strangers(true, y)
        subgroups = Subgroups.of(by, by_unknown, len(embeddings), X_unknown)
        sides = None if groups is None else self._items_and_queries(gallery, Side(embeddings, true), groups)
        if X_unknown is not None:
            strangers = self._embed_in_steps(X_unknown, step)
            embeddings = np.concatenate([embeddings, strangers])
            true = np.concatenate([true, np.full(len(strangers), -1)])
            classes = np.concatenate([classes, classes.min() - 1 - np.arange(len(strangers))])
        visible = None if sides is None else VisibleItems.of(gallery.in_memory(), *sides, embeddings)
        rule = self._rule()
        with step("match"):
            match, runners_up, is_item, copies = self._match_left_out(embeddings, true, labels, rule, visible)
        for doubt in copies.warnings("The scores are better than those of new queries"):
            warn(doubt)
        n_left = counts[true] - is_item - (0 if visible is None else visible.n_hidden)
        true = np.where(n_left > 0, true, -1)  # an only item has nothing left to find
        if not (true >= 0).any():
            outside = "" if visible is None else ", outside its group"
            raise ValueError(f"no query is of a class in the gallery{outside}: evaluate needs some")
        asked = np.flatnonzero(true >= 0)

        def find(rows: NDArray[np.intp], depth: int) -> NDArray[Any]:
            rows = asked[rows]
            if visible is not None:
                return _without_items(visible.nearest, rows, true[rows], is_item[rows], depth)
            return self._find_labelled(embeddings[rows], true[rows], is_item[rows], depth, labels)

        n_items = int(counts.sum()) - bool(is_item[asked].any())
        retrieval = retrieval_scores(find, true[asked], recall_at, n_left[asked], n_items)
        scores = rule.scores(match.distances, labels.decode(match.codes), runners_up)
        measured = Measured(retrieval, Match(match.codes, scores), true, classes, rule.limit)
        evaluate = partial(
            evaluate_matches,
            labels=labels,
            no_match_label=self.no_match_label_,
            confidence_level=confidence_level,
            n_resamples=n_resamples,
        )
        with step("score"):
            evaluation = replace(
                evaluate(measured, rng=as_generator(random_state)),
                per_query=measured.per_query() if per_query else None,
                by=None if subgroups is None else {
                    value: evaluate(measured.take(rows), rng=as_generator(random_state))
                    for value, rows in subgroups.rows()
                },
            )  # fmt: skip
        if self.cutpoint_ is None:
            return evaluation
        return with_promises(evaluation, self.calibration_, self.cutpoint_)

    def _items_and_queries(self, gallery: Gallery, queries: Side, groups: Any) -> tuple[Side, Side]:
        """Items and queries with their groups."""
        if self._ranking_options() is not None:
            raise ValueError(
                "evaluate(groups=) ranks by Euclidean distance, and rerank, query_expansion and "
                "augment_gallery by another: set them to None"
            )
        return gallery.in_memory().side_and_queries(queries, groups)

    def _match_left_out(
        self,
        embeddings: NDArray[Any],
        true: NDArray[Any],
        labels: LabelColumn,
        rule: Rule,
        visible: VisibleItems | None,
    ) -> tuple[Match, NDArray[np.float64] | None, NDArray[Any], Copies]:
        """Matches of queries of classes `true`; those that are items are matched to the other items.

        With the distances to the runners-up, if the rule needs them.
        """
        matcher = self._matcher()
        if not isinstance(matcher, PrototypeMatcher):
            k = max(matcher.depth(self.n_neighbors), DEPTH if rule.weight else 1)
            if visible is None:
                found = self._gallery.labelled(embeddings, max(k, 2) + 1, None, labels)[:2]
            else:
                found = visible.nearest(np.arange(len(true)), max(k, 2) + 1)
            distances, codes, is_item, copies = leave_items_out(*found, true, k)
            runners_up = None
            if rule.weight and visible is not None:
                runners_up = visible.runners_up(distances, codes)
            elif rule.weight:
                search = ClassSearch(self._gallery, embeddings, None, labels, true)
                runners_up = search.runners_up(Labelled(distances, codes, labels))
            return matcher.match(distances, codes), runners_up, is_item, copies
        gallery = self._labelled_gallery("evaluate")
        with gallery.reading():
            prototypes = self._prototypes(gallery)
        items, queries = (gallery.side(), Side(embeddings, true)) if visible is None else visible.sides
        own = np.full(len(true), -1)
        own[true >= 0] = gallery.labels.encode(labels.decode(true[true >= 0]))
        matched = match_to_prototypes(matcher, items, queries._replace(codes=own), prototypes=prototypes)
        best, runners_up = matched.best()
        match = Match(labels.encode(gallery.labels.decode(best.codes)), best.distances)
        return match, runners_up, matched.is_copy, matched.copies

    def _find_labelled(
        self,
        embeddings: NDArray[Any],
        codes: NDArray[Any],
        is_item: NDArray[Any],
        k: int,
        labels: LabelColumn,
    ) -> NDArray[Any]:
        """Codes of neighbours by the ranking options, (n_queries, k), without the item that a query is."""
        has_items = bool(is_item.any())
        if self._ranking_options() is None:
            found = self._gallery.labelled(embeddings, k + has_items, labels=labels)
            itself = is_item[:, None] & (found.codes == codes[:, None]) & (found.distances == 0)
            return drop_one(found.codes, itself) if has_items else found.codes
        rows = self._find(embeddings, k + has_items).indices
        if has_items:
            items = own_items(Side(embeddings, codes), self._gallery.in_memory().side())[0]
            rows = drop_one(rows, rows == items[:, None])
        return labels.codes.values[rows]


def _without_items(
    nearest: Callable[..., tuple[NDArray[Any], NDArray[Any]]],
    rows: NDArray[np.intp],
    codes: NDArray[Any],
    is_item: NDArray[Any],
    k: int,
) -> NDArray[Any]:
    """Codes of the neighbours of some queries, without the item that a query is: (n_rows, k)."""
    if not is_item.any():
        return nearest(rows, k)[1]
    distances, found = nearest(rows, k + 1)
    return drop_one(found, is_item[:, None] & (found == codes[:, None]) & (distances == 0))
