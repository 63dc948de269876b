"""The closed list of classes that a folder may name: public classes of this package, and some of others."""

from __future__ import annotations

import inspect
from functools import cache
from importlib import import_module
from typing import Any

_PUBLIC = (  # modules whose `__all__` is public; those that a version lacks are passed over
    "skmetric.linear", "skmetric.weak", "skmetric.features", "skmetric.deep", "skmetric.deep.losses",
    "skmetric.deep.miners", "skmetric.deep.samplers", "skmetric.deep.augment", "skmetric.deep.modules",
    "skmetric.metrics", "skmetric.model_selection", "skmetric.search",
)  # fmt: skip
# structure, whose parts are described one by one
CONTAINERS = {
    "sklearn.pipeline.Pipeline",
    "sklearn.pipeline.FeatureUnion",
    "sklearn.frozen.FrozenEstimator",
    "sklearn.compose.ColumnTransformer",
}
_NEVER = {"skmetric.search.PgVectorIndex", "skmetric.search.MilvusIndex"}  # which connect to an address
_OPTIMIZERS = "torch.optim"


def name_of(kind: type) -> str | None:
    """The name under which a folder may have a class; None if it may not."""
    module, name = kind.__module__, kind.__name__
    if f"{module}.{name}" in _NEVER:
        return None
    if module in _PUBLIC and name in _all_of(module):
        return f"{module}.{name}"
    for place in CONTAINERS:
        if name == place.rpartition(".")[2] and class_of(place) is kind:
            return place
    if module.startswith(f"{_OPTIMIZERS}.") and getattr(import_module(_OPTIMIZERS), name, None) is kind:
        return f"{_OPTIMIZERS}.{name}"
    return None


def class_of(name: str, where: str = "") -> type:
    """The class of a name.

    Raises
    ------
    ValueError
        If a folder may not name it. Nothing but modules of the list is imported.
    """
    module, _, short = name.rpartition(".") if isinstance(name, str) else ("", "", "")
    found: Any = None
    if name in _NEVER:
        found = None
    elif (module in _PUBLIC and short in _all_of(module)) or name in CONTAINERS:
        found = getattr(import_module(module), short)
    elif module == _OPTIMIZERS and short in import_module(_OPTIMIZERS).__all__:
        found = getattr(import_module(_OPTIMIZERS), short)
    if not inspect.isclass(found):
        at = f"{where}: " if where else ""
        raise ValueError(f"{at}the class {name!r} is none that a folder may name: it is not loaded")
    return found


@cache
def _all_of(module: str) -> frozenset[str]:
    try:
        return frozenset(import_module(module).__all__)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        return frozenset()
