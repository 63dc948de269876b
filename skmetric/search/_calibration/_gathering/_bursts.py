"""Near-duplicates in a class: photos of one session are much nearer to each other than to the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEPTH = 8  # items of the class that are looked at, so that bursts have up to so many photos
_GAP = 2.01  # times as far is the next item, at least; on a grid it is twice as far, but for rounding
_LINE = 0.71  # share of the points with a gap, were they spread at random on a line, where it is largest
_SHARE = 0.75  # of the samples, at least, from which on there is a warning
_ERRORS = 3  # standard errors above the share on a line, so that 23 samples or more are needed


def bursts(own: NDArray[np.float64], is_gallery: bool) -> str | None:
    """The warning where most samples are in a burst of near-duplicates, or None.

    A sample is in one if the next item of its class is more than twice as far as those before it: if there is
    a gap in its distances. With points spread evenly in m dimensions the j-th item is that much nearer than
    the next with probability 2^(-m j), so that a share of .71 of all samples have a gap for m = 1, of .31 for
    m = 2 and of .02 for m = 6. The warning needs clearly more than of the points on a line.

    Parameters
    ----------
    own : ndarray of shape (n_samples, n_own)
        Distances of each sample to the nearest items of its class, ascending; infinite where there are fewer.
    is_gallery : bool
        Whether the samples are the items of the gallery, not queries.
    """
    here, following = own[:, :-1], own[:, 1:]
    there = np.isfinite(following)
    asked = there.any(axis=1)  # needs two items: the near one and the next
    gap = there & (here > 0) & (_GAP * np.where(there, here, 0) <= np.where(there, following, 0))
    n_asked, n_near = int(asked.sum()), int(gap.any(axis=1).sum())
    error = np.sqrt(_LINE * (1 - _LINE) / max(n_asked, 1))  # standard error of the share on a line
    if not n_asked or n_near < max(_SHARE, _LINE + _ERRORS * error) * n_asked:
        return None
    noun = "items" if is_gallery else "queries"
    remedy = "fit(X, y, groups=...)" if is_gallery else "fit(..., groups=) and calibrate(X, y, groups=)"
    return (
        f"{n_near} of the {n_asked} {noun} are less than half as far from some items of their class as from "
        "the next: near-duplicates, such as photos of one session? The recall promised then holds for more "
        "photos of these sessions, and is too high for new ones. Name the session of each sample, "
        f"{remedy}: no sample is then compared with its own session"
    )
