"""Two metrics compared on the same queries: the difference of each score, with a paired interval."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from numbers import Integral, Real
from typing import Any, Literal, final

import numpy as np
from numpy.typing import ArrayLike

from skmetric._params import Interval, StrOptions, num_samples, validate_params
from skmetric._warning import warn

from ._bootstrap import as_generator, percentile_interval, resampled_means
from ._report import ByName, Rows, _html, _text
from ._retrieval_report import ONE_CLASS, names_wanted, read_classes
from ._scores import n_searched_among, parse_score, score_queries


@final
@dataclass(frozen=True, repr=False, eq=False)
class Comparison(ByName):
    """What :func:`compare` returns: the scores of two metrics, and the differences with their intervals.

    Prints as a table, in a notebook as an HTML table; ``comparison["map_at_r"]`` is a difference.

    Parameters
    ----------
    differences : dict of str to float
        Score of `b` less that of `a`: above 0 where `b` is better.
    intervals : dict of str to (float, float)
        Paired bootstrap interval of each difference.
    scores_a, scores_b : dict of str to float
        Scores, as :func:`retrieval_report` gives them.
    n_queries : int
        Queries that were scored.
    n_unanswerable : int
        Further queries that had nothing to find and were left out.
    n_gallery : int
        Items that each query was searched among, itself left out.
    confidence_level : float
        Of the intervals.
    resample : {"classes", "queries"}
        What the intervals draw with replacement.

    See Also
    --------
    compare : Makes it.

    Examples
    --------
    >>> from skmetric.metrics import compare
    >>> y = ["a", "a", "b", "b"]
    >>> comparison = compare([[0.0], [1.0], [0.4], [2.0]], [[0.0], [0.1], [5.0], [5.1]], y)
    >>> comparison.scores_a["recall_at_1"], comparison["recall_at_1"]
    (0.0, 1.0)
    """

    differences: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    scores_a: dict[str, float]
    scores_b: dict[str, float]
    n_queries: int
    n_unanswerable: int
    n_gallery: int
    confidence_level: float
    resample: str

    def _values(self) -> dict[str, float]:
        return self.differences

    def __repr__(self) -> str:
        return f"{_text(self._rows())}\n\n{self._caption()}"

    def _repr_html_(self) -> str:
        return f"{_html(self._rows())}<p>{escape(self._caption())}</p>"

    def _rows(self) -> Rows:
        header = ["", "a", "b", "b - a", f"{100 * self.confidence_level:g}% interval"]
        return [header, *([name, *self._cells(name)] for name in self.differences)]

    def _cells(self, name: str) -> list[str]:
        low, high = self.intervals[name]
        scores = f"{self.scores_a[name]:.3f}", f"{self.scores_b[name]:.3f}"
        return [*scores, f"{self.differences[name]:+.3f}", f"[{low:+.3f}, {high:+.3f}]"]

    def _caption(self) -> str:
        caption = f"{self.n_queries} queries, each searched among {self.n_gallery} items"
        if self.n_unanswerable:
            caption += f"; {self.n_unanswerable} more had nothing to find and were left out"
        return f"{caption}; paired intervals over {self.resample}"


@validate_params(
    {
        "k": ["array-like", None],
        "scores": ["array-like", None],
        "confidence_level": [Interval(Real, 0, 1, closed="neither")],
        "n_resamples": [Interval(Integral, 1, None, closed="left")],
        "resample": [StrOptions({"classes", "queries"})],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def compare(
    a: ArrayLike,
    b: ArrayLike,
    y: ArrayLike | None,
    *,
    gallery: tuple[ArrayLike, ArrayLike] | None = None,
    y_gallery: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    groups_gallery: ArrayLike | None = None,
    relevance: Any = None,
    k: ArrayLike | None = None,
    scores: ArrayLike | None = None,
    confidence_level: float = 0.95,
    n_resamples: int = 1000,
    resample: Literal["classes", "queries"] = "classes",
    random_state: int | np.random.RandomState | None = 0,
) -> Comparison:
    """Compare two embeddings of the same rows: the difference of each score, with a paired interval.

    Two intervals of :func:`retrieval_report` that overlap say little about the difference of their scores:
    most of their width comes from classes that are hard or easy under both metrics. Here each bootstrap
    sample scores both metrics on the same queries, so that this part cancels.

    Parameters
    ----------
    a, b : array-like of shape (n_queries, n_features_a) and (n_queries, n_features_b)
        Queries under two metrics, for example before and after training: row i of both is the same sample.
    y : array-like of shape (n_queries,), or as `relevance` says
        Their labels: an item of the gallery is relevant to a query if it has the query's label.
    gallery : pair of array-like, default=None
        Rows to search, of shape (n_gallery, n_features_a) and (n_gallery, n_features_b): the same items under
        both metrics. None searches each row among the others, itself left out by identity.
    y_gallery : array-like of shape (n_gallery,), or as `relevance` says, default=None
        Labels of the gallery, needed with `gallery`, unless `relevance` is a matrix.
    groups : array-like of shape (n_queries,), default=None
        Group of each query, such as the camera, the session or the seller. Items of the query's class that
        are also of its group are left out of its search, as if they were not in the gallery.
    groups_gallery : array-like of shape (n_gallery,), default=None
        Groups of the gallery, needed with `gallery` and `groups`.
    relevance : {"labels", "multilabel", "hierarchy"}, array, sparse matrix or callable, default=None
        What makes an item relevant, and `y` with it, see :func:`graded_ndcg_at_k`; None is "labels". Where
        queries have no class, the intervals are over queries, as those of :func:`retrieval_report`.
    k, scores : sequence, default=None
        Cut-offs, or names of the scores wanted, as for :func:`retrieval_report`.
    confidence_level : float, default=0.95
        Coverage of the intervals, in (0, 1).
    n_resamples : int, default=1000
        Bootstrap samples.
    resample : {"classes", "queries"}, default="classes"
        What the intervals draw with replacement: classes of the queries, each with all its queries, or single
        queries. Choose queries only if the question is about these very classes.
    random_state : int, RandomState instance or None, default=0
        Of the bootstrap.

    Returns
    -------
    Comparison
        Scores of both, and their differences, `b` less `a`, with intervals.

    Raises
    ------
    ValueError
        If `a` and `b`, or the two galleries, differ in their number of rows, `gallery` is not a pair, or as
        :func:`retrieval_report`.

    See Also
    --------
    retrieval_report : Scores of one metric, with intervals and chance levels.

    Notes
    -----
    Scores are those of :func:`retrieval_report`, and the draws are the same for the same `random_state`. An
    interval that does not hold 0 says that the metrics differ on classes like these. It takes the metrics as
    they are: how much they would vary with other training classes is not part of it.

    Examples
    --------
    >>> import numpy as np
    >>> from skmetric.metrics import compare
    >>> y = np.repeat(np.arange(20), 5)
    >>> a = np.random.default_rng(0).normal(size=(20, 3))[y]
    >>> a += np.random.default_rng(1).normal(size=(100, 3)) / 2
    >>> b = np.hstack([a, np.random.default_rng(2).normal(size=(20, 3))[y]])
    >>> compare(a, b, y, scores=["recall_at_1", "map_at_r"])
                     a      b   b - a      95% interval
    recall_at_1  0.370  0.990  +0.620  [+0.460, +0.770]
    map_at_r     0.284  0.862  +0.577  [+0.476, +0.683]
    <BLANKLINE>
    100 queries, each searched among 99 items; paired intervals over classes
    """
    check_rows(a, b, "a and b")
    galleries = (None, None) if gallery is None else pair_of(gallery)
    names = names_wanted(n_searched_among(a, galleries[0]), k, scores)
    wanted = [parse_score(name) for name in names]
    labels, has_classes = read_classes(y, relevance, num_samples(a))
    resample = resample if has_classes else "queries"
    sides: dict[str, Any] = {"y_gallery": y_gallery, "groups": groups, "groups_gallery": groups_gallery}
    of_a, of_b = (
        score_queries(wanted, queries, y, gallery=items, **sides, relevance=relevance)
        for queries, items in zip((a, b), galleries, strict=True)
    )
    kept = of_a.answerable  # not by embeddings: the same under both
    values = np.concatenate([of_a.values, of_b.values]).compress(kept, axis=1)  # (2 * n_scores, n_kept)
    classes, codes = np.unique(labels[kept], return_inverse=True)
    over = codes if resample == "classes" else None
    resampled = resampled_means(values, n_resamples, as_generator(random_state), over)
    differences = resampled[:, len(names) :] - resampled[:, : len(names)]
    if resample == "classes" and len(classes) == 1:
        differences[:] = np.nan
        warn(ONE_CLASS)
    scores_a, scores_b = np.split(values.mean(axis=1), 2)
    return Comparison(
        differences=dict(zip(names, (scores_b - scores_a).tolist(), strict=True)),
        intervals=dict(zip(names, percentile_interval(differences, confidence_level), strict=True)),
        scores_a=dict(zip(names, scores_a.tolist(), strict=True)),
        scores_b=dict(zip(names, scores_b.tolist(), strict=True)),
        n_queries=int(kept.sum()),
        n_unanswerable=int((~kept).sum()),
        n_gallery=of_a.n_gallery,
        confidence_level=confidence_level,
        resample=resample,
    )


def pair_of(gallery: Any) -> tuple[Any, Any]:
    """The galleries of the two metrics."""
    if not isinstance(gallery, tuple | list) or len(gallery) != 2:
        raise ValueError(
            "gallery must be a pair, the same items under both metrics: gallery=(gallery_a, gallery_b); got "
            f"a {type(gallery).__name__}"
        )
    of_a, of_b = gallery
    check_rows(of_a, of_b, "the galleries of a and b")
    return of_a, of_b


def check_rows(a: Any, b: Any, name: str) -> None:
    """Refuse sides of different lengths: row i of both is the same sample."""
    lengths = [np.shape(side)[0] if np.ndim(side) else None for side in (a, b)]
    if lengths[0] != lengths[1]:
        raise ValueError(
            f"{name} must be the same samples under two metrics, row by row; they have {lengths[0]} and "
            f"{lengths[1]} rows"
        )
