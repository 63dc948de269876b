"""Labelled samples as `MetricLearner` takes them: checked, without rows of weight zero, classes as codes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmetric._checks import check_width, encode_labels
from skmetric._params import check_sample_weight
from skmetric.linear._samples import read_labelled

from ._scatter import as_weights

_LARGEST_WEIGHT = 1e100


class Samples(NamedTuple):
    """Rows, their class codes, the classes, and the weights if there are any."""

    X: Any  # an array or a CSR array, (n_samples, n_features)
    codes: NDArray[np.intp]
    classes: NDArray[Any]
    weights: NDArray[np.floating] | None


def check_samples(
    learner: Any, X: Any, y: Any, sample_weight: Any, reset: bool, min_samples: int = 2
) -> Samples:
    """Validate what `fit` and `partial_fit` are given."""
    X, y = read_labelled(learner, X, y, reset=reset, min_samples=min_samples)
    check_width(X, learner)
    if sample_weight is not None:
        sample_weight = check_sample_weight(sample_weight, X, ensure_non_negative=True)
        kept = sample_weight > 0
        _check_size_of_weights(sample_weight[kept])
        X, y, sample_weight = X[kept], y[kept], as_weights(sample_weight[kept])
    codes, _, classes = encode_labels(y)
    return Samples(X, codes, classes, sample_weight)


def _check_size_of_weights(weights: NDArray[np.floating]) -> None:
    """Refuse weights of which the largest has no square in float64."""
    largest = weights.max(initial=1.0 if not len(weights) else 0.0)
    if not 1 / _LARGEST_WEIGHT <= largest <= _LARGEST_WEIGHT:
        raise ValueError(
            f"the largest sample_weight is {largest:.3g}, and must lie between {1 / _LARGEST_WEIGHT:g} and "
            f"{_LARGEST_WEIGHT:g}: divide all by their mean"
        )
