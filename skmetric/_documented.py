"""What estimators tell of themselves: their page in the documentation and, in a pickle, their version."""

import sys
from functools import cache
from typing import Any, TypeVar

from sklearn.exceptions import InconsistentVersionWarning

from skmetric._warning import warn

__all__ = ["DocumentedMixin", "documentation_address", "kept_as_dict"]


_KIND = "named_tuple"
_KEPT_AS_DICT: dict[str, Any] = {}
_NamedTuple = TypeVar("_NamedTuple", bound=type)


def kept_as_dict(kind: _NamedTuple) -> _NamedTuple:
    """Mark a private NamedTuple that estimators hold: in their pickles it is a dict, and no class is named.

    Parameters
    ----------
    kind : type
        The NamedTuple.

    Returns
    -------
    type
        The same.
    """
    _KEPT_AS_DICT[kind.__name__] = kind
    return kind


class DocumentedMixin:
    """An estimator with a page in the documentation, to which scikit-learn's HTML representation links.

    Its pickles have the version of the package in them; one of another version loads with the warning that
    scikit-learn has for its own. It stands left of ``BaseEstimator``. A class of another package that derives
    from one of ours has neither.

    Pickles name public classes alone: a NamedTuple of a private class, which :func:`kept_as_dict` marks, is a
    dict in them.
    """

    _doc_link_module = "skmetric"

    @property
    def _doc_link_template(self) -> str:
        """Where autosummary puts the page; empty, and so no link, where no address is known."""
        address = documentation_address()
        return address and address + "generated/{estimator_module}.{estimator_name}.html"

    def __getstate__(self) -> dict[str, Any]:
        """Give the state as it is pickled, with the version of the package."""
        state: dict[str, Any] = dict(super().__getstate__())  # type: ignore[call-overload]
        for name, value in state.items():
            if _KEPT_AS_DICT.get(type(value).__name__) is type(value):
                state[name] = {_KIND: type(value).__name__} | value._asdict()
        return state | {"_skmetric_version": _version()} if _is_ours(self) else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take a state; warn if another version wrote it."""
        state = dict(state)
        written_by = state.pop("_skmetric_version", None)  # versions before 0.2 did not tell
        if _is_ours(self) and written_by not in (None, _version()):
            warn(
                _AnotherVersion(
                    estimator_name=type(self).__name__,
                    current_sklearn_version=_version(),
                    original_sklearn_version=written_by,
                )
            )
        for name, value in state.items():
            if isinstance(value, dict) and value.get(_KIND) in _KEPT_AS_DICT:
                state[name] = _KEPT_AS_DICT[value[_KIND]](**{k: v for k, v in value.items() if k != _KIND})
        super().__setstate__(state)  # type: ignore[misc]


class _AnotherVersion(InconsistentVersionWarning):
    """The warning of scikit-learn, in the name of this package."""

    def __str__(self) -> str:
        return (
            f"{self.estimator_name} was saved by skmetric {self.original_sklearn_version}, and this is "
            f"skmetric {self.current_sklearn_version}: its results may differ, or it may fail. Load it with "
            "the version that wrote it, or fit it again"
        )


def _is_ours(estimator: object) -> bool:
    return type(estimator).__module__.split(".")[0] == "skmetric"


def _version() -> str:
    return sys.modules["skmetric"].__version__  # the root is above this module


@cache
def documentation_address() -> str:
    """Address of the published documentation, as the metadata of the installed package has it.

    Returns
    -------
    str
        With a slash at its end; empty if the package is not installed, or its metadata name none.
    """
    from importlib.metadata import PackageNotFoundError, metadata  # read when a notebook first asks

    try:
        urls = metadata("skmetric").get_all("Project-URL") or []
    except PackageNotFoundError:
        return ""
    named = dict(url.split(", ", 1) for url in urls)
    address = named.get("Documentation", "").rstrip("/")
    return address and address + "/"
