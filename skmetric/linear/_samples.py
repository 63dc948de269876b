"""Samples as users give them to a learner of this package: rows, labels, chunks, weights."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import validate_data

from skmetric._checks import as_array, canonical_rows, check_finite_rows, read_labels, said_of_raw
from skmetric._params import check_sample_weight

from ._closed_form._scatter import as_weights
from ._statistics._moments import Rows

_LARGEST_WEIGHT = 1e100


def read_rows(learner: Any, X: Any, y: Any = None, *, reset: bool = True, min_samples: int = 2) -> Any:
    """Finite rows, dense or CSR; with `y`, which must be an array, the pair of both."""
    with said_of_raw(X):
        checked = validate_data(
            learner,
            as_array(X),
            "no_validation" if y is None else y,
            reset=reset,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            ensure_all_finite=False,
            ensure_min_samples=min_samples,
        )
    rows, *target = checked if isinstance(checked, tuple) else (checked,)
    check_finite_rows(rows)
    rows = canonical_rows(rows)
    n_components = getattr(learner, "n_components", None)
    if n_components is not None and n_components > rows.shape[1]:
        raise ValueError(f"n_components={n_components} is more than the {rows.shape[1]} features of X")
    return (rows, *target) if target else rows


def read_labelled(
    learner: Any, X: Any, y: Any, *, reset: bool = True, min_samples: int = 2, unlabeled: Any = None
) -> tuple[Rows, NDArray[Any]]:
    """Finite rows and their labels, which are classes, but for those marked as `unlabeled`."""
    rows, labels = read_rows(learner, X, _required(learner, y), reset=reset, min_samples=min_samples)
    classes = labels[~is_marked(labels, unlabeled)]
    if (kind := type_of_target(classes, input_name="y")) not in ("binary", "multiclass"):
        raise ValueError(f"Unknown label type: {kind}; classes are needed, as integers or strings")
    return rows, labels


def _required(learner: Any, y: Any) -> NDArray[Any]:
    if y is None:
        raise ValueError(
            f"requires y to be passed, but the target y is None: {type(learner).__name__} learns from labels"
        )
    return read_labels(y)


def read_targets(learner: Any, y: Any) -> NDArray[np.float64]:
    """Real-valued targets, finite and in float64."""
    targets = _required(learner, y)
    if targets.dtype.kind == "c":
        raise ValueError("Complex data not supported: y must hold real numbers")
    if targets.dtype.kind not in "fiub":
        raise ValueError(f"y must hold numbers, targets of a regression; it holds {targets.dtype}")
    return targets.astype(np.float64)


def read_weights(sample_weight: Any, X: Rows) -> NDArray[Any] | None:
    """Weights from 0, whole ones as integers; their scale does not matter, but must have a square."""
    if sample_weight is None:
        return None
    weights = check_sample_weight(as_array(sample_weight), X, ensure_non_negative=True)
    check_size_of_weights(weights)
    return as_weights(weights)


def check_size_of_weights(weights: NDArray[np.floating]) -> None:
    """Refuse weights of which the largest has no square in float64."""
    largest = float(weights.max(initial=0.0))  # float32 has no such squares
    if not 1 / _LARGEST_WEIGHT <= largest <= _LARGEST_WEIGHT:
        raise ValueError(
            f"the largest sample_weight is {largest:.3g}, and must lie between {1 / _LARGEST_WEIGHT:g} and "
            f"{_LARGEST_WEIGHT:g}: divide all by their mean"
        )


def is_marked(labels: NDArray[Any], marker: Any) -> NDArray[np.bool_]:
    """Rows whose label is the marker of "no label"; None marks none."""
    if marker is None:
        return np.zeros(len(labels), bool)
    is_text = isinstance(labels[:1].tolist()[0], str)
    if isinstance(marker, str) != is_text:
        raise ValueError(
            f"unlabeled={marker!r} cannot mark rows: the labels in y are {'text' if is_text else 'no text'}"
        )
    marked: NDArray[np.bool_] = np.asarray(labels == marker, dtype=bool)
    return marked


def map_attributes(
    mean: NDArray[Any], components: NDArray[Any], dtype: DTypeLike, unit: float = 1.0
) -> dict[str, Any]:
    """Attributes of the map ``(x - mean_) @ components_.T``, in the precision of the samples.

    `components` are a map of samples that were multiplied by `unit`.
    """
    with np.errstate(over="ignore"):
        components = (components * unit).astype(dtype)
    if not np.isfinite(components).all():
        raise ValueError(
            f"X is too small: the map that separates its classes has entries beyond {np.dtype(dtype)}; "
            "multiply X by a constant"
        )
    return {"mean_": mean.astype(dtype), "components_": components, "n_components_": len(components)}


def set_map(learner: Any, mean: NDArray[Any], components: NDArray[Any], dtype: DTypeLike) -> None:
    """Store these attributes."""
    vars(learner).update(map_attributes(mean, components, dtype))
