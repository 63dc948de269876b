"""Scores of pairs: how well a distance tells pairs of one class from pairs of two."""

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import roc_curve
from sklearn.utils import check_array, check_consistent_length, column_or_1d

from skmetric._checks import as_array, check_finite_rows, read_labels
from skmetric._params import Interval, validate_params

from ._bootstrap import as_generator, percentile_interval
from ._report import Report

_DEFAULT_FAR = (0.1, 0.01, 0.001)


@final
@dataclass(frozen=True, repr=False, eq=False)
class VerificationReport(Report):
    """What :func:`verification_report` returns: scores, intervals, chance levels and thresholds, by name.

    Prints as a table, in a notebook as an HTML table; ``report["eer"]`` is a score.

    Parameters
    ----------
    scores : dict of str to float
        ``"auc"``, ``"eer"`` and ``"tar_at_far_0.01"`` and its like.
    intervals : dict of str to (float, float)
        Bootstrap interval of each score.
    chance : dict of str to float
        Expected value of each score if the distances said nothing.
    thresholds : dict of str to float
        Largest distance to accept, for each score but the AUC.
    n_same, n_different : int
        Pairs of either kind.
    confidence_level : float
        Of the intervals.

    See Also
    --------
    verification_report : Makes it.

    Examples
    --------
    >>> from skmetric.metrics import verification_report
    >>> report = verification_report([0.1, 0.3, 0.2, 0.9], [True, True, False, False])
    >>> report["auc"], report["eer"]
    (0.75, 0.5)
    """

    scores: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    chance: dict[str, float]
    thresholds: dict[str, float]
    n_same: int
    n_different: int
    confidence_level: float

    def _caption(self) -> str:
        return f"{self.n_same} pairs of the same class, {self.n_different} of different classes"

    def _tables(self) -> list[list[list[str]]]:
        (header, *rows), *_ = super()._tables()
        thresholds = (f"{self.thresholds[name]:.4g}" if name != "auc" else "-" for name in self.scores)
        return [[[*header, "threshold"], *([*row, cell] for row, cell in zip(rows, thresholds, strict=True))]]


@validate_params(
    {
        "far": ["array-like", None],
        "confidence_level": [Interval(Real, 0, 1, closed="neither")],
        "n_resamples": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def verification_report(
    distances: ArrayLike,
    same: ArrayLike,
    *,
    far: ArrayLike | None = None,
    confidence_level: float = 0.95,
    n_resamples: int = 1000,
    random_state: int | np.random.RandomState | None = 0,
) -> VerificationReport:
    """AUC, equal error rate and true accepts at given false accepts, of distances between pairs.

    A pair is accepted, that is treated as a pair of one class, if its distance is at most a threshold. FAR
    is the share of the pairs of different classes that are accepted, TAR the share of the pairs of one class.

    Parameters
    ----------
    distances : array-like of shape (n_pairs,)
        Distance of each pair; smaller is nearer. Any finite numbers: negate similarities. Leave out pairs of
        a sample and itself, such as the diagonal of a matrix of distances: their distance is 0, they are
        always accepted, and all scores would be too good. Distances alone do not tell such pairs from pairs
        of two equal samples, so they are not found here.
    same : array-like of shape (n_pairs,)
        Whether the pair is of one class: booleans, 1 and 0, or 1 and -1. Both kinds must occur.
    far : sequence of float, default=None
        False accept rates at which to report the TAR, each from 1 / n_different, below which no rate but 0
        can be observed, up to but not including 1. None means (0.1, 0.01, 0.001), without the rates below
        1 / n_different.
    confidence_level : float, default=0.95
        Coverage of the intervals, in (0, 1).
    n_resamples : int, default=1000
        Bootstrap samples.
    random_state : int, RandomState instance or None, default=0
        Of the bootstrap.

    Returns
    -------
    VerificationReport
        Scores in [0, 1] by name, their intervals, chance levels and thresholds.

    Raises
    ------
    ValueError
        On distances with NaN or infinity, lengths that differ, one kind of pair only, or a `far` out of
        range.

    See Also
    --------
    retrieval_report : Rankings in place of pairs.
    skmetric.SimilaritySearch.calibrate_pairs : Takes a threshold from pairs.

    Notes
    -----
    ``"auc"`` is the probability that a pair of one class is nearer than a pair of different classes, ties
    counting half. ``"eer"`` is where FAR equals 1 - TAR, found by linear interpolation between neighbouring
    points of the ROC curve; its threshold is interpolated in the same way. ``"tar_at_far_0.01"`` is the
    largest TAR of a threshold whose FAR is at most 0.01, without interpolation: on these pairs, its threshold
    gives exactly this TAR. A threshold below all distances accepts nothing.

    The bootstrap draws pairs of either kind with replacement and chooses the thresholds anew in each
    sample. It assumes independent pairs: where pairs share samples, the true intervals are wider.
    It costs O(n_resamples * n_pairs).

    Examples
    --------
    >>> import numpy as np
    >>> from skmetric.metrics import verification_report
    >>> rng = np.random.default_rng(0)
    >>> same = np.arange(400) < 200
    >>> verification_report(np.where(same, 1.0, 2.0) + rng.normal(size=400) / 2, same)
                     score    95% interval  chance  threshold
    auc              0.918  [0.891, 0.942]   0.500          -
    eer              0.175  [0.140, 0.210]   0.500      1.498
    tar_at_far_0.1   0.765  [0.690, 0.840]   0.104      1.372
    tar_at_far_0.01  0.170  [0.030, 0.675]   0.015     0.4952
    <BLANKLINE>
    200 pairs of the same class, 200 of different classes
    """
    distances, same = _check_pairs(distances, same)
    n_same = int(same.sum())
    n_different = len(same) - n_same
    targets = _check_far(far, n_different)
    names = ["auc", "eer", *(f"tar_at_far_{target:g}" for target in targets)]
    curve = _curve(distances, same)
    at = _accepting(curve.far, targets)
    resampled = _resample(curve, distances, same, targets, n_resamples, as_generator(random_state))
    passing = np.floor(targets * n_different + 1e-9)  # pairs of different classes that each target lets pass
    return VerificationReport(
        scores=dict(zip(names, _summary(curve, targets).tolist(), strict=True)),
        intervals=dict(zip(names, percentile_interval(resampled, confidence_level), strict=True)),
        # pairs of one class lie anywhere among the different ones, and count if before the (passing + 1)-th
        chance=dict(zip(names, [0.5, 0.5, *((passing + 1) / (n_different + 1)).tolist()], strict=True)),
        thresholds=dict(
            zip(names[1:], [_eer(curve, curve.threshold), *curve.threshold[at].tolist()], strict=True)
        ),
        n_same=n_same,
        n_different=n_different,
        confidence_level=confidence_level,
    )


class _Curve(NamedTuple):
    """ROC curve: a point that accepts nothing, and one for each distinct distance."""

    far: NDArray[np.float64]  # (n_points,)
    tar: NDArray[np.float64]
    threshold: NDArray[np.float64]


def _curve(distances: NDArray[np.float64], same: NDArray[np.bool_]) -> _Curve:
    far, tar, negative = roc_curve(same, -distances, drop_intermediate=False)
    threshold = -negative
    # the point that accepts nothing: scikit-learn puts it at infinity, from which nothing can be interpolated
    threshold[0] = np.nextafter(threshold[1], -np.inf)
    return _Curve(far, tar, threshold)


def _summary(curve: _Curve, targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """AUC, EER and the TAR at each target: (2 + n_targets,)."""
    area = np.trapezoid(curve.tar, curve.far)
    return np.array([area, _eer(curve, curve.far), *curve.tar[_accepting(curve.far, targets)]])


def _eer(curve: _Curve, values: NDArray[np.float64]) -> float:
    """`values` of the curve, interpolated to where FAR - (1 - TAR), which never falls, is 0."""
    return float(np.interp(0.0, curve.far + curve.tar - 1, values))


def _accepting(far: NDArray[np.float64], targets: NDArray[np.float64]) -> NDArray[np.intp]:
    """Index of the last point of the curve whose FAR is at most each target."""
    return np.searchsorted(far, targets, side="right") - 1


def _resample(
    curve: _Curve,
    distances: NDArray[np.float64],
    same: NDArray[np.bool_],
    targets: NDArray[np.float64],
    n_resamples: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Summaries of resampled pairs: (n_resamples, 2 + n_targets).

    A pair matters by its point of the curve alone, so a sample is a count at each point: no sort in the loop.
    """
    point = np.searchsorted(curve.threshold, distances)  # (n_pairs,), from 1
    tar, far = (_resampled_rates(point[kind], len(curve.far), n_resamples, rng) for kind in (same, ~same))
    samples = (_Curve(*rates, curve.threshold) for rates in zip(far, tar, strict=True))
    return np.array([_summary(sample, targets) for sample in samples])


def _resampled_rates(
    points: NDArray[np.intp], n_points: int, n_resamples: int, rng: np.random.Generator
) -> Iterator[NDArray[np.float64]]:
    """Yield the share of pairs accepted at each point, for one sample after the other."""
    n = len(points)
    for _ in range(n_resamples):
        yield np.cumsum(np.bincount(points[rng.integers(n, size=n)], minlength=n_points)) / n


def _check_pairs(distances: Any, same: Any) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    distances = column_or_1d(
        check_array(as_array(distances), ensure_2d=False, dtype=np.float64, ensure_all_finite=False)
    )
    check_finite_rows(distances, "distances")
    same = read_labels(same, "same")
    check_consistent_length(distances, same)
    kinds = set(np.unique(same).tolist())
    if kinds not in ({0, 1}, {-1, 1}):
        raise ValueError(
            "same must say of each pair whether it is of one class (True, 1) or not (False, 0 or -1), and "
            f"hold both kinds; its values are {sorted(kinds, key=str)[:5]}"
        )
    return distances, same > 0


def _check_far(far: Any, n_different: int) -> NDArray[np.float64]:
    if far is None:
        return np.array([target for target in _DEFAULT_FAR if target >= 1 / n_different])
    given = list(far) if np.ndim(far) == 1 else [far]
    wrong = [rate for rate in given if not isinstance(rate, Real) or isinstance(rate, bool | np.bool_)]
    if wrong:
        raise ValueError(
            f"far must be a list of numbers, such as [0.1, 0.01] for 10 % and 1 %; got {wrong[0]!r}"
        )
    far = np.array(given, dtype=np.float64)
    out_of_range = far[~((far >= 1 / n_different) & (far < 1))]
    if len(out_of_range):
        raise ValueError(
            f"far={out_of_range[0]:g} cannot be observed: with {n_different} pairs of different classes it "
            f"must be from 1/{n_different} and below 1"
        )
    return far
