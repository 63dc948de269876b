"""Labelled samples as `MetricLearner` takes them: checked, without rows of weight zero, classes as codes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmetric._checks import as_array, check_width, encode_labels
from skmetric._params import check_sample_weight
from skmetric.linear._samples import check_size_of_weights, read_labelled

from ._scatter import as_weights


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
        sample_weight = check_sample_weight(as_array(sample_weight), X, ensure_non_negative=True)
        kept = sample_weight > 0
        if kept.any():
            check_size_of_weights(sample_weight)
        X, y, sample_weight = X[kept], y[kept], as_weights(sample_weight[kept])
    codes, _, classes = encode_labels(y)
    return Samples(X, codes, classes, sample_weight)
