"""Measuring a search on labelled queries and on strangers."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skmetric._warning import warn
from skmetric.metrics._bootstrap import as_generator

from ._base import SearchBase
from ._calibration._evaluation import Evaluation, evaluate_matches, retrieval_scores, with_promises
from ._calibration._gathering._copies import Copies, drop_one, leave_items_out, own_items
from ._calibration._gathering._evidence import match_to_prototypes
from ._calibration._gathering._strangers import check_bootstrap, with_strangers
from ._calibration._matchers import Match, PrototypeMatcher
from ._gallery._gallery import Labelled
from ._gallery._labels import check_y
from ._gallery._side import Side
from ._progress import n_batches, told
from ._runners_up import DEPTH, ClassSearch

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ._calibration._scoring._rule import Rule
    from ._gallery._labels import LabelColumn
    from ._progress import Step


class Measuring(SearchBase):
    """Evaluation of :class:`SimilaritySearch`."""

    def evaluate(
        self,
        X: ArrayLike,
        y: ArrayLike,
        X_unknown: ArrayLike | None = None,
        *,
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
            If the gallery has no labels, no query is of a class in the gallery, or a cut-off is below 1.

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
                X, y, X_unknown, recall_at, confidence_level, n_resamples, random_state, step
            )

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
    ) -> Evaluation:
        embeddings, (labels, counts) = self._embed_in_steps(X, step), self._gallery.tally()
        y = np.asarray(check_y(y, len(embeddings)))
        true = labels.encode(y)
        classes = with_strangers(true, y)
        if X_unknown is not None:
            strangers = self._embed_in_steps(X_unknown, step)
            embeddings = np.concatenate([embeddings, strangers])
            true = np.concatenate([true, np.full(len(strangers), -1)])
            classes = np.concatenate([classes, classes.min() - 1 - np.arange(len(strangers))])
        rule = self._rule()
        with step("match"):
            match, runners_up, is_item, copies = self._match_left_out(embeddings, true, labels, rule)
        for doubt in copies.warnings("The scores are better than those of new queries"):
            warn(doubt)
        true = np.where(counts[true] > is_item, true, -1)  # an only item has nothing left to find
        if not (true >= 0).any():
            raise ValueError("no query is of a class in the gallery: evaluate needs some")
        known = embeddings[true >= 0], true[true >= 0], is_item[true >= 0]

        def find(rows: NDArray[np.intp], depth: int) -> NDArray[Any]:
            embeddings, codes, is_item = (part[rows] for part in known)
            return self._find_labelled(embeddings, codes, is_item, depth, labels)

        scores = rule.scores(match.distances, labels.decode(match.codes), runners_up)
        with step("score"):
            evaluation = evaluate_matches(
                retrieval_scores(find, known[1], recall_at, counts, known[2]),
                Match(match.codes, scores), true, classes, rule.limit, labels, self.no_match_label_,
                confidence_level, n_resamples, as_generator(random_state),
            )  # fmt: skip
        if self.cutpoint_ is None:
            return evaluation
        return with_promises(evaluation, self.calibration_, self.cutpoint_)

    def _match_left_out(
        self, embeddings: NDArray[Any], true: NDArray[Any], labels: LabelColumn, rule: Rule
    ) -> tuple[Match, NDArray[np.float64] | None, NDArray[Any], Copies]:
        """Matches of queries of classes `true`; those that are items are matched to the other items.

        With the distances to the runners-up, if the rule needs them.
        """
        matcher = self._matcher()
        if not isinstance(matcher, PrototypeMatcher):
            k = max(matcher.depth(self.n_neighbors), DEPTH if rule.weight else 1)
            found = self._gallery.labelled(embeddings, max(k, 2) + 1, None, labels)
            distances, codes, is_item, copies = leave_items_out(found.distances, found.codes, true, k)
            runners_up = None
            if rule.weight:
                search = ClassSearch(self._gallery, embeddings, None, labels, true)
                runners_up = search.runners_up(Labelled(distances, codes, found.labels))
            return matcher.match(distances, codes), runners_up, is_item, copies
        gallery = self._labelled_gallery("evaluate")
        with gallery.reading():
            prototypes = self._prototypes(gallery)
        own = np.full(len(true), -1)
        own[true >= 0] = gallery.labels.encode(labels.decode(true[true >= 0]))
        queries = Side(embeddings, own)
        matched = match_to_prototypes(matcher, gallery.side(), queries, prototypes=prototypes)
        best, runners_up = matched.best()
        match = Match(labels.encode(gallery.labels.decode(best.codes)), best.distances)
        return match, runners_up, matched.is_item, matched.copies

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
