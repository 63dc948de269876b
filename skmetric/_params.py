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
    "check_sample_weight",
    "fit_context",
    "safe_indexing",
    "validate_parameters",
    "validate_params",
]


def validate_parameters(estimator):
    """Check the constructor's arguments of what is not fitted, as ``fit`` does for estimators."""
    estimator._validate_params()
