"""Public classes bear the public module that exports them, so that pickles and messages name it."""

import inspect
import sys

__all__ = ["publish"]


def publish(module: str) -> None:
    """Set ``__module__`` of the classes in ``__all__`` of a package to the package.

    Parameters
    ----------
    module : str
        Full name of the package, as ``__name__`` has it at the end of its ``__init__``.
    """
    package = sys.modules[module]
    for name in package.__all__:
        thing = getattr(package, name)
        if inspect.isclass(thing) and thing.__module__.startswith(f"{module}._"):
            thing.__module__ = module
