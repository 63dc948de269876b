"""Which files of a list can be read as images, and why the others cannot."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils import Bunch

from skmetric._images._files import reasons_of_paths
from skmetric._warning import warn

__all__ = ["LeftOut", "check_images"]

_SHOWN = 5  # how many bad files a warning lists


class LeftOut(NamedTuple):
    """A file or folder that is not among the images, and why."""

    path: str
    reason: str


def check_images(paths: Sequence[str | os.PathLike[str]], *, n_jobs: int | None = -1) -> Bunch:
    """Decode image files, and tell those that can be read from those that cannot.

    A damaged file would end the training on it; this finds all of them at once, so that work can go on with
    the others.

    Parameters
    ----------
    paths : sequence of str or path-like
        Files.
    n_jobs : int, default=-1
        Threads; -1 is one for each core.

    Returns
    -------
    Bunch
        ``rows`` : ndarray of int
            Places in `paths` of the images that can be read: ``paths[rows]`` and ``labels[rows]`` of arrays.
        ``left_out`` : list of LeftOut
            The others, as named tuples ``(path, reason)``.

    Raises
    ------
    ImportError
        If Pillow is not installed.
    ValueError
        If `paths` is one path.

    Warns
    -----
    UserWarning
        If there are files that cannot be read: how many, and the first of them.

    See Also
    --------
    skmetric.datasets.load_image_folder : Lists a folder, and checks it with ``check=True``.

    Examples
    --------
    >>> from skmetric.datasets import check_images
    >>> check_images([]).rows.tolist()
    []
    """
    if isinstance(paths, str | os.PathLike):
        raise ValueError(f"paths is one path, {os.fspath(paths)!r}: pass a list of paths")
    names = [str(os.fspath(path)) for path in paths]
    reasons = reasons_of_paths(names, effective_n_jobs(n_jobs))
    left_out = [LeftOut(names[i], reason) for i, reason in reasons.items()]
    if left_out:
        shown = "; ".join(left.reason for left in left_out[:_SHOWN])
        more = f"; and {len(left_out) - _SHOWN} more" if len(left_out) > _SHOWN else ""
        warn(f"{len(left_out)} of {len(names)} images cannot be read and are left out: {shown}{more}")
    return Bunch(rows=np.setdiff1d(np.arange(len(names)), list(reasons)), left_out=left_out)
