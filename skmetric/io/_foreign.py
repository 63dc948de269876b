"""Objects of other packages: in the format of skops, whose types are looked at before they are built."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skmetric._optional import import_optional

from ._classes import class_of

_PURPOSE = "A folder with estimators of scikit-learn"


def dumped(value: Any, where: str) -> NDArray[np.uint8]:
    """What skops writes of an object.

    Raises
    ------
    ImportError
        If skops is not installed.
    TypeError
        If skops cannot hold it.
    """
    skops = import_optional("skops.io", extra="io", purpose=_PURPOSE)
    try:
        return np.frombuffer(skops.dumps(value), dtype=np.uint8)
    except Exception as error:  # whatever objects raise that were not made to be taken apart
        raise TypeError(
            f"a folder cannot hold {where or 'this'}, a {type(value).__name__}, which skops refuses "
            f"({error}): use joblib"
        ) from error


def untrusted(data: NDArray[np.uint8], trusted: Iterable[str]) -> list[str]:
    """Types in what skops wrote that nobody trusts yet.

    Raises
    ------
    ValueError
        If it is no file of skops, or a compressed one, which could grow without bound.
    """
    skops = import_optional("skops.io", extra="io", purpose=_PURPOSE)
    raw = data.tobytes()
    _check_archive(raw)
    try:
        found = skops.get_untrusted_types(data=raw)
    except Exception as error:  # of what was made up skops raises whatever its nodes do
        raise ValueError(f"what skops wrote is damaged ({type(error).__name__}: {error})") from error
    return sorted(name for name in found if name not in set(trusted) and not _is_ours(name))


def loaded(data: NDArray[np.uint8], trusted: Iterable[str]) -> Any:
    """The object, if each of its types is trusted."""
    skops = import_optional("skops.io", extra="io", purpose=_PURPOSE)
    raw = data.tobytes()
    ours = [name for name in skops.get_untrusted_types(data=raw) if _is_ours(name)]
    try:
        return skops.loads(raw, trusted=[*trusted, *ours])
    except Exception as error:
        raise ValueError(f"what skops wrote cannot be built ({type(error).__name__}: {error})") from error


def _check_archive(raw: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OverflowError, NotImplementedError) as error:
        raise ValueError(f"what skops wrote is damaged ({error})") from error
    packed = [member.filename for member in members if member.compress_type != zipfile.ZIP_STORED]
    if packed or sum(member.file_size for member in members) > len(raw):
        raise ValueError("what skops wrote is compressed, and could grow without bound: it is not read")


def _is_ours(name: str) -> bool:
    try:
        class_of(name)
    except ValueError:
        return False
    return True
