"""What is of the user's own code: a folder has its name, and whoever loads brings it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn


class Missing:
    """Stands in the place of an object of the user's own code that only training needs, and was not given.

    Calling it raises an error that names it.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Say what is missing."""
        raise RuntimeError(
            f"{self.name!r} is of the code of whoever saved this model, and training needs it: load with "
            f"modules={{{self.name!r}: ...}}, or set the parameter"
        )

    def __repr__(self) -> str:
        return f"<{self.name}, not given to load>"

    def __deepcopy__(self, memo: Any) -> Missing:
        return self


def name_of_own(value: Any, where: str) -> str:
    """The name of an object of the user's own code.

    Raises
    ------
    TypeError
        If it has none that could be found again.
    """
    name = getattr(value, "__name__", type(value).__name__)
    if not name.isidentifier():
        raise TypeError(
            f"a folder has what is of your own code by its name, and {where} is {value!r}, which has none: "
            "define it as a function or class with a name"
        )
    return name


def given(name: str, is_instance: bool, is_needed: bool, modules: Mapping[str, Any]) -> Any:
    """What the user gave for a name, or what stands in its place.

    Raises
    ------
    ValueError
        If it was not given, and the model cannot be used without.
    """
    if name not in modules:
        if not is_needed:
            return Missing(name)
        what, given_as = (
            ("network", "a function or class that returns such a network")
            if is_instance
            else ("function or class", "the same function or class")
        )
        raise ValueError(
            f"the {what} {name!r} is of the code of whoever saved this model, and is not in the folder: "
            f"load with modules={{{name!r}: ...}}, {given_as}"
        )
    found = modules[name]
    return (
        found()
        if is_instance and callable(found) and not hasattr(found, "parameters")
        else _as_is(found, is_instance)
    )


def _as_is(found: Any, is_instance: bool) -> Any:
    """A class is called too, whose `parameters` are a method of its instances."""
    return found() if is_instance and isinstance(found, type) else found
