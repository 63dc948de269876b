"""All retrieval scores of embeddings at once, with what is needed to believe them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral, Real
from typing import Any, Literal, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmetric._checks import as_array, check_labels, read_labels
from skmetric._input._groups import check_subgroups
from skmetric._input._several_labels import coarsest
from skmetric._params import Interval, StrOptions, num_samples, validate_params
from skmetric._warning import warn
from skmetric.retrieval import iter_rankings

from ._bootstrap import as_generator, class_sums, percentile_interval, resampled_means
from ._report import Report
from ._scores import PerQuery, Score, n_searched_among, names_at, parse_score, score_queries

ONE_CLASS = (
    "the queries that were scored are of one class, so that the intervals over classes are NaN. Give queries "
    "of more classes, or resample='queries' for intervals over the queries of this class"
)


@final
@dataclass(frozen=True, repr=False, eq=False)
class RetrievalReport(Report):
    """What :func:`retrieval_report` returns: scores, intervals and chance levels, by name.

    Prints as a table, in a notebook as an HTML table; ``report["map_at_r"]`` is a score.

    Parameters
    ----------
    scores : dict of str to float
        Mean over the queries that have something to find.
    intervals : dict of str to (float, float)
        Bootstrap interval of each score.
    chance : dict of str to float
        Expected value of each score if the gallery were in random order.
    n_queries : int
        Queries that were scored.
    n_unanswerable : int
        Further queries that had nothing to find and were left out.
    n_gallery : int
        Items that each query was searched among, itself left out.
    confidence_level : float
        Of the intervals.
    per_class : dict of label to dict of str to float, or None
        Scores of the queries of each class that has something to find;
        ``pandas.DataFrame(report.per_class).T`` is a table of them.
    resample : {"classes", "queries"}
        What the intervals draw with replacement.
    n_left_out : float or None
        With groups: items of its class and group that a query was searched without, itself not counted, on
        average over the queries that were scored.
    per_query : dict of str to ndarray of shape (n_queries + n_unanswerable,), or None
        Each score of each query, in the order of the queries; NaN where there was nothing to find.
        ``pandas.DataFrame(report.per_query)`` is a table of them.
    by : dict of value to RetrievalReport, or None
        Report of the queries of each subgroup; None in place of a report where no query of the subgroup had
        anything to find.

    See Also
    --------
    retrieval_report : Makes it.

    Examples
    --------
    >>> from skmetric.metrics import retrieval_report
    >>> X = [[0.0], [1.0], [3.0], [3.5], [5.0], [9.0]]
    >>> report = retrieval_report(X, ["a", "a", "b", "a", "b", "c"])
    >>> round(report["map_at_r"], 3), report.n_queries, report.n_unanswerable
    (0.2, 5, 1)
    """

    scores: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    chance: dict[str, float]
    n_queries: int
    n_unanswerable: int
    n_gallery: int
    confidence_level: float
    per_class: dict[Any, dict[str, float]] | None = None
    resample: str = "queries"  # as reports had it that were pickled before there was a choice
    n_left_out: float | None = None
    per_query: dict[str, NDArray[np.float64]] | None = None
    by: dict[Any, RetrievalReport | None] | None = None

    def _caption(self) -> str:
        caption = f"{self.n_queries} queries, each searched among {self.n_gallery} items"
        if self.n_left_out is not None:
            caption += f", less those of its class and group ({self.n_left_out:.1f} on average)"
        if self.n_unanswerable:
            caption += f"; {self.n_unanswerable} more had nothing to find and were left out"
        return f"{caption}; intervals over {self.resample}"

    def _tables(self) -> list[list[list[str]]]:
        tables = super()._tables()
        if self.per_class is not None:
            rows = [
                [str(label), *(f"{value:.3f}" for value in scores.values())]
                for label, scores in self.per_class.items()
            ]
            tables.append([["class", *self.scores], *rows])
        if self.by is not None:
            rows = [[str(value), *_of_subgroup(report, self.scores)] for value, report in self.by.items()]
            tables.append([["subgroup", "queries", *self.scores], *rows])
        return tables


def _of_subgroup(report: RetrievalReport | None, names: Iterable[str]) -> list[str]:
    if report is None:
        return ["0", *("-" for _ in names)]
    intervals = (f" [{low:.3f}, {high:.3f}]" for low, high in report.intervals.values())
    return [
        str(report.n_queries),
        *(f"{report[name]:.3f}{interval}" for name, interval in zip(names, intervals, strict=True)),
    ]


CONSTRAINTS = {
    "k": ["array-like", None],
    "scores": ["array-like", None],
    "confidence_level": [Interval(Real, 0, 1, closed="neither")],
    "n_resamples": [Interval(Integral, 1, None, closed="left")],
    "resample": [StrOptions({"classes", "queries"})],
    "per_class": ["boolean"],
    "per_query": ["boolean"],
    "by": ["array-like", None],
    "random_state": ["random_state"],
}


@validate_params(CONSTRAINTS, prefer_skip_nested_validation=True)
def retrieval_report(
    embeddings: ArrayLike,
    y: ArrayLike | None,
    *,
    gallery: ArrayLike | None = None,
    y_gallery: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    groups_gallery: ArrayLike | None = None,
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
    """All retrieval scores from one search, with bootstrap intervals and chance levels.

    Each score is the mean over the queries that have something to find, as the function of the same name
    returns it.

    Parameters
    ----------
    embeddings : array-like of shape (n_queries, n_features)
        Queries; nearer in Euclidean distance is ranked higher.
    y : array-like of shape (n_queries,), or as `relevance` says
        Their labels: an item of the gallery is relevant to a query if it has the query's label.
    gallery : array-like of shape (n_gallery, n_features), default=None
        Rows to search. None searches each row of `embeddings` among the others, itself left out by identity.
    y_gallery : array-like of shape (n_gallery,), or as `relevance` says, default=None
        Labels of the gallery, needed with `gallery`, unless `relevance` is a matrix.
    groups : array-like of shape (n_queries,), default=None
        Group of each query, such as the camera, the session or the seller. Items of the query's class that
        are also of its group are left out of its search, as if they were not in the gallery: photos of one
        session are near for reasons that a new session does not share. Items of other classes stay, whatever
        their group.
    groups_gallery : array-like of shape (n_gallery,), default=None
        Groups of the gallery, needed with `gallery` and `groups`.
    relevance : {"labels", "multilabel", "hierarchy"}, array, sparse matrix or callable, default=None
        What makes an item relevant, and `y` with it, see :func:`graded_ndcg_at_k`; None is "labels". The
        classes of a hierarchy are those of its coarsest level. Otherwise, unless `y` has one label for each
        query, there are no classes: the intervals are over queries, and ``per_class=True`` is refused.
    k : sequence of int, default=None
        Cut-offs of recall, precision and nDCG; at 1 the three are equal and only recall is reported. None
        means (1, 10), without the 10 if the gallery is smaller.
    scores : sequence of str, default=None
        Names of the scores wanted, in place of `k`: as :class:`RetrievalScorer` takes them. Without
        ``"mean_average_precision"`` and ``"mean_reciprocal_rank"``, which look through the whole gallery, the
        search is cheaper. None reports all.
    confidence_level : float, default=0.95
        Coverage of the intervals, in (0, 1).
    n_resamples : int, default=1000
        Bootstrap samples.
    resample : {"classes", "queries"}, default="classes"
        What the intervals draw with replacement: classes of the queries, each with all its queries, or single
        queries. Choose queries only if the question is about these very classes.
    per_class : bool, default=False
        Whether to report the scores of each class too.
    per_query : bool, default=False
        Whether to keep the scores of each query too.
    by : array-like of shape (n_queries,), default=None
        Subgroup of each query, of which each gets a report too: the lighting, the kind of sensor, for faces
        the skin type. All are searched in the same gallery.
    random_state : int, RandomState instance or None, default=0
        Of the bootstrap.

    Returns
    -------
    RetrievalReport
        Scores in [0, 1] by name, and their intervals and chance levels.

    Raises
    ------
    ValueError
        If `k` and `scores` are both given, `scores` is empty, a score is unknown, a cut-off is beyond the
        gallery, no query has anything to find, a row has NaN or infinity, or labels, groups or subgroups do
        not fit.

    See Also
    --------
    compare : The difference between two metrics, on the same queries.
    verification_report : Pairs in place of rankings.
    RetrievalScorer : The same scores for a grid search.

    Notes
    -----
    The intervals are percentiles of a bootstrap, with the same draws for all scores. A sample of classes has
    as many classes as there are with queries that were scored; its score is the mean over all queries of the
    classes drawn. It tells how the score would vary with other classes, which is the question for classes
    that were never trained on. This holds with a separate gallery too: queries of one class have the same
    relevant items. Intervals over queries tell what other queries of the same classes would score, and are
    often several times narrower. The gallery is the same in all samples, of both kinds. With few classes, say
    below 20, an interval over classes is too narrow; with one class, it is NaN, with a warning.

    Chance levels are exact expectations over the orders of the gallery, not simulated.

    Examples
    --------
    >>> import numpy as np
    >>> from skmetric.metrics import retrieval_report
    >>> y = np.repeat(np.arange(20), 5)
    >>> X = np.random.default_rng(0).normal(size=(20, 3))[y]
    >>> X += np.random.default_rng(1).normal(size=(100, 3)) / 2
    >>> retrieval_report(X, y, scores=["recall_at_1", "map_at_r"])
                 score    95% interval  chance
    recall_at_1  0.370  [0.220, 0.530]   0.040
    map_at_r     0.284  [0.168, 0.402]   0.022
    <BLANKLINE>
    100 queries, each searched among 99 items; intervals over classes
    """
    sides: dict[str, Any] = {
        "gallery": gallery,
        "y_gallery": y_gallery,
        "groups": groups,
        "groups_gallery": groups_gallery,
        "relevance": relevance,
    }
    return report_rankings(
        iter_rankings, embeddings, y, sides, k, scores, confidence_level, n_resamples, resample, per_class,
        per_query, by, random_state,
    )  # fmt: skip


def report_rankings(
    rankings: Callable[..., Any],
    embeddings: Any,
    y: Any,
    sides: dict[str, Any],
    k: Any,
    scores: Any,
    confidence_level: float,
    n_resamples: int,
    resample: str,
    per_class: bool,
    per_query: bool,
    by: Any,
    random_state: Any,
) -> RetrievalReport:
    """The report of what `rankings` ranks, which is called as :func:`skmetric.retrieval.iter_rankings`."""
    names = names_wanted(n_searched_among(embeddings, sides["gallery"]), k, scores)
    wanted = [parse_score(name) for name in names]
    labels, has_classes = read_classes(y, sides["relevance"], num_samples(as_array(embeddings)))
    if per_class and not has_classes:
        raise ValueError("per_class=True needs one label for each query, or a hierarchy: leave it out")
    resample = resample if has_classes else "queries"
    subgroups = None if by is None else check_subgroups(by, len(labels))
    result = score_queries(wanted, embeddings, y, **sides, rankings=rankings)
    report = partial(
        _report,
        wanted,
        confidence_level=confidence_level,
        n_resamples=n_resamples,
        resample=resample,
        random_state=random_state,
    )
    kept = result.answerable
    if resample == "classes" and len(np.unique(labels[kept])) == 1:
        warn(ONE_CLASS)
    return replace(
        report(result, labels),
        per_class=_per_class(names, result.values[:, kept], labels[kept]) if per_class else None,
        per_query=dict(zip(names, result.values, strict=True)) if per_query else None,
        by=None if subgroups is None else _by_subgroup(report, result, labels, subgroups),
    )


def _report(
    wanted: list[Score],
    result: PerQuery,
    labels: NDArray[Any],
    *,
    confidence_level: float,
    n_resamples: int,
    resample: str,
    random_state: Any,
) -> RetrievalReport:
    kept = result.answerable
    names = [score.name for score in wanted]
    values = result.values.compress(kept, axis=1)  # (n_scores, n_kept)
    classes, codes = np.unique(labels[kept], return_inverse=True)
    resampled = resampled_means(
        values, n_resamples, as_generator(random_state), codes if resample == "classes" else None
    )
    if resample == "classes" and len(classes) == 1:
        resampled[:] = np.nan
    return RetrievalReport(
        scores=_by_name(names, values.mean(axis=1)),
        intervals=dict(zip(names, percentile_interval(resampled, confidence_level), strict=True)),
        chance=dict(zip(names, result.chance(wanted), strict=True)),
        n_queries=int(kept.sum()),
        n_unanswerable=int((~kept).sum()),
        n_gallery=result.n_gallery,
        confidence_level=confidence_level,
        resample=resample,
        n_left_out=result.n_left_out,
    )


def _by_subgroup(
    report: Callable[..., RetrievalReport], result: PerQuery, labels: NDArray[Any], subgroups: NDArray[Any]
) -> dict[Any, RetrievalReport | None]:
    """A report of each subgroup of queries, in sorted order; None where nothing could be found."""
    values, codes = np.unique(subgroups, return_inverse=True)
    parts = {value: np.flatnonzero(codes == code) for code, value in enumerate(values.tolist())}
    return {
        value: report(result.take(rows), labels[rows]) if result.answerable[rows].any() else None
        for value, rows in parts.items()
    }


def read_classes(y: Any, relevance: Any, n_queries: int) -> tuple[NDArray[Any], bool]:
    """Class of each query, which intervals draw; False where there is none, and all are of class 0."""
    if relevance is None or (isinstance(relevance, str) and relevance == "labels"):
        return check_labels(y, n_queries), True
    if isinstance(relevance, str) and relevance == "hierarchy":
        return check_labels(coarsest(y), n_queries), True
    if isinstance(relevance, str) or y is None:
        return np.zeros(n_queries), False
    try:
        labels = read_labels(y)
    except ValueError:  # labels of another kind, which only the function of the user reads
        return np.zeros(n_queries), False
    return check_labels(labels, n_queries), True


def names_wanted(n_searched: int, k: Any, scores: Any) -> list[str]:
    """Names of the scores that `k` or `scores` ask for."""
    if scores is not None:
        if k is not None or not len(scores):
            raise ValueError("give k or the names of at least one score, as in scores=['recall_at_5']")
        return list(dict.fromkeys(scores))
    if k is None:
        k = [cutoff for cutoff in (1, 10) if cutoff <= n_searched]
    return names_at(list(dict.fromkeys(k)))


def _by_name(names: list[str], values: NDArray[np.float64]) -> dict[str, float]:
    return dict(zip(names, values.tolist(), strict=True))


def _per_class(
    names: list[str], values: NDArray[np.float64], labels: NDArray[Any]
) -> dict[Any, dict[str, float]]:
    classes, codes = np.unique(labels, return_inverse=True)
    sums, sizes = class_sums(values, codes)
    means = sums / sizes[:, None]  # (n_classes, n_scores)
    return {label: _by_name(names, row) for label, row in zip(classes.tolist(), means, strict=True)}
