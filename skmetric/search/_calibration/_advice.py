"""What to do about a calibration that is of little use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ._calibration import Calibration

_POOR = 0.2  # recall minus false accepts, below which there is a comment
_HOPELESS = 0.05  # and below which there is a warning too
_NOBODY = 0.1  # recall


def advice(calibration: Calibration) -> list[str]:
    """Comments on a calibration, each with what to do; empty where nothing is wrong."""
    if calibration.protocol != "open":
        return []
    if not calibration.n_known:
        return [
            "recall is not known (nan): no query has another item of its class to find. 'optimal' is the "
            "largest distance that accepts no stranger; to know recall, enrol a second item of some classes, "
            "or give labelled queries"
        ]
    comments = []
    gap = separation(calibration)
    if gap < _POOR:
        comments.append(
            f"known queries and strangers lie at nearly the same distances (recall minus false accepts is "
            f"{gap:.3f} at best): no threshold tells them apart. Train or choose another embedder, enrol "
            "more items of each class, or look for wrong labels with outliers()"
        )
    for name, rates in calibration.cutpoints.items():
        if name != "optimal" and rates.get("recall", 1.0) < _NOBODY:
            comments.append(
                f"{name!r} refuses nearly everyone (recall {rates['recall']:.3f}): ask for a less "
                "strict rate, or calibrate on more classes"
            )
    return comments


def separation(calibration: Calibration) -> float:
    """The largest recall minus false accept rate of all thresholds; infinite where it is not known."""
    table = calibration.thresholds
    if "recall" not in table or "false_accept_rate" not in table or not calibration.n_known:
        return np.inf
    return float(np.max(table["recall"] - table["false_accept_rate"]))


def hopeless(calibration: Calibration) -> str | None:
    """The warning for a calibration by which hardly anyone can be recognised, or None."""
    if calibration.protocol == "open" and separation(calibration) < _HOPELESS:
        return f"this calibration is of little use: {advice(calibration)[0]}"
    return None
