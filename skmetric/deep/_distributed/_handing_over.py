"""An estimator and its samples on their way to new processes, and what was learned on its way back.

Arrays lie in files that all processes map: the samples are in memory once, however many processes there are.
"""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from joblib import wrap_non_picklable_objects
from numpy.typing import NDArray

from ._telling import Address, connect

_SMALL = 1 << 16  # bytes up to which an array is pickled


class Folder:
    """What processes hand to one another.

    Parameters
    ----------
    path : str
        Of a folder made for them.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def give(self, estimator: Any, method: str, args: tuple[Any, ...], told: Address | None = None) -> None:
        """Write what the processes will do, and where the caller listens, if it has callbacks."""
        args = tuple(self._given(value, number) for number, value in enumerate(args))
        task = wrap_non_picklable_objects((estimator, method, args, told), keep_wrapper=False)
        (self.path / "task.pickle").write_bytes(_pickled(task))

    def work(self, rank: int) -> None:
        """Do it; the first process leaves the result, and any leaves its error."""
        estimator, method, args, told = pickle.loads((self.path / "task.pickle").read_bytes())
        try:
            connect(told if rank == 0 else None)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                getattr(estimator, method)(*map(_taken, args))
            if rank == 0:
                messages = [(str(warning.message), warning.category) for warning in caught]
                (self.path / "result.pickle").write_bytes(_pickled((estimator, messages)))
        except Exception as error:
            whole = self.path / f"error-{rank}.pickle"
            whole.with_suffix(".part").write_bytes(_pickled(error))
            whole.with_suffix(".part").rename(whole)
            raise

    def result(self) -> tuple[dict[str, Any], list[tuple[str, type[Warning]]]]:
        """Fitted attributes, and the warnings of the first process."""
        estimator, messages = pickle.loads((self.path / "result.pickle").read_bytes())
        given = estimator.get_params(deep=False)
        return {name: value for name, value in vars(estimator).items() if name not in given}, messages

    def error(self) -> Exception | None:
        """The first error: those after it are of processes that waited for the one that failed."""
        files = sorted(self.path.glob("error-*.pickle"), key=lambda file: file.stat().st_mtime_ns)
        return pickle.loads(files[0].read_bytes()) if files else None

    def _given(self, value: Any, number: int) -> Any:
        """A memory map by its file, an array in a new file, anything else as it is."""
        if isinstance(value, np.memmap) and _is_whole(value):
            order = "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
            return _Mapped(str(value.filename), value.dtype, value.shape, int(value.offset), order)
        if isinstance(value, np.ndarray) and not value.dtype.hasobject and value.nbytes > _SMALL:
            file = self.path / f"{number}.npy"
            np.save(file, value)
            return file
        return value


class _Mapped:
    """A memory map, by its file."""

    def __init__(self, *how: Any) -> None:
        self.how = how

    def opened(self) -> NDArray[Any]:
        file, dtype, shape, offset, order = self.how
        return np.memmap(file, dtype, "r", offset, shape, order)


def _is_whole(array: np.memmap) -> bool:
    """Whether a memory map is what was opened, not a part or a changed copy of it."""
    whole = array.flags.c_contiguous or array.flags.f_contiguous
    return whole and array.mode in ("r", "r+") and array.base is array._mmap  # type: ignore[attr-defined]


def _taken(value: Any) -> Any:
    if isinstance(value, _Mapped):
        return value.opened()
    return np.load(value, mmap_mode="r") if isinstance(value, Path) else value


def _pickled(value: Any) -> bytes:
    try:
        return pickle.dumps(value)
    except Exception as error:
        if isinstance(value, Exception):
            return pickle.dumps(RuntimeError(f"{type(value).__name__}: {value}"))
        raise TypeError(
            "distributed= hands the learner, its samples and what it learned to other processes, and they "
            f"do not pickle: {error}. Start the script by torchrun instead, where each process makes its own"
        ) from error
