"""Warnings that point to the user's line, however deep in the package they arise."""

import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

__all__ = ["user_frame", "warn"]

_CALLERS = ("sklearn", "torch", "joblib")  # packages that stand between the user's line and ours
_OURS = str(Path(__file__).parent)


def warn(message: str | Warning, category: type[Warning] = UserWarning) -> None:
    """Warn at the line of the user's code that led here.

    Frames of this package, and of those that call it in the user's place, as a pipeline of scikit-learn does,
    are passed over.

    Parameters
    ----------
    message : str or Warning
        What is the matter, and what to do.
    category : type of Warning, default=UserWarning
        Its class, if `message` is text.
    """
    warnings.warn(message, category, stacklevel=stack_level())


def stack_level() -> int:
    """Level of the user's line, for ``warnings.warn(..., stacklevel=)`` in the function that calls it."""
    frame = sys._getframe(1)
    target, level = user_frame(frame), 1  # 1 is the line that calls `warnings.warn`
    while frame is not target and frame.f_back is not None:
        level, frame = level + 1, frame.f_back
    return level


def user_frame(frame: FrameType) -> FrameType:
    """First frame, from `frame` outwards, that is neither of this package nor of those that call it.

    Parameters
    ----------
    frame : frame
        Of this package.

    Returns
    -------
    frame
        The outermost one if there is no other.
    """
    passed_over = (_OURS, *_folders())
    while frame.f_back is not None and _is_passed_over(frame, passed_over):
        frame = frame.f_back
    return frame


def _folders() -> list[str]:
    """Folders of the packages that call this one, as far as they are loaded."""
    specs = (find_spec(name) for name in _CALLERS if name in sys.modules)
    return [str(Path(spec.origin).parent) for spec in specs if spec is not None and spec.origin is not None]


def _is_passed_over(frame: FrameType, prefixes: tuple[str, ...]) -> bool:
    name = frame.f_code.co_filename
    return name.startswith((*prefixes, "<frozen")) or name.endswith(("contextlib.py", "functools.py"))
