"""The one gate for optional packages."""

import re
from importlib import import_module
from types import ModuleType

__all__ = ["check_version", "import_optional"]

_DISTRIBUTIONS = {  # whose name differs from that of the module
    "PIL": "pillow",
    "sentence_transformers": "sentence-transformers",
}
_TORCHVISION = (
    "torchvision was built for another torch. Install both from one index, the CPU's or that of your CUDA: "
    "pip install --force-reinstall torch torchvision --index-url https://download.pytorch.org/whl/cpu"
)


def import_optional(module: str, *, extra: str | None, purpose: str) -> ModuleType:
    """Import an optional package, or say what installs it.

    Parameters
    ----------
    module : str
        Name to import, such as ``"timm"`` or ``"PIL.Image"``.
    extra : str or None
        The extra of skmetric that installs it; None: the package is installed by itself.
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
            f"{purpose} needs the package {package!r}: {_command(package, extra)}", name=package
        ) from None
    except (RuntimeError, OSError, AttributeError) as error:  # a torchvision of another torch, for one
        torchvision = "torchvision" in str(error)
        again = f"pip install --upgrade --force-reinstall {_distribution(package, extra)}"
        remedy = (
            _TORCHVISION if torchvision else f"versions that do not fit each other; install it anew: {again}"
        )
        raise ImportError(
            f"{purpose} needs the package {package!r}, which is installed and fails to import ({error}): "
            f"{remedy}",
            name=package,
        ) from error


def check_version(distribution: str, least: str, *, extra: str, purpose: str) -> None:
    """Refuse an installed package that is missing, or older than the first version whose results are right.

    Parameters
    ----------
    distribution : str
        Name that pip knows it by.
    least : str
        The first version that serves: the bound of the extra.
    extra : str
        The extra of skmetric that installs it.
    purpose : str
        What needs it: the subject of the error message.

    Raises
    ------
    ImportError
        If it is missing or older.
    """
    from importlib import metadata  # takes time, and only a few ask

    try:
        found = metadata.version(distribution)
    except metadata.PackageNotFoundError:
        raise ImportError(
            f"{purpose} needs the package {distribution!r}: {_command(distribution, extra)}",
            name=distribution,
        ) from None
    if _numbers(found) < _numbers(least):
        raise ImportError(
            f"{purpose} needs {distribution} {least} or newer, and {found} is installed, whose results are "
            f"wrong: pip install --upgrade 'skmetric[{extra}]'",
            name=distribution,
        )


def _numbers(version: str) -> tuple[int, ...]:
    """The first three numbers of a version."""
    found = [int(number) for number in re.findall(r"\d+", version)[:3]]
    return (*found, *[0] * (3 - len(found)))


def _command(package: str, extra: str | None) -> str:
    """The smallest installation that brings the package."""
    if package in _DISTRIBUTIONS and extra is not None:
        return f"pip install {_DISTRIBUTIONS[package]}, or all of the extra: pip install 'skmetric[{extra}]'"
    return f"pip install {_distribution(package, extra)}"


def _distribution(package: str, extra: str | None) -> str:
    return _DISTRIBUTIONS.get(package, package) if extra is None else f"'skmetric[{extra}]'"
