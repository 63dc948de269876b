"""Constructor constraints, row indexing, callbacks: the only file that names scikit-learn's private API."""

from collections.abc import Callable
from typing import Any, TypeVar

from sklearn.base import _fit_context
from sklearn.callback import with_callbacks
from sklearn.callback._callback_support import callback_management_context
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    StrOptions,
)
from sklearn.utils._param_validation import validate_params as _validate_params
from sklearn.utils.validation import _check_sample_weight as check_sample_weight
from sklearn.utils.validation import _num_samples as num_samples

__all__ = [
    "FitTasks",
    "FittedAttributesMixin",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "StrOptions",
    "callback_management_context",
    "check_params",
    "check_sample_weight",
    "fit_context",
    "num_samples",
    "safe_indexing",
    "validate_params",
    "with_callbacks",
]

_Function = TypeVar("_Function", bound=Callable[..., Any])


class FittedAttributesMixin:
    """An estimator that says whether its HTML representation shows its fitted attributes."""

    def _shows_attributes(self) -> bool:
        """Whether reading all of them costs little."""
        return True

    def _get_fitted_attr_html(self, doc_link: str = "") -> Any:
        inherited = getattr(super(), "_get_fitted_attr_html", None)
        return inherited(doc_link) if inherited is not None and self._shows_attributes() else ()


def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[_Function], _Function]:
    """Make scikit-learn's decorator of `fit`, which checks constructor arguments and ends callbacks."""
    return _fit_context(prefer_skip_nested_validation=prefer_skip_nested_validation)


def validate_params(
    constraints: dict[str, Any], *, prefer_skip_nested_validation: bool
) -> Callable[[_Function], _Function]:
    """Make scikit-learn's decorator of functions, which checks their arguments."""
    return _validate_params(constraints, prefer_skip_nested_validation=prefer_skip_nested_validation)


def check_params(estimator: Any) -> None:
    """Check constructor arguments against their constraints, also inside the `fit` of another estimator."""
    estimator._validate_params()


class FitTasks:
    """A fit and its steps, announced to scikit-learn's callbacks: progress bars, monitors, requests to stop.

    `fit_context` around the method ends the callbacks.

    Parameters
    ----------
    estimator : estimator with CallbackSupportMixin
        Being fitted.
    X, y : array-like
        As given to `fit`.
    n_steps : int
        At most.
    name : str, default="epoch"
        Of a step.
    task : str, default="fit"
        Of the whole.
    """

    def __init__(
        self, estimator: Any, X: Any, y: Any, n_steps: int, name: str = "epoch", task: str = "fit"
    ) -> None:
        self.estimator, self.X, self.y, self.name = estimator, X, y, name
        self.fitted: Callable[[], dict[str, Any]] = dict  # attributes that make the estimator usable as it is
        self.context = estimator._init_callback_context(task_name=task, max_subtasks=n_steps)
        self.context.call_on_fit_task_begin(estimator=estimator, X=X, y=y)

    def begin(self) -> None:
        """A step begins."""
        self.step = self.context.subcontext(task_name=self.name)
        self.step.call_on_fit_task_begin(estimator=self.estimator, X=self.X, y=self.y)

    def end(self) -> bool:
        """The step ended; whether a callback asks to stop."""
        return self.step.call_on_fit_task_end(
            estimator=self.estimator, X=self.X, y=self.y, reconstruction_attributes=self.fitted
        )

    def close(self) -> None:
        """The fit ended."""
        self.context.call_on_fit_task_end(
            estimator=self.estimator, X=self.X, y=self.y, reconstruction_attributes={}
        )
