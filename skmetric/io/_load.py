"""Loading a model from a folder, without running anything that is in it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from skmetric._folder._arrays import StoredArrays
from skmetric._folder._folder import naming_damage, read_folder

from ._build import Builder
from ._classes import class_of
from ._save import KIND

if TYPE_CHECKING:
    from skmetric.search import Index

_SEARCH = "skmetric.search.SimilaritySearch"
_IN_FOLDER = ("ExactIndex", "FaissIndex")  # indexes whose items a folder holds


def load(
    path: str | os.PathLike[str],
    trusted: Sequence[str | type] | None = None,
    modules: Mapping[str, Any] | None = None,
    verify: bool = False,
    *,
    index: Index | None = None,
) -> Any:
    """Read a model that `save`, or ``SimilaritySearch.save``, wrote.

    Nothing in the folder is run: it is data, of which each part is checked before anything is built. Classes
    are those of this package, of scikit-learn, and those that you trust.

    Parameters
    ----------
    path : str or path-like
        Folder.
    trusted : sequence of str or type, default=None
        Further types that skops may build, for estimators that are neither of this package nor of
        scikit-learn: names such as ``"package.module.Class"``. Trust types that you know, of folders from
        people you know.
    modules : dict, default=None
        What the folder has of the saver's own code by its name: ``{"Net": Net}``. Where the saver gave an
        instance of a network, the class or function is called without arguments; where a class or function
        was given, it takes that place. For a model of texts that was a folder, the path of yours:
        ``{"./minilm": "models/minilm"}``.
    verify : bool, default=False
        Whether to compare all files with their digests now. Weights and small files always are; a large
        gallery is at its first use.
    index : Index, default=None
        The index to open, where the gallery of a search is on a server: nothing connects to an address that
        you have not given.

    Returns
    -------
    estimator
        On the CPU, wherever it was trained. Of a saved ``GridSearchCV`` its ``best_estimator_``. The gallery
        of a search is memory-mapped.

    Raises
    ------
    ValueError
        If a file is damaged, exchanged or edited, or is a link; if the folder has types that are not trusted,
        a network of the saver's code that `modules` lacks, weights that do not fit the network, paths, or
        what this version does not know. The message names it, and nothing was built.
    FileNotFoundError
        If there is no such folder, or one of its files is missing.
    ImportError
        If skops or timm is needed and not installed.

    See Also
    --------
    save : The way there.
    skmetric.search.SimilaritySearch.load : Of a folder without embedder, or with another.

    Examples
    --------
    >>> import tempfile
    >>> from skmetric import SimilaritySearch, io
    >>> search = SimilaritySearch().fit([[0.0], [5.0]], ["near", "far"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     io.save(search, folder)
    ...     io.load(folder, verify=True).predict([[4.0]]).tolist()
    ['far']
    """
    names = [
        name if isinstance(name, str) else f"{name.__module__}.{name.__qualname__}" for name in trusted or ()
    ]
    manifest, arrays = read_folder(path, None, verify=verify)
    given = _Given(index)
    builder = Builder(arrays, names, dict(modules or {}), partial(_open_search, path, given))
    if index is not None:
        from skmetric.search._opening._opening import check_given_index  # late, since it loads all of search

        check_given_index(manifest, index)
    with naming_damage(path):
        found = _built(path, manifest, arrays, builder, given)
    if index is not None and not given.is_used:
        items = "holds the items themselves" if manifest["format"] == _SEARCH else "has no such gallery"
        raise ValueError(f"index= opens a gallery on a server, and the folder {items}")
    return found


class _Given:
    """The index that the caller named: for the searches of a folder whose gallery is not in it."""

    def __init__(self, index: Index | None) -> None:
        self.index, self.is_used = index, False

    def of(self, content: dict[str, Any]) -> Index | None:
        """The index, or None for a search that holds its items."""
        described = content.get("index")
        if isinstance(described, dict) and described.get("class") in _IN_FOLDER:
            return None
        self.is_used = True
        return self.index


def _built(
    path: str | os.PathLike[str],
    manifest: dict[str, Any],
    arrays: StoredArrays,
    builder: Builder,
    given: _Given,
) -> Any:
    kind = manifest["format"]
    if kind == _SEARCH:
        return _search(path, manifest, arrays, builder, given)
    if kind == KIND:
        builder.check(manifest["model"], "")
        return builder.build(manifest["model"])
    return _index(path, kind, manifest, arrays)


def _search(
    path: str | os.PathLike[str],
    manifest: dict[str, Any],
    arrays: StoredArrays,
    builder: Builder,
    given: _Given,
) -> Any:
    if manifest["embedder"] is not None and manifest.get("model") is None:
        raise ValueError(
            f"{path} was saved without its embedder, a {manifest['embedder']}: open it by "
            "SimilaritySearch.load(path, embedder=...), or save the search with skmetric.io.save"
        )
    builder.check(manifest.get("model"), "embedder")
    return _open_search(path, given, manifest, arrays, builder.build(manifest.get("model")))


def _open_search(
    path: str | os.PathLike[str],
    given: _Given,
    content: dict[str, Any],
    arrays: StoredArrays,
    embedder: Any,
) -> Any:
    kind: Any = class_of(_SEARCH)
    return kind._of_folder(path, content, arrays, embedder, given.of(content), True)


def _index(path: str | os.PathLike[str], kind: str, manifest: dict[str, Any], arrays: StoredArrays) -> Any:
    found: Any = class_of(kind)
    if not hasattr(found, "of_arrays"):
        raise ValueError(f"{path} holds {kind!r}, which is no model")
    return found.of_arrays(manifest["index"], arrays)
