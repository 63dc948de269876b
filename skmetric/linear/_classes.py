"""Classes that can be learned from, and classes of two calls taken together."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skmetric._checks import encode_labels


def check_classes(codes: NDArray[np.intp], classes: NDArray[Any]) -> None:
    """Two classes to tell apart, and one that shows how its samples differ."""
    if len(classes) < 2:
        raise ValueError(f"y has one class only ({classes[0]}): telling classes apart needs two or more")
    if len(codes) == len(classes):
        raise ValueError(
            f"each of the {len(classes)} classes of y has one row: how samples of a class differ cannot be "
            "learned from these; give two rows or more of some, or collect batches with partial_fit"
        )


def unite(old: NDArray[Any], new: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[Any]]:
    """Codes of the classes `old` and `new` among the classes of both, and these."""
    try:
        codes, new_codes, union = encode_labels(old, new)
    except ValueError as error:
        seen, got = old[:1].tolist()[0], new[:1].tolist()[0]
        raise ValueError(f"y has {got!r}, earlier labels are like {seen!r}: convert to one type") from error
    assert new_codes is not None
    return codes, new_codes, union
