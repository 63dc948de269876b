"""Constructor constraints and row indexing: the only file that names scikit-learn's private API."""

from sklearn.base import _fit_context as fit_context
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    StrOptions,
    validate_params,
)
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

__all__ = [
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "StrOptions",
    "check_params",
    "check_sample_weight",
    "fit_context",
    "safe_indexing",
    "validate_params",
]


def check_params(estimator):
    """Check constructor arguments against their constraints, also inside the `fit` of another estimator."""
    estimator._validate_params()
