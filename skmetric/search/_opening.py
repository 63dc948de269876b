"""A gallery in a folder: arrays, a manifest, no pickle."""

import warnings
from dataclasses import asdict, fields

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skmetric.metrics._scorer import transformers_of

from ._calibration._calibration import Calibration
from ._calibration._matchers import MATCHERS, ClassCenters
from ._gallery._memory import MemoryGallery
from ._index._exact import ExactIndex
from ._index._faiss import FaissIndex
from ._index._folder import naming_damage, read_folder, write_folder
from ._index._index import class_name
from ._ranking._k_reciprocal import KReciprocal
from ._ranking._neighbor_average import NeighborAverage
from ._server._shared import SharedIndex
from ._server.milvus._index import MilvusIndex
from ._server.pgvector._index import PgVectorIndex

_KIND = "skmetric.search.SimilaritySearch"
_IN_MEMORY = (ExactIndex, FaissIndex)
_ON_SERVERS = (MilvusIndex, PgVectorIndex)
_INDEXES = {cls.__name__: cls for cls in (*_IN_MEMORY, *_ON_SERVERS)}  # that a folder may name
_RANKING = ("rerank", "query_expansion", "augment_gallery")


class StoredMixin:
    """Folders of :class:`SimilaritySearch`."""

    def save(self, path):
        """Write gallery, index, parameters and calibration to a folder, atomically and without pickle.

        The embedder is not in it: keep it with joblib, and give it to `load`. (``joblib.dump`` of the whole
        search keeps everything in one pickle.) Of a gallery on a server the folder has the address, without
        password, and no items: it brings the calibration to other processes.

        Parameters
        ----------
        path : str or path-like
            Folder, made or replaced: a reader sees the old state or the new one.

        Raises
        ------
        TypeError
            If the matcher is of your own class, labels are neither numbers nor text, or an index of your own
            class holds what a folder cannot.
        FileExistsError
            If the folder holds something else.
        OSError
            If it cannot be written, or the disk is full; the old state is as it was.
        """
        check_is_fitted(self)
        with self._gallery.reading():
            content, arrays = self._to_folder(class_name(type(self.index_)))
            write_folder(path, _KIND, content, arrays)

    def _to_folder(self, kind):
        """What a folder holds: a manifest and arrays by name."""
        index, vectors = self.index_.to_arrays()
        content = {
            "index": {"class": kind, "content": index, "arrays": list(vectors)},
            "n_neighbors": int(self.n_neighbors),
            "matcher": _describe(self.matcher),
            "no_match_label": _plain(self.no_match_label),
            "no_match_label_used": _plain(getattr(self, "no_match_label_", None)),
            "embedder": None if self.embedder_ is None else type(self.embedder_).__name__,
            "embedder_steps": _steps(self.embedder_),
            "n_components": int(self.n_components_),
            "n_features_in": getattr(self, "n_features_in_", None),
            "cutpoint": self.cutpoint_,
            "ranking": {name: _describe_option(getattr(self, name)) for name in _RANKING},
            "gallery": self._gallery.describe(),
            "calibration": None,
        }
        arrays = {f"index_{name}": array for name, array in vectors.items()} | self._gallery.arrays()
        if hasattr(self, "calibration_"):
            content["calibration"] = asdict(self.calibration_) | {"thresholds": None, "class_factors": None}
            factors = self.calibration_.class_factors
            if factors:
                arrays |= {
                    "factor_labels": np.array(list(factors)),
                    "factors": np.array(list(factors.values())),
                }
            arrays |= {f"threshold_{name}": a for name, a in self.calibration_.thresholds.items()}
            content["rates"] = list(self.calibration_.thresholds)
        return content, arrays

    @classmethod
    def load(cls, path, embedder=None, *, index=None, verify=False):
        """Read a search that `save` wrote.

        Parameters
        ----------
        path : str or path-like
            Folder.
        embedder : transformer or pipeline, default=None
            The fitted embedder, if the search had one.
        index : Index, default=None
            The index on a server to open, in place of the address that the folder has: with a token, which no
            folder holds, or where the server has moved. A password of PostgreSQL comes from ``PGPASSWORD``
            or a password file. If the folder holds an index of your own class: one of that class, which the
            folder alone does not import.
        verify : bool, default=False
            Whether to compare large arrays with their checksums now; if not, that is done when each is first
            used. Small ones are always compared.

        Returns
        -------
        SimilaritySearch
            Its arrays are memory-mapped: loading does not read the embeddings. The first change copies them.
            One on a server is attached, and warns if the gallery has grown since it was calibrated.

        Raises
        ------
        ValueError
            If the search had an embedder and none is given, or the other way round; if an `index` is given
            to a folder that holds items; if the table is not there; if a file is damaged (it is named), the
            manifest was edited, or the format is of another version.
        IndexUnavailableError
            If the server is away.
        FileNotFoundError
            If there is no such folder, or one of its files is missing.

        See Also
        --------
        SimilaritySearch.attach : Open a gallery on a server without a folder.
        """
        content, arrays = read_folder(path, _KIND, verify=verify)
        with naming_damage(path):
            return cls._of_folder(path, content, arrays, embedder, index)

    @classmethod
    def _of_folder(cls, path, content, arrays, embedder, index):
        """The search of a manifest and its arrays."""
        _check_embedder(path, content, embedder)
        search = cls(
            embedder, None, content["n_neighbors"], _matcher(content["matcher"]), content["no_match_label"]
        )
        search.set_params(**{name: _option(found) for name, found in content.get("ranking", {}).items()})
        search.embedder_ = None if embedder is None else search._fitted_embedder(None, None)
        search._restore_gallery(content, arrays, index)
        search._forget_calibration()
        if content["no_match_label_used"] is not None:
            search.no_match_label_ = content["no_match_label_used"]
        if content["calibration"] is not None:
            thresholds = {name: np.array(arrays[f"threshold_{name}"]) for name in content["rates"]}
            factors = [arrays[name].tolist() for name in ("factor_labels", "factors") if name in arrays]
            content["calibration"]["class_factors"] = dict(zip(*factors, strict=True)) if factors else {}
            search.calibration_ = _calibration(content["calibration"], thresholds)
            search.cutpoint_ = content["cutpoint"]
        if isinstance(search.index_, SharedIndex):
            search._warn_if_grown()
        return search

    def _restore_gallery(self, content, arrays, index):
        """Gallery and index of a folder; of a server what is there now."""
        kind = _index_class(content["index"]["class"], index)
        if issubclass(kind, SharedIndex):
            self.index = _index(kind, content["index"], arrays) if index is None else index
            self._open(self.index)
        elif index is not None and kind in _IN_MEMORY:
            raise ValueError("index= opens a gallery on a server, and the folder holds the items themselves")
        else:
            self.index_ = _index(kind, content["index"], arrays)
            self._gallery = MemoryGallery.restore(self.index_, content["gallery"], arrays)
            self.index = None if kind is ExactIndex else clone(self.index_)
        self.n_components_ = content["n_components"]
        if content["n_features_in"] is not None:
            self.n_features_in_ = content["n_features_in"]


def _index_class(name, given):
    """The class that a manifest names: of this package, or that of the index given."""
    if name in _INDEXES:
        return _INDEXES[name]
    if given is None or class_name(type(given)) != name:
        own = name.removeprefix("index ")
        raise ValueError(
            f"the folder holds an index of the class {own}, which is not of this package: "
            "load(path, index=...) with one of that class"
            + ("" if given is None else f"; got a {type(given).__name__}")
        )
    return type(given)


def _index(kind, described, arrays):
    """The index of a manifest."""
    own = arrays.under("index_")
    return kind.of_arrays(described["content"], own)


def _steps(embedder):
    """Names of the classes that make embeddings, in order."""
    return [] if embedder is None else [name for part in transformers_of(embedder) for name in _names(part)]


def _names(part):
    if isinstance(part, FrozenEstimator):
        return _names(part.estimator)
    if isinstance(part, Pipeline):
        return [name for _, step in part.steps if step not in (None, "passthrough") for name in _names(step)]
    return [type(part).__name__]


def _check_embedder(path, content, embedder):
    name = content["embedder"]
    if name is not None and embedder is None:
        raise ValueError(
            f"{path} was saved with an embedder, a {name}, which the folder does not hold: keep it with "
            "joblib and call load(path, embedder=...)"
        )
    if name is None and embedder is not None:
        raise ValueError(f"{path} was saved without an embedder, for ready embeddings: load it without one")
    saved, given = content.get("embedder_steps"), _steps(embedder)
    if saved is not None and saved != given:
        warnings.warn(
            f"{path} was saved with an embedder of {' -> '.join(saved)}, and this one is of "
            f"{' -> '.join(given)}: if its embeddings are others, distances and thresholds mean nothing",
            UserWarning,
            stacklevel=3,
        )


def _describe(matcher):
    if isinstance(matcher, str):
        return matcher
    if type(matcher) in MATCHERS.values():
        name = next(name for name, kind in MATCHERS.items() if kind is type(matcher))
        return {"name": name, "n_centers": int(getattr(matcher, "n_centers", 1))}
    raise TypeError(f"a folder cannot hold the matcher {type(matcher).__name__}: use joblib")


def _describe_option(option):
    """A ranking option as JSON."""
    if option is None:
        return None
    if type(option) not in (KReciprocal, NeighborAverage):
        raise TypeError(f"a folder cannot hold the option {type(option).__name__}: use joblib")
    return [type(option).__name__, {name: _plain(value) for name, value in option.get_params().items()}]


def _option(described):
    kinds = {"KReciprocal": KReciprocal, "NeighborAverage": NeighborAverage}
    return None if described is None else kinds[described[0]](**described[1])


def _matcher(described):
    if isinstance(described, str):
        return described
    if described["name"] == "center":
        return ClassCenters(described["n_centers"])
    return MATCHERS[described["name"]]()


def _plain(label):
    """A label as JSON has it."""
    label = label.item() if isinstance(label, np.generic) else label
    if label is not None and not isinstance(label, str | int | float):
        raise TypeError(f"a folder cannot hold no_match_label={label!r}: use a number or text")
    return label


def _calibration(described, thresholds):
    described = described | {"thresholds": thresholds}
    described["intervals"] = {
        cut: {rate: tuple(pair) for rate, pair in rates.items()}
        for cut, rates in described["intervals"].items()
    }
    return Calibration(**{field.name: described[field.name] for field in fields(Calibration)})
