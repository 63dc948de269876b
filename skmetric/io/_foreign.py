"""Objects of other packages: in the format of skops, whose types are looked at before they are built."""

from __future__ import annotations

import copy
import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

import numpy as np
from joblib import Memory
from numpy.typing import NDArray

from skmetric._optional import import_optional

from ._classes import class_of

_PURPOSE = "A folder with estimators of scikit-learn"
FOLDERS = ("cache", "checkpoint", "memory")  # attributes that name folders to write into


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
    if any(_paths(part) for part in _parts(value)):
        value = _without_paths(copy.deepcopy(value))
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
    """The object, if each of its types is trusted. It names no folder to write into."""
    skops = import_optional("skops.io", extra="io", purpose=_PURPOSE)
    raw = data.tobytes()
    ours = [name for name in skops.get_untrusted_types(data=raw) if _is_ours(name)]
    try:
        found = skops.loads(raw, trusted=[*trusted, *ours])
    except Exception as error:
        raise ValueError(f"what skops wrote cannot be built ({type(error).__name__}: {error})") from error
    return _without_paths(found)


def _parts(value: Any) -> Iterator[Any]:
    """An object and those that it holds, as far as attributes and containers lead."""
    left, seen = [value], set()
    while left:
        one = left.pop()
        if id(one) in seen or isinstance(one, str | bytes | int | float | type):
            continue
        seen.add(id(one))
        if isinstance(one, Mapping):
            left += one.values()
        elif isinstance(one, list | tuple | set | frozenset):
            left += one
        elif isinstance(one, np.ndarray):
            left += one.ravel().tolist() if one.dtype == object else []
        elif hasattr(one, "__dict__"):
            yield one
            left += vars(one).values()


def _without_paths(value: Any) -> Any:
    """The object, changed in place: a model does not choose where a process writes."""
    for part in _parts(value):
        vars(part).update(dict.fromkeys(_paths(part)))
    return value


def _paths(part: Any) -> list[str]:
    """Attributes that name folders to write into."""
    if type(part).__module__.partition(".")[0] not in ("skmetric", "sklearn"):
        return []
    return [name for name in FOLDERS if name in vars(part) and _is_place(vars(part)[name])]


def _is_place(value: Any) -> bool:
    is_settings = type(value).__name__ == "Checkpoint" and hasattr(value, "path")  # without torch
    return is_settings or isinstance(value, str | PurePath | Memory)


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
