"""Saving a model to a folder."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from skmetric._folder._folder import write_folder

from ._describe import Described

KIND = "skmetric.io"
_VERSIONS = ("scikit-learn", "numpy", "torch", "timm", "skops")


def save(obj: Any, path: str | os.PathLike[str]) -> None:
    """Write a model to a folder: atomically, without pickle, and with a digest of each file.

    Arrays and weights are safetensors files, all else is JSON. The folder is what one shares: `load` runs
    nothing that is in it. Paths of this machine are left out (a cache, the memory of a pipeline; of a file of
    weights the name stays).

    Parameters
    ----------
    obj : estimator
        An estimator of this package, also inside a ``Pipeline``, ``FeatureUnion``, ``ColumnTransformer`` or
        ``FrozenEstimator``; a fitted search such as ``GridSearchCV``, of which the folder holds
        ``best_estimator_``; a :class:`~skmetric.search.SimilaritySearch`, with its index and its embedder.
        Other estimators of scikit-learn among these are written by skops (the extra ``io``).
    path : str or path-like
        Folder, made or replaced: a reader sees the old state or the new one.

    Raises
    ------
    TypeError
        If a folder cannot hold a part of it; the message says where that stands.
    FileExistsError
        If the folder holds something else.
    ImportError
        If skops is needed and not installed.
    OSError
        If it cannot be written, or the disk is full; the old state is as it was.

    See Also
    --------
    load : The way back.
    to_hub_folder : With a page for those who get it.
    skmetric.search.SimilaritySearch.save : The same folder, without the embedder.

    Notes
    -----
    Networks that a name describes, of this package and of timm, are built again from parameters. A network of
    your own code is in the folder by the name of its class or function, with its weights: whoever loads it
    brings the code. So is a loss, an augmentation or an optimizer of your own; what such a loss learned is
    left out.

    Examples
    --------
    >>> import tempfile
    >>> from skmetric import MetricLearner, io
    >>> learner = MetricLearner(shrinkage=(0.5, 0.5)).fit([[0.0, 0], [0, 1], [5, 0], [5, 1]], list("aabb"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     io.save(learner, folder)
    ...     io.load(folder)
    MetricLearner(shrinkage=(0.5, 0.5))
    """
    kind, content, arrays = described(obj)
    write_folder(path, kind, content, arrays)


def described(obj: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """What a folder holds of a model: its format, what the manifest tells, and arrays by name."""
    whole = Described()
    tree = whole.value(obj, "")
    versions = {"versions": versions_now()}
    if isinstance(tree, dict) and "search" in tree:  # the folder of SimilaritySearch.save, and its embedder
        prefix = tree["prefix"]
        arrays = {name.removeprefix(prefix): array for name, array in whole.arrays.items()}
        embedder = tree["embedder"]
        return "skmetric.search.SimilaritySearch", tree["search"] | versions | {"model": embedder}, arrays
    if isinstance(tree, dict) and "index" in tree:
        prefix = tree["prefix"]
        arrays = {name.removeprefix(prefix): array for name, array in whole.arrays.items()}
        return tree["index"], {"index": tree["content"]} | versions, arrays
    if not isinstance(tree, dict) or not {"estimator", "skops"} & tree.keys():
        raise TypeError(f"a folder holds an estimator; got {obj!r}, a {type(obj).__name__}")
    return KIND, {"model": tree} | versions, whole.arrays


def versions_now() -> dict[str, str]:
    """Versions of what computes: of this package, Python, and others that are installed."""
    found = {"skmetric": sys.modules["skmetric"].__version__, "python": platform.python_version()}
    for name in _VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
