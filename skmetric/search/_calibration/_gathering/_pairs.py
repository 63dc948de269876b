"""A calibration on pairs: cutpoints and rates over distance, of a verification report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skmetric.search._calibration._calibration import Calibration

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skmetric.metrics._verification import VerificationReport


def calibration_of_pairs(
    report: VerificationReport,
    distances: NDArray[np.float64],
    same: NDArray[np.bool_],
    sizes: tuple[int, int],
    confidence_level: float,
) -> Calibration:
    """Calibration with the thresholds of a report on pairs, "optimal" at the equal error rate.

    `distances` of the pairs and whether each is of the `same` class, both (n_pairs,); `sizes` are the items
    and classes of the gallery.
    """
    at = np.unique(distances)
    at = np.concatenate([[np.nextafter(at[0], -np.inf)], at])
    rates = {
        "true_accept_rate": np.searchsorted(np.sort(distances[same]), at, side="right") / same.sum(),
        "false_accept_rate": np.searchsorted(np.sort(distances[~same]), at, side="right") / (~same).sum(),
    }
    cutpoints: dict[str, dict[str, float]] = {}
    intervals: dict[str, Any] = {}
    for score, threshold in report.thresholds.items():
        name = "optimal" if score == "eer" else score.removeprefix("tar_at_")
        row = np.searchsorted(at, threshold, side="right") - 1
        cutpoints[name] = {"distance": threshold, **{rate: float(rates[rate][row]) for rate in rates}}
        if score != "eer":
            intervals[name] = {"true_accept_rate": report.intervals[score]}
    return Calibration(
        cutpoints, intervals, {"distance": at, **rates}, "pairs", "equal_error_rate", *sizes,
        report.n_same, report.n_different, confidence_level,
    )  # fmt: skip
