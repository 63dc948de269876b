"""The one gate for optional packages."""

from importlib import import_module
from typing import Any


def import_optional(module: str, *, extra: str, purpose: str) -> Any:
    """Import an optional package, or say which extra brings it.

    Parameters
    ----------
    module : str
        Name to import, such as ``"timm"`` or ``"PIL.Image"``.
    extra : str
        The extra of skmetric that installs it.
    purpose : str
        What needs it: the subject of the error message.

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    ImportError
        If the package is not installed, or is and fails to import: the message tells the two apart.

    Examples
    --------
    >>> import_optional("json", extra="vision", purpose="this example").__name__
    'json'
    >>> import_optional("no_such_package", extra="vision", purpose="Reading images")
    Traceback (most recent call last):
    ...
    ImportError: Reading images needs the package 'no_such_package': pip install 'skmetric[vision]'
    """
    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise ImportError(
            f"{purpose} needs the package {package!r}: pip install 'skmetric[{extra}]'", name=package
        ) from None
    except (RuntimeError, OSError, AttributeError) as error:  # a torchvision of another torch, for one
        raise ImportError(
            f"{purpose} needs the package {package!r}, which is installed and fails to import ({error}): "
            f"versions that do not fit each other; install them together by pip install 'skmetric[{extra}]'",
            name=package,
        ) from error
