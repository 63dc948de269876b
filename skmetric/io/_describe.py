"""From an object to JSON and arrays by name: the structure of a model, all of it data.

What JSON has is itself. All else is an object with one key that says what it is: ``{"array": name}``,
``{"estimator": class, "state": ...}`` and so on; ``_build.py`` has the way back, one function a key.
"""

from __future__ import annotations

import functools
import inspect
import math
import sys
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._classes import CONTAINERS, name_of
from ._foreign import FOLDERS, dumped
from ._own import name_of_own

GROUP = "model"  # of the arrays, which are one file
_NETWORKS = {"module", "model"}  # parameters that a loaded model needs to embed
_LEFT_OUT = {"_skl_callbacks", "_callback_fit_ctx", "_skl_callbacks_to_teardown"}  # also of a running fit


class Described:
    """Collects the arrays of what is described.

    Parameters
    ----------
    prefix : str, default=""
        Of the names of arrays of galleries.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, NDArray[Any]] = {}
        self.own: dict[str, Any] = {}
        self.n_galleries = 0

    def value(self, value: Any, where: str, place: str = "") -> Any:
        """Describe a value.

        Parameters
        ----------
        value : object
            Anything that a model may hold.
        where : str
            Where it stands, for arrays' names and messages, such as ``"steps.1.components_"``.
        place : str, default=""
            The attribute that holds it.

        Returns
        -------
        object
            What JSON holds.

        Raises
        ------
        TypeError
            If a folder cannot hold it; the message says where it stands.
        """
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        for kinds, describe in _KINDS:
            if isinstance(value, kinds):
                return describe(self, value, where, place)
        described = self._of_torch(value)
        return described if described is not None else self._object(value, where, place)

    def array(self, array: NDArray[Any], where: str) -> dict[str, Any]:
        """Describe an array."""
        if array.ndim != 1 and array.dtype.kind in "UTO":
            inner = self.array(array.ravel(), where)
            return {"reshaped": inner, "shape": list(array.shape)}
        name = f"{GROUP}/{where}"
        if name in self.arrays:
            raise TypeError(f"two arrays would be named {where!r}")
        self.arrays[name] = array
        return {"array": name}

    def state(self, state: dict[str, Any], where: str) -> dict[str, Any]:
        """Describe the attributes of an object."""
        return {
            key: self.value(None if key in FOLDERS else _file_name(key, value), _joined(where, key), key)
            for key, value in state.items()
            if key not in _LEFT_OUT
        }

    def _of_torch(self, value: Any) -> dict[str, Any] | None:
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(value, torch.device):
            return {"device": str(value)}
        if torch is not None and isinstance(value, torch.dtype):
            return {"dtype": str(value).removeprefix("torch.")}
        return None

    def _object(self, value: Any, where: str, place: str) -> dict[str, Any]:
        if inspect.isclass(value):
            name = name_of(value)
            return {"class": name} if name is not None else self._own(value, where, place)
        if isinstance(value, functools.partial):
            return {
                "partial": self.value(value.func, _joined(where, "func"), place),
                "args": self.value(tuple(value.args), _joined(where, "args"), place),
                "keywords": self.value(dict(value.keywords), _joined(where, "keywords"), place),
            }
        if "best_estimator_" in getattr(value, "__dict__", {}):
            return self.value(value.best_estimator_, where, place)
        name = name_of(type(value))
        if name == "skmetric.search.SimilaritySearch":
            return self.search(value, where)
        if name is not None and hasattr(value, "to_arrays"):
            return self._index(name, value)
        if name is not None and not _is_torch_module(value):
            # of its class: a FrozenEstimator passes on what the estimator inside it has
            told = hasattr(type(value), "_state_for_folder")
            state = value._state_for_folder() if told else _state_of(value)
            return {"estimator": name, "state": self.state(state, where)}
        if hasattr(value, "get_params") and not _is_torch_module(value):
            return {"skops": self.array(dumped(value, where), _joined(where, "skops"))}
        if callable(value):
            return self._own(value, where, place)
        raise TypeError(
            f"a folder cannot hold {where}, a {type(value).__name__}: use joblib for models of your own"
        )

    def _own(self, value: Any, where: str, place: str) -> dict[str, Any]:
        """Name an object of the user's own code."""
        name = name_of_own(value, where)
        if self.own.setdefault(name, value) is not value:
            raise TypeError(
                f"two objects of your own code are named {name!r}: a folder knows them by their names"
            )
        return {"own": name, "is_instance": _is_torch_module(value), "is_needed": place in _NETWORKS}

    def search(self, search: Any, where: str) -> dict[str, Any]:
        """Describe a search with its gallery and its embedder."""
        content, arrays = search._to_folder_whole()
        prefix = f"search{self.n_galleries}_"
        self.n_galleries += 1
        self.arrays |= {prefix + name: array for name, array in arrays.items()}
        embedder = self.value(search.embedder_, _joined(where, "embedder"), "embedder")
        return {"search": content, "prefix": prefix, "embedder": embedder}

    def _index(self, name: str, index: Any) -> dict[str, Any]:
        content, arrays = index.to_arrays()
        prefix = f"search{self.n_galleries}_"
        self.n_galleries += 1
        self.arrays |= {prefix + key: array for key, array in arrays.items()}
        return {"index": name, "content": content, "prefix": prefix}


def _state_of(value: Any) -> dict[str, Any]:
    state = value.__getstate__()
    return dict(state) if isinstance(state, dict) else {}


def _is_torch_module(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)


def _file_name(key: str, value: Any) -> Any:
    """Of a file of weights its name alone: where it lies on this machine is nobody's business."""
    if key == "weights" and isinstance(value, (str, PurePath)):
        return PurePath(value).name
    return str(value) if isinstance(value, PurePath) else value


def _joined(where: str, part: Any) -> str:
    text = "".join(c if c.isalnum() or c in "_.:-" else "-" for c in str(part))
    return f"{where}.{text}" if where else text


def _mapping(described: Described, value: dict, where: str, place: str) -> dict[str, Any]:
    pairs = [
        [described.value(key, _joined(where, f"key{i}")), described.value(item, _joined(where, key), place)]
        for i, (key, item) in enumerate(value.items())
    ]
    return {"dict": pairs}


def _listed(described: Described, value: Any, where: str, place: str) -> list[Any]:
    return [described.value(item, _joined(where, i), place) for i, item in enumerate(value)]


def _tuple(described: Described, value: tuple, where: str, place: str) -> dict[str, Any]:
    if type(value) is not tuple:
        raise TypeError(f"a folder cannot hold {where}, a {type(value).__name__}: use joblib")
    return {"tuple": _listed(described, value, where, place)}


def _scalar(described: Described, value: np.generic, where: str, place: str) -> dict[str, Any]:
    if value.dtype.kind in "UO":
        return {"text": str(value)}
    return {"scalar": described.array(np.asarray(value), where)}


def _random_state(
    described: Described, value: np.random.RandomState, where: str, place: str
) -> dict[str, Any]:
    name, keys, *rest = value.get_state()
    return {"random_state": [name, described.array(np.asarray(keys), _joined(where, "keys")), *rest]}


_KINDS: list[tuple[Any, Callable[..., Any]]] = [
    (np.ndarray, lambda described, value, where, place: described.array(np.asarray(value), where)),
    (np.generic, _scalar),
    (np.dtype, lambda described, value, where, place: {"numpy_dtype": value.str}),
    (dict, _mapping),
    (list, _listed),
    (tuple, _tuple),
    (
        (set, frozenset),
        lambda d, value, where, place: {"set": _listed(d, sorted(value, key=repr), where, place)},
    ),
    (slice, lambda d, v, where, place: {"slice": _listed(d, (v.start, v.stop, v.step), where, place)}),
    (np.random.RandomState, _random_state),
]
__all__ = ["CONTAINERS", "GROUP", "Described"]
