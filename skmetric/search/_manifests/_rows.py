"""The arrays of a saved gallery: a digest that fits does not make them arrays of the same items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from skmetric._folder._arrays import StoredArrays

_INTEGERS, _FLOATS = "iu", "f"  # kinds of numpy's types


def check_rows(content: Mapping[str, Any], arrays: StoredArrays) -> None:
    """Refuse arrays of a gallery whose types, shapes or keys do not go together.

    Embeddings and text are not read for it.

    Raises
    ------
    TypeError
        Naming the array.
    KeyError
        If one is missing.
    """
    keys = _of(arrays, "keys", 1, _INTEGERS)
    n_items = keys.shape[0]
    columns = [f"metadata_{i}" for i in range(len(content["gallery"]["columns"]))]
    for name in ("ids", "codes", *columns):
        if name in arrays:
            _of(arrays, name, 1, None if name != "codes" else _INTEGERS, n_items)
    if "samples" in arrays:
        _of(arrays, "samples", None, None, n_items)
    values = arrays["keys"]
    if n_items and (values[0] < 0 or not (values[1:] > values[:-1]).all()):
        raise TypeError("the array keys must ascend from 0")
    if "codes" in arrays:
        _check_codes(arrays["codes"], _of(arrays, "labels", 1, None).shape[0])
        if len(set(arrays["labels"].tolist())) < len(arrays["labels"]):
            raise TypeError("the array labels has names that are equal")
    if content["index"]["class"] in ("ExactIndex", "FaissIndex"):
        _check_index(content, arrays, values)


def check_rates(names: list[str], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Refuse arrays of a calibration that are no thresholds and no factors of classes.

    Raises
    ------
    TypeError
        Naming the array.
    KeyError
        If one is missing.
    """
    for name in names:
        _check(f"threshold_{name}", arrays[f"threshold_{name}"], 1, _FLOATS + _INTEGERS)
    if "factors" in arrays or "factor_labels" in arrays:
        _check("factors", arrays["factors"], 1, _FLOATS, len(arrays["factor_labels"]))
        if not np.isfinite(arrays["factors"]).all():
            raise TypeError("the array factors has values that are not finite")


def _check_codes(codes: NDArray[Any], n_labels: int) -> None:
    if len(codes) and not 0 <= codes.min() <= codes.max() < n_labels:
        raise TypeError(f"the array codes must be from 0 to {n_labels - 1}, one for each of the labels")


def _check_index(content: Mapping[str, Any], arrays: StoredArrays, keys: NDArray[Any]) -> None:
    _of(arrays, "index_ids", 1, _INTEGERS, len(keys))
    ids = arrays["index_ids"]
    if not np.array_equal(ids, keys) and not np.array_equal(np.sort(ids), keys):
        raise TypeError("the array index_ids must have the numbers of keys")
    if "index_serials" in arrays:
        _of(arrays, "index_serials", 1, _INTEGERS, len(keys))
    if "index_vectors" in arrays or content["index"]["class"] == "ExactIndex":
        vectors = _of(arrays, "index_vectors", 2, _FLOATS, len(keys))
        if vectors.shape[1] != content["n_components"]:
            raise TypeError(
                f"the array index_vectors has {vectors.shape[1]} columns, and n_components is "
                f"{content['n_components']}"
            )


def _of(
    arrays: StoredArrays, name: str, n_axes: int | None, kinds: str | None, n_rows: int | None = None
) -> Any:
    part = arrays.part(name)
    _check(name, part, n_axes, kinds, n_rows)
    return part


def _check(name: str, array: Any, n_axes: int | None, kinds: str | None, n_rows: int | None = None) -> None:
    """Refuse an array of another number of axes, kind of values or number of rows."""
    shape = array.shape
    is_right = len(shape) == n_axes if n_axes is not None else len(shape) > 0
    if not is_right or (kinds is not None and array.dtype.kind not in kinds):
        raise TypeError(f"the array {name} has the shape {list(shape)} and the type {array.dtype}")
    if n_rows is not None and shape[0] != n_rows:
        raise TypeError(f"the array {name} has {shape[0]} rows where {n_rows} are needed")
