"""From JSON and arrays to objects: first all of it is checked, then it is built.

Each kind of description has one function here that checks and one that builds. A kind that is unknown, a
class that is not on the list, a type that nobody trusts: each is refused before anything is made.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skmetric._folder._arrays import StoredArrays

from . import _foreign
from ._classes import class_of
from ._fitted import check_attribute, check_fitted, check_text_model
from ._own import given

_NETWORK = "_plain_network"  # whose arrays are copied when they are put into the network
_DEEPEST = 100
_FLOATS = {"nan", "inf", "-inf"}


class Builder:
    """Builds what a manifest describes.

    Parameters
    ----------
    arrays : StoredArrays
        Of the folder.
    trusted : sequence of str
        Names of further types that skops may build.
    modules : dict
        What is of the user's own code, by name.
    open_search : callable
        ``(content, arrays, embedder) -> SimilaritySearch``.
    """

    def __init__(
        self,
        arrays: StoredArrays,
        trusted: Sequence[str],
        modules: Mapping[str, Any],
        open_search: Callable[[Any, StoredArrays, Any], Any],
    ) -> None:
        self.arrays, self.trusted, self.modules = arrays, trusted, modules
        self.open_search = open_search
        self._depth = 0

    def check(self, node: Any, where: str) -> None:
        """Refuse what cannot be built, or may not be.

        Raises
        ------
        ValueError
            Naming the place.
        """
        if node is None or type(node) in (bool, int, float, str):
            return
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError(f"{where} is nested more than {_DEEPEST} deep")
        try:
            self._check(node, where)
        finally:
            self._depth -= 1

    def _check(self, node: Any, where: str) -> None:
        if isinstance(node, list):
            for i, item in enumerate(node):
                self.check(item, f"{where}[{i}]")
            return
        kind = self._kind(node, where)
        try:
            _KINDS[kind][0](self, node, where)
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"{where} is no {kind} ({type(error).__name__}: {error})") from error

    def build(self, node: Any, *, copies: bool = True) -> Any:
        """Build what `check` let pass."""
        if node is None or type(node) in (bool, int, float, str):
            return node
        if isinstance(node, list):
            return [self.build(item, copies=copies) for item in node]
        kind = self._kind(node, "")
        return _KINDS[kind][1](self, node, copies)

    def _kind(self, node: Any, where: str) -> str:
        found = [kind for kind in _KINDS if isinstance(node, dict) and kind in node]
        if len(found) != 1 or set(node) != {found[0], *_FURTHER.get(found[0], ())}:
            shown = sorted(map(str, node))[:5] if isinstance(node, dict) else type(node).__name__
            raise ValueError(f"{where} is of no kind that this version knows: {shown}")
        return found[0]

    def _array(self, name: Any, where: str) -> NDArray[Any]:
        if name not in self.arrays:
            raise ValueError(f"{where} names the array {name!r}, which the folder has not")
        return self.arrays[name]  # compared with its digest, if that was not done


def _check_float(builder: Builder, node: Any, where: str) -> None:
    if node["float"] not in _FLOATS:
        raise ValueError(f"{where} is no number: {node['float']!r}")


def _check_array(builder: Builder, node: Any, where: str) -> None:
    builder._array(node["array"], where)


def _check_reshaped(builder: Builder, node: Any, where: str) -> None:
    builder.check(node["reshaped"], where)
    sizes = node["shape"]
    if not all(type(size) is int and size >= 0 for size in sizes):
        raise ValueError(f"{where} has the shape {sizes!r}")
    if builder._array(node["reshaped"]["array"], where).size != math.prod(sizes):
        raise ValueError(f"{where} has the shape {sizes!r}, which its values do not fill")


def _check_scalar(builder: Builder, node: Any, where: str) -> None:
    builder.check(node["scalar"], where)
    if builder._array(node["scalar"]["array"], where).shape != ():
        raise ValueError(f"{where} is no single number")


def _check_text(kind: str) -> Callable[[Builder, Any, str], None]:
    def check(builder: Builder, node: Any, where: str) -> None:
        if not isinstance(node[kind], str):
            raise ValueError(f"{where} is no text")

    return check


def _check_dtype(builder: Builder, node: Any, where: str) -> None:
    dtype = np.dtype(str(node["numpy_dtype"]))
    if dtype.names is not None:
        raise ValueError(f"{where} is a dtype with fields")


def _check_torch_dtype(builder: Builder, node: Any, where: str) -> None:
    import torch

    if not isinstance(getattr(torch, str(node["dtype"]), None), torch.dtype):
        raise ValueError(f"{where} is no dtype of torch: {node['dtype']!r}")


def _check_class(builder: Builder, node: Any, where: str) -> None:
    class_of(node["class"], where)


def _check_partial(builder: Builder, node: Any, where: str) -> None:
    if not isinstance(node["partial"], dict) or not {"class", "own", "partial"} & node["partial"].keys():
        raise ValueError(f"{where} is a partial of no class or function")
    for part in ("partial", "args", "keywords"):
        builder.check(node[part], f"{where}.{part}")


def _check_listed(kind: str) -> Callable[[Builder, Any, str], None]:
    def check(builder: Builder, node: Any, where: str) -> None:
        if not isinstance(node[kind], list) or (kind == "slice" and len(node[kind]) != 3):
            raise ValueError(f"{where} is no {kind}")
        builder.check(node[kind], where)

    return check


def _check_dict(builder: Builder, node: Any, where: str) -> None:
    for key, item in node["dict"]:
        builder.check(key, f"{where}: a key")
        if isinstance(key, dict | list):
            raise ValueError(f"{where} has a key that is no text and no number")
        builder.check(item, f"{where}[{key!r}]")


def _check_random_state(builder: Builder, node: Any, where: str) -> None:
    name, keys, *rest = node["random_state"]
    builder.check(keys, where)
    array = builder._array(keys["array"], where)
    if name != "MT19937" or array.shape != (624,) or array.dtype != np.uint32 or len(rest) != 3:
        raise ValueError(f"{where} is no state of a RandomState")


def _check_own(builder: Builder, node: Any, where: str) -> None:
    name = node["own"]
    if not (isinstance(name, str) and type(node["is_instance"]) is type(node["is_needed"]) is bool):
        raise ValueError(f"{where} names nothing")
    if node["is_needed"] and name not in builder.modules:
        given(name, False, True, builder.modules)


def _check_estimator(builder: Builder, node: Any, where: str) -> None:
    kind, state = class_of(node["estimator"], where), node["state"]
    for name, item in state.items():
        place = f"{where}.{name}" if where else name
        check_attribute(kind, name, item, place)
        check_text_model(kind, name, item, place, builder.modules)
        builder.check(item, place)


def _check_skops(builder: Builder, node: Any, where: str) -> None:
    builder.check(node["skops"], where)
    strange = _foreign.untrusted(builder._array(node["skops"]["array"], where), builder.trusted)
    if strange:
        raise ValueError(
            f"{where or 'the folder'} has types that are not trusted: {', '.join(strange)}. If you know them "
            f"and who saved this, load with trusted={strange!r}"
        )


def _check_search(builder: Builder, node: Any, where: str) -> None:
    if not (isinstance(node["search"], dict) and isinstance(node["prefix"], str)):
        raise ValueError(f"{where} is no search")
    builder.check(node["embedder"], f"{where}.embedder")


def _check_index(builder: Builder, node: Any, where: str) -> None:
    class_of(node["index"], where)
    if not hasattr(class_of(node["index"]), "of_arrays"):
        raise ValueError(f"{where} is no index")


# What is built


def _build_array(builder: Builder, node: Any, copies: bool) -> Any:
    array = builder.arrays[node["array"]]
    return np.array(array) if copies else array


def _build_random_state(builder: Builder, node: Any, copies: bool) -> np.random.RandomState:
    state = np.random.RandomState()
    name, keys, *rest = node["random_state"]
    state.set_state((name, builder.build(keys), *rest))
    return state


def _build_estimator(builder: Builder, node: Any, copies: bool) -> Any:
    kind = class_of(node["estimator"])
    state = {
        name: builder.build(item, copies=copies and name != _NETWORK) for name, item in node["state"].items()
    }
    if kind.__name__ == "FrozenText" and isinstance(state.get("model"), str):
        state["model"] = builder.modules.get(state["model"], state["model"])
    made: Any = object.__new__(kind)
    check_fitted(kind, state)
    if hasattr(made, "__setstate__"):
        made.__setstate__(state)
    else:
        vars(made).update(state)
    return made


def _build_partial(builder: Builder, node: Any, copies: bool) -> Any:
    args, keywords = builder.build(node["args"]), builder.build(node["keywords"])
    return functools.partial(builder.build(node["partial"]), *args, **keywords)


def _build_search(builder: Builder, node: Any, copies: bool) -> Any:
    arrays = builder.arrays.under(node["prefix"])
    return builder.open_search(node["search"], arrays, builder.build(node["embedder"]))


def _build_index(builder: Builder, node: Any, copies: bool) -> Any:
    kind: Any = class_of(node["index"])
    return kind.of_arrays(node["content"], builder.arrays.under(node["prefix"]))


def _torch_device(builder: Builder, node: Any, copies: bool) -> Any:
    import torch

    return torch.device(node["device"])


def _torch_dtype(builder: Builder, node: Any, copies: bool) -> Any:
    import torch

    return getattr(torch, node["dtype"])


_FURTHER = {  # keys beside the one that names the kind
    "reshaped": ("shape",),
    "partial": ("args", "keywords"),
    "own": ("is_instance", "is_needed"),
    "estimator": ("state",),
    "search": ("prefix", "embedder"),
    "index": ("content", "prefix"),
}
_KINDS: dict[str, tuple[Callable[..., None], Callable[..., Any]]] = {
    "float": (_check_float, lambda builder, node, copies: float(node["float"])),
    "text": (_check_text("text"), lambda builder, node, copies: np.str_(node["text"])),
    "array": (_check_array, _build_array),
    "reshaped": (
        _check_reshaped,
        lambda builder, node, copies: builder.build(node["reshaped"]).reshape(node["shape"]),
    ),
    "scalar": (_check_scalar, lambda builder, node, copies: builder.build(node["scalar"])[()]),
    "numpy_dtype": (_check_dtype, lambda builder, node, copies: np.dtype(node["numpy_dtype"])),
    "device": (_check_text("device"), _torch_device),
    "dtype": (_check_torch_dtype, _torch_dtype),
    "tuple": (_check_listed("tuple"), lambda b, node, copies: tuple(b.build(node["tuple"], copies=copies))),
    "set": (_check_listed("set"), lambda b, node, copies: set(b.build(node["set"]))),
    "slice": (_check_listed("slice"), lambda b, node, copies: slice(*b.build(node["slice"]))),
    "dict": (
        _check_dict,
        lambda b, node, copies: {key: b.build(item, copies=copies) for key, item in node["dict"]},
    ),
    "random_state": (_check_random_state, _build_random_state),
    "class": (_check_class, lambda builder, node, copies: class_of(node["class"])),
    "partial": (_check_partial, _build_partial),
    "own": (
        _check_own,
        lambda b, node, copies: given(node["own"], node["is_instance"], node["is_needed"], b.modules),
    ),
    "estimator": (_check_estimator, _build_estimator),
    "skops": (
        _check_skops,
        lambda b, node, copies: _foreign.loaded(b.arrays[node["skops"]["array"]], b.trusted),
    ),
    "search": (_check_search, _build_search),
    "index": (_check_index, _build_index),
}
