"""Names of modules: public classes bear their public module, and pickles find old private ones at new places.

Pickles of earlier versions name private modules that have moved. Only unpickling asks for these names: a
finder that Python asks last knows them, so that nothing else pays for it; a package that has taken the name
of an old module gives what was in it by `names_of`. New pickles name public modules alone, by `publish`.
"""

import inspect
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["install", "names_of", "publish"]

# of each package: the old name of a module, and where its content is now
_MOVED = {
    "skmetric": {
        "_images._sizing": "_pixels._sizing",
        "_groups": "_input._groups",
        "_relevance": "_input._relevance",
        "_tuples": "_input._tuples",
        "_weights": "_input._weights",
    },
    "skmetric.linear": {
        "_scatter": "_closed_form._scatter",
        "_solution": "_closed_form._solution",
        "_adaptation": "_closed_form._adaptation",
        "_span": "_closed_form._span",
    },
    "skmetric.search": {
        "_class_distances": "_matching._class_distances",
        "_runners_up": "_matching._runners_up",
        "_visible": "_matching._visible",
        "_enrolment_quality": "_matching._enrolment_quality",
        "_refitted": "_embedder._refitted",
        "_evidence": "_calibration._gathering._evidence",
        "_hidden": "_calibration._gathering._two_searches",
        "_rates": "_calibration._rates",
        "_targets": "_calibration._targets",
        "_class_factors": "_calibration._scoring._class_factors",
        "_evaluation": "_calibration._evaluation",
        "_matchers": "_calibration._matchers",
        "_calibration._evidence": "_calibration._gathering._evidence",
        "_calibration._class_factors": "_calibration._scoring._class_factors",
        "_memory_gallery": "_gallery._memory",
        "_server_gallery": "_gallery._server",
        "_items": "_gallery._layout",
        "_labels": "_gallery._labels",
        "_metadata": "_gallery._metadata",
        "_lock": "_gallery._lock",
        "_exact": "_index._exact",
        "_faiss": "_index._faiss._faiss_index",
        "_faiss_engine": "_index._faiss._engine",
        "_index._faiss_engine": "_index._faiss._engine",
        "_index._recall": "_index._faiss._recall",
        "_requests": "_index._checks",
        "_rows": "_index._ids",
        "_vectors": "_index._vectors",
        "_growing": "_index._growing",
        "_where": "_columns._where",
        "_reranking": "_ranking._k_reciprocal",
        "_averaging": "_ranking._neighbor_average",
        "_shared": "_server._shared",
        "_columns": "_server._columns",
        "_secrets": "_server._secrets",
        "_remote": "_server._remote",
        "_postgres": "_server.pgvector._postgres",
        "_pgvector": "_server.pgvector._index",
        "_pgvector_table": "_server.pgvector._table",
        "_pgvector_schema": "_server.pgvector._schema",
        "_pgvector_sql": "_server.pgvector._sql",
        "_milvus": "_server.milvus._index",
        "_milvus_collection": "_server.milvus._collection",
        "_lookup": "_asked._lookup_table",
        "_lookup_table": "_asked._lookup_table",
        "_neighbors": "_lookups._lookups",
        "_ranked": "_lookups._lookups",
        "_neighborhoods": "_lookups._neighborhoods",
        "_recommending": "_lookups._recommending",
        "_open_set": "_recognition._prediction",
        "_by_class": "_recognition._prediction",
        "_prediction": "_recognition._prediction",
        "_thresholding": "_recognition._thresholding",
        "_measuring": "_recognition._measuring",
        "_scoring": "_recognition._scoring",
        "_verifying": "_recognition._verification",
        "_verification": "_recognition._verification",
        "_stored": "_opening._opening",
        "_attached": "_opening._opening",
        "_copying": "_opening._copying",
    },
    "skmetric.deep": {
        "_session": "_training._session",
        "_tuple_session": "_training._tasks._tuple_task",
        "_assembly": "_training._assembly",
        "_criterion": "_training._loss._criterion",
        "_optim": "_training._optim",
        "_batches": "_training._batches",
        "_diagnosis": "_training._loss._diagnosis",
        "_validation": "_training._tasks._label_task",
        "_checkpoint": "_training._checkpoints._checkpoint",
        "_pickling": "_estimator",
        "_threshold": "_siamese",
        "_tuple_loss": "_training._loss._tuple_loss",
        "_training._checkpoint": "_training._checkpoints._checkpoint",
        "_training._label_task": "_training._tasks._label_task",
        "_training._graded_task": "_training._tasks._graded_task",
        "_training._tuple_task": "_training._tasks._tuple_task",
        "_training._changes": "_training._checkpoints._changes",
        "_training._tuple_loss": "_training._loss._tuple_loss",
        "_trunk": "_network._trunk",
        "_freeze": "_network._freeze",
        "_layout": "_network._layout",
        "_compile": "_network._compile",
        "_input": "_data._input",
        "_items": "_data._items",
        "_source": "_data._source",
        "_tuples": "_data._tuples",
    },
}
_PATHS = {
    f"{package}.{old}": f"{package}.{new}" for package, moves in _MOVED.items() for old, new in moves.items()
}


class _OldPath(MetaPathFinder, Loader):
    """Finds modules by their old paths: empty ones that ask the new module for each name."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in _PATHS else None

    def exec_module(self, module: ModuleType) -> None:
        new = _PATHS[module.__name__]
        module.__getattr__ = lambda name: getattr(import_module(new), name)  # type: ignore[method-assign]


def install() -> None:
    """Let old paths be found."""
    if not any(isinstance(finder, _OldPath) for finder in sys.meta_path):
        sys.meta_path.append(_OldPath())


def names_of(module: str) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a package that has the name of an old module.

    Parameters
    ----------
    module : str
        Full name of the file of the package that has the content of the old module.

    Returns
    -------
    callable
        From a name that was in the old module to the object.
    """
    package = module.rpartition(".")[0]

    def __getattr__(name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(module), name)

    return __getattr__


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
