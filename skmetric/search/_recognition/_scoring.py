"""Retrieval scores of what a search finds, by labels or any other notion of relevance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skmetric._checks import encode_labels, read_labels
from skmetric._input._relevance import is_matrix
from skmetric._kernel._hidden import hidden_by_groups
from skmetric._params import validate_params
from skmetric.metrics._retrieval_report import CONSTRAINTS, RetrievalReport, report_rankings
from skmetric.retrieval import Ranking, read_grading
from skmetric.search._base import SearchBase
from skmetric.search._gallery._gallery import EMPTY

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_BLOCK_NEIGHBORS = 2**22  # held at a time, with their grades


class Scoring(SearchBase):
    """Retrieval scores of :class:`SimilaritySearch`."""

    @validate_params(CONSTRAINTS, prefer_skip_nested_validation=True)
    def retrieval_report(
        self,
        X: ArrayLike,
        y: ArrayLike | None,
        y_gallery: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        relevance: Any = None,
        k: ArrayLike | None = None,
        scores: ArrayLike | None = None,
        confidence_level: float = 0.95,
        n_resamples: int = 1000,
        resample: Literal["classes", "queries"] = "classes",
        per_class: bool = False,
        per_query: bool = False,
        by: ArrayLike | None = None,
        random_state: int | np.random.RandomState | None = 0,
    ) -> RetrievalReport:
        """Score the order in which queries find the items, by labels or by another notion of relevance.

        The order is that of `kneighbors`, with its index and its ranking options. `evaluate` also measures
        recognition and refusal, and needs one label for each sample; this does not, and the gallery may have
        no labels.

        Parameters
        ----------
        X : array-like of shape (n_queries, ...)
            What the embedder takes; not in the gallery.
        y : array-like of shape (n_queries,), or as `relevance` says
            Labels of the queries; None if `relevance` is a matrix.
        y_gallery : array-like of shape (n_items,), or as `relevance` says, default=None
            Labels of the items, in the order of ``ids_``. None uses those of the gallery, ``labels_``.
        groups : array-like of shape (n_queries,), default=None
            Group of each query, where the items have groups: items that are relevant to a query and of its
            group are left out of its search, as in `evaluate`. None searches all items.
        relevance : {"labels", "multilabel", "hierarchy"}, array, sparse matrix or callable, default=None
            What makes an item relevant to a query, and how much. "multilabel": labels are a matrix of 0 and
            1, or a list of sets, and count by their overlap. "hierarchy": a column for each level, the
            coarsest first. An array or a sparse matrix of shape (n_queries, n_items) has the grades
            themselves, from 0. A callable makes them of two arrays of labels. None is "labels".
        k : sequence of int, default=None
            Cut-offs of recall, precision and nDCG. None means (1, 10), without the 10 if the gallery is
            smaller.
        scores : sequence of str, default=None
            Names of the scores wanted, in place of `k`, such as ``"linear_ndcg_at_10"``. Without
            ``"mean_average_precision"`` and ``"mean_reciprocal_rank"``, which look through the whole gallery,
            the search is cheaper.
        confidence_level : float, default=0.95
            Of the intervals, in (0, 1).
        n_resamples : int, default=1000
            Bootstrap samples.
        resample : {"classes", "queries"}, default="classes"
            What the intervals draw; queries, where `relevance` has no classes.
        per_class : bool, default=False
            Whether to report the scores of each class too.
        per_query : bool, default=False
            Whether to keep the scores of each query too.
        by : array-like of shape (n_queries,), default=None
            Subgroup of each query, of which each gets a report too.
        random_state : int, RandomState instance or None, default=0
            Of the bootstrap.

        Returns
        -------
        RetrievalReport
            Scores in [0, 1] by name, with their intervals and chance levels.

        Raises
        ------
        ValueError
            If there are no labels or groups of the items, labels, groups or grades do not fit, no query has
            anything to find, a cut-off is beyond the gallery, or queries are items of the gallery.

        See Also
        --------
        skmetric.metrics.retrieval_report : The same of embeddings.

        Notes
        -----
        An item that an approximate index does not find counts as not relevant. The gallery of a server is
        fetched once, without its metadata.

        Examples
        --------
        >>> from skmetric.search import SimilaritySearch
        >>> search = SimilaritySearch().fit([[0.0], [1.0], [5.0]])
        >>> tags, of_query = [{"red", "cup"}, {"red"}, {"jug"}], [{"red", "cup"}]
        >>> report = search.retrieval_report(
        ...     [[0.8]], of_query, tags, relevance="multilabel", scores=["linear_ndcg_at_2"]
        ... )
        >>> round(report["linear_ndcg_at_2"], 3)  # (0.5 + 1 / log2(3)) / (1 + 0.5 / log2(3))
        0.86
        """
        check_is_fitted(self)
        embeddings = self._embed(X)
        with self._gallery.reading():
            items = self._gallery.in_memory()
            if not len(items):
                raise ValueError(EMPTY)
            if y_gallery is None and not is_matrix(relevance):
                y_gallery = items.all_labels()
                if y_gallery is None:
                    raise ValueError(
                        "y_gallery is missing, and the gallery has no labels: give the labels of its items, "
                        "in the order of ids_"
                    )
            sides = {
                "gallery": items.index.vectors(),
                "y_gallery": None if is_matrix(relevance) else y_gallery,
                "groups": groups,
                "groups_gallery": None if groups is None else items.groups_of_items(),
                "relevance": relevance,
            }
            return report_rankings(
                self._rankings, embeddings, y, sides, k, scores, confidence_level, n_resamples, resample,
                per_class, per_query, by, random_state,
            )  # fmt: skip

    def _rankings(
        self,
        embeddings: NDArray[Any],
        y: Any,
        *,
        gallery: NDArray[Any],
        y_gallery: Any,
        depth: int | None,
        groups: Any = None,
        groups_gallery: Any = None,
        relevance: Any = None,
    ) -> Iterator[tuple[NDArray[np.intp], Ranking]]:
        """Rankings in blocks of queries, as :func:`skmetric.retrieval.iter_rankings` has them."""
        n_queries, n_items = len(embeddings), len(gallery)
        depth = n_items if depth is None else min(depth, n_items)
        grading = read_grading(relevance, y, y_gallery, groups, groups_gallery, n_queries, n_items)
        blocks = np.array_split(np.arange(n_queries), -(-n_queries * n_items // _BLOCK_NEIGHBORS))
        if grading is not None:
            for rows in blocks:
                graded = grading.block(rows, self._order(embeddings[rows], grading.needed(depth)), depth)
                n_searched = n_items if groups is None else graded.n_items
                yield rows, Ranking(graded.relevant, graded.n_relevant, n_searched, graded.grades)
            return
        codes, codes_of_items, names = encode_labels(read_labels(y), read_labels(y_gallery, "y_gallery"))
        codes_gallery = np.asarray(codes_of_items)
        hidden = hidden_by_groups(codes, codes_gallery, groups, groups_gallery, has_gallery=True)
        n_hidden = np.zeros(n_queries, dtype=np.intp) if hidden is None else hidden.counts
        n_relevant = np.bincount(codes_gallery, minlength=len(names))[codes] - n_hidden
        for rows in blocks:
            needed = min(depth + int(n_hidden[rows].max()), n_items)
            order = self._order(embeddings[rows], needed)
            if hidden is not None:
                order = _without(order, hidden.pairs(rows), n_items)
            order = order[:, :depth]
            relevant = (order >= 0) & (codes_gallery[order] == codes[rows, None])
            n_searched = n_items if hidden is None else n_items - n_hidden[rows]
            yield rows, Ranking(relevant, n_relevant[rows], n_searched)

    def _order(self, embeddings: NDArray[Any], k: int) -> NDArray[np.intp]:
        """The nearest items of some queries, (n_queries, k), -1 where none was found."""
        return self._find(embeddings, k).indices


def _without(
    order: NDArray[np.intp], pairs: tuple[NDArray[np.intp], NDArray[np.intp]], n_items: int
) -> NDArray[np.intp]:
    """Items of each query in their order without those of `pairs`, queries and items; -1 fills up."""
    gone = np.zeros((len(order), n_items), dtype=bool)
    gone[pairs] = True
    order = np.where(np.take_along_axis(gone, order, axis=1), -1, order)
    return np.take_along_axis(order, (order < 0).argsort(axis=1, kind="stable"), axis=1)
