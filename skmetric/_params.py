"""Constructor constraints: the only file that names scikit-learn's private API."""

from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    StrOptions,
    validate_params,
)

__all__ = ["HasMethods", "Interval", "InvalidParameterError", "StrOptions", "fit_context", "validate_params"]
