"""Attributes that a folder gives to an estimator: those that do not fit are refused."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np

from skmetric._params import check_params

from ._foreign import FOLDERS

_FETCHING = ("checkpoint_path", "cache_dir")  # arguments of timm that read files
_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")  # NAME or ORGANISATION/NAME


def check_attribute(kind: type, name: Any, node: Any, where: str) -> None:
    """Refuse a name that is none of an attribute, and paths.

    Raises
    ------
    ValueError
        Naming the place.
    """
    if not isinstance(name, str) or not name.isidentifier() or name.startswith("__"):
        raise ValueError(f"{where} is no attribute")
    known = inspect.getattr_static(kind, name, None)
    if callable(known) or isinstance(known, staticmethod | classmethod):
        raise ValueError(f"{where} would replace a method of {kind.__name__}")
    if name in FOLDERS and node is not None:
        raise ValueError(f"{where} names a folder to write into: a model does not choose that")
    if name == "weights" and isinstance(node, str) and PurePath(node.replace("\\", "/")).name != node:
        raise ValueError(f"{where} is the path {node!r}: a model names no files outside its folder")
    if name in ("module", "model") and isinstance(node, str) and ":" in node:
        raise ValueError(f"{where} is the network {node!r} of another hub, which would have to be fetched")
    if name == "model_kwargs" and isinstance(node, dict):
        for key, _ in node["dict"]:
            if key in _FETCHING:
                raise ValueError(f"{where} has {key!r}: a model names no files outside its folder")


def check_text_model(kind: type, name: Any, node: Any, where: str, modules: Mapping[str, Any]) -> None:
    """Refuse a folder of a machine as a model of texts, which may run code, unless `modules` brings it.

    Raises
    ------
    ValueError
        Naming the place.
    """
    if (kind.__name__, name) != ("FrozenText", "model") or not isinstance(node, str) or node in modules:
        return
    if not _HUB_NAME.fullmatch(node) or os.path.exists(node):
        raise ValueError(
            f"{where} is the model of texts {node!r}, a folder, and such a folder may hold code: if you have "
            f"it from people you know, load with modules={{{node!r}: 'path/to/it'}}"
        )


def check_fitted(kind: type, state: Mapping[str, Any]) -> None:
    """Refuse parameters out of range, and fitted arrays whose shapes do not go together.

    Raises
    ------
    ValueError
        Naming class and attribute.
    """
    if kind.__module__.partition(".")[0] != "skmetric":
        return
    parameters: list[str] = getattr(kind, "_get_param_names", list)()
    if parameters and set(parameters) <= set(state) and hasattr(kind, "_parameter_constraints"):
        bare: Any = object.__new__(kind)
        vars(bare).update({name: state[name] for name in parameters})
        check_params(bare)
    n_components, n_features = state.get("n_components_"), state.get("n_features_in_")
    _check_shape(kind, state, "components_", (n_components, n_features))
    _check_shape(kind, state, "mean_", (n_features,))
    _check_shape(kind, state, "feature_names_in_", (n_features,))


def _check_shape(kind: type, state: Mapping[str, Any], name: str, shape: tuple[Any, ...]) -> None:
    array = state.get(name)
    if array is None:
        return
    told = f"{kind.__name__} has {name} of "
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{told}the type {type(array).__name__}: an array is needed")
    if array.ndim != len(shape) or any(
        known is not None and size != known for size, known in zip(array.shape, shape, strict=True)
    ):
        needed = ", ".join("any" if known is None else str(known) for known in shape)
        raise ValueError(f"{told}shape {array.shape}, where ({needed}) is needed")
    if name != "feature_names_in_" and array.dtype.kind not in "f":
        raise ValueError(f"{told}the dtype {array.dtype}: floats are needed")
    if name != "feature_names_in_" and not np.isfinite(array).all():
        raise ValueError(f"{told}values that are not finite")
