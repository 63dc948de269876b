"""Opening a search that is there already: a folder that `save` wrote, or a gallery on a server."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from skmetric._folder._folder import naming_damage, read_folder, write_folder
from skmetric._params import check_params
from skmetric.search._base import SearchBase
from skmetric.search._embedder._embedder import KnownEmbedder
from skmetric.search._embedder._refitted import before_refit
from skmetric.search._gallery._memory import MemoryGallery
from skmetric.search._gallery._server import ServerGallery
from skmetric.search._index._exact import ExactIndex
from skmetric.search._index._faiss._faiss_index import FaissIndex
from skmetric.search._index._index import Index, class_name
from skmetric.search._manifests._manifest import (
    calibration_of,
    check_embedder,
    describe_calibration,
    describe_matcher,
    describe_option,
    embedder_steps,
    matcher_of,
    option_of,
    plain,
)
from skmetric.search._manifests._manifest_types import SEARCH, check_agreement, check_parameters, check_types
from skmetric.search._manifests._rows import check_rates, check_rows
from skmetric.search._server._shared import SharedIndex, called
from skmetric.search._server.milvus._index import MilvusIndex
from skmetric.search._server.pgvector._index import PgVectorIndex

if TYPE_CHECKING:
    from os import PathLike

    from numpy.typing import NDArray

    from skmetric._folder._arrays import StoredArrays


_KIND = "skmetric.search.SimilaritySearch"
_INDEXES: dict[str, type[Index]] = {  # that a folder may name
    cls.__name__: cls for cls in (ExactIndex, FaissIndex, MilvusIndex, PgVectorIndex)
}
_RANKING = ("rerank", "query_expansion", "augment_gallery")


class Opening(SearchBase):
    """Saving, loading and attaching of :class:`SimilaritySearch`."""

    def save(self, path: str | PathLike[str]) -> None:
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

    def _to_folder_whole(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """What a folder holds of a fitted search, at one moment."""
        check_is_fitted(self)
        with self._gallery.reading():
            return self._to_folder(class_name(type(self.index_)))

    def _to_folder(self, kind: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """What a folder holds: a manifest and arrays by name."""
        index, vectors = self.index_.to_arrays()
        content = {
            "index": {"class": kind, "content": index, "arrays": list(vectors)},
            "n_neighbors": int(self.n_neighbors),
            "matcher": describe_matcher(self.matcher),
            "no_match_label": plain(self.no_match_label),
            "no_match_label_used": plain(getattr(self, "no_match_label_", None)),
            "embedder": None if self.embedder_ is None else type(self.embedder_).__name__,
            "embedder_steps": embedder_steps(self.embedder_),
            "fingerprint": None if self._known_embedder is None else self._known_embedder.fingerprint,
            "n_components": int(self.n_components_),
            "n_features_in": getattr(self, "n_features_in_", None),
            "cutpoint": self.cutpoint_,
            "review": self.review_cutpoint_,
            "review_label": plain(self.review_label, "review_label"),
            "is_stale": bool(self._is_stale),
            "adapt_metric": bool(self.adapt_metric),
            "refit_key": int(self._refit_key),
            "refit_from": self._refit_from and list(map(float, self._refit_from)),
            "ranking": {name: describe_option(getattr(self, name)) for name in _RANKING},
            "gallery": self._gallery.describe(),
            "calibration": None,
        }
        arrays = {f"index_{name}": array for name, array in vectors.items()} | self._gallery.arrays()
        if hasattr(self, "calibration_"):
            calibration = self.calibration_
            if calibration.class_factors and not isinstance(self.index_, SharedIndex):
                calibration = replace(calibration, class_factors=self._factors_of_present_classes())
            content["calibration"], rates = describe_calibration(calibration)
            content["rates"] = list(self.calibration_.thresholds)
            arrays |= rates
        return content, arrays

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        embedder: Any = None,
        *,
        index: Index | None = None,
        verify: bool = False,
        check_embedder: bool = True,
    ) -> Self:
        """Read a search that `save` wrote.

        Parameters
        ----------
        path : str or path-like
            Folder.
        embedder : transformer or pipeline, default=None
            The fitted embedder, if the search had one.
        index : Index, default=None
            The index to open, where the gallery is on a server. The folder has its address, which the error
            shows if no index is given: nothing connects to an address that you have not given. A password
            of PostgreSQL may come from ``PGPASSWORD`` or a password file. If the folder
            holds an index of your own class: one of that class, which the folder alone does not import.
        verify : bool, default=False
            Whether to compare large arrays with their checksums now; if not, that is done when each is first
            used. Small ones are always compared.
        check_embedder : bool, default=True
            Whether the embedder must be the one that made the embeddings, by its fingerprint: here, and in
            each later call, as the parameter of the constructor. A folder without a fingerprint, as earlier
            versions wrote it, is not checked.

        Returns
        -------
        SimilaritySearch
            Its arrays are memory-mapped: loading does not read the embeddings. The first change copies them.
            One on a server is attached, and warns if the gallery has grown since it was calibrated.

        Raises
        ------
        ValueError
            If the search had an embedder and none is given, or the other way round, or the embedder is
            another one; if the gallery is on a server and no `index` is given, or one is given to a folder
            that holds items; if the table is not there; if a file is damaged (it is named), the manifest was
            edited, or the format is of another version.
        IndexUnavailableError
            If the server is away.
        FileNotFoundError
            If there is no such folder, or one of its files is missing.

        See Also
        --------
        SimilaritySearch.attach : Open a gallery on a server without a folder.
        """
        content, arrays = read_folder(path, _KIND, verify=verify)
        check_given_index(content, index)
        with naming_damage(path):
            return cls._of_folder(path, content, arrays, embedder, index, check_embedder)

    @classmethod
    def _of_folder(
        cls,
        path: str | PathLike[str],
        content: dict[str, Any],
        arrays: StoredArrays,
        embedder: Any,
        index: Index | None,
        is_checked: bool,
    ) -> Self:
        """The search of a manifest and its arrays."""
        check_types(content, SEARCH)
        if content["gallery"]:  # else it is on a server
            check_rows(content, arrays)
        check_agreement(content, arrays)
        check_rates(content.get("rates", []), arrays)
        check_embedder(path, content, embedder)
        search = cls().set_params(
            embedder=embedder,
            n_neighbors=content["n_neighbors"],
            matcher=matcher_of(content["matcher"]),
            no_match_label=content["no_match_label"],
            review_label=content.get("review_label"),
            check_embedder=is_checked,
            adapt_metric=content.get("adapt_metric", False),
            **{name: option_of(found) for name, found in content.get("ranking", {}).items()},
        )
        check_parameters(search, search.rerank, search.query_expansion, search.augment_gallery)
        search.embedder_ = search._fitted_embedder()
        search._know(content.get("fingerprint"), str(path))
        search._restore_gallery(content, arrays, index)
        search._refit_key = content.get("refit_key", 0)
        gallery = search._gallery
        if is_checked and isinstance(gallery, MemoryGallery) and gallery.samples is not None:
            search.embedder = before_refit(
                embedder, gallery, search._is_refitted(gallery), content.get("refit_from")
            )
            search._refit_from = content.get("refit_from")
        search._forget_calibration()
        if content["no_match_label_used"] is not None:
            search.no_match_label_ = content["no_match_label_used"]
        if content["calibration"] is not None:
            search.calibration_ = calibration_of(content["calibration"], content["rates"], arrays)
            search.cutpoint_, search._review = content["cutpoint"], content.get("review")
            search._is_stale = content.get("is_stale", False)
        if isinstance(search.index_, SharedIndex):
            search._warn_if_grown()
        return search

    def _restore_gallery(self, content: dict[str, Any], arrays: StoredArrays, index: Index | None) -> None:
        """Gallery and index of a folder; of a server what is there now."""
        described = content["index"]
        kind = _index_class(described["class"], index)
        is_shared = issubclass(kind, SharedIndex)
        if index is not None and kind in (ExactIndex, FaissIndex):
            raise ValueError("index= opens a gallery on a server, and the folder holds the items themselves")
        if is_shared and index is None:
            raise ValueError(
                "the gallery of the folder is on a server, and nothing connects to it before you name it. If "
                f"you trust this address: load(path, index={called(kind, described['content'])})"
            )
        if is_shared and not isinstance(index, SharedIndex):  # of a search inside a model
            raise ValueError(f"the gallery is on a server: give a {kind.__name__} as index=")
        if index is None or not is_shared:
            index = kind.of_arrays(described["content"], arrays.under("index_"))
        if isinstance(index, SharedIndex):
            self.index = index
            self._open(index)
        else:
            self._gallery = MemoryGallery.restore(index, content["gallery"], arrays)
            self.index = None if kind is ExactIndex else clone(index)
        self.n_components_ = content["n_components"]
        if content["n_features_in"] is not None:
            self.n_features_in_ = content["n_features_in"]

    @classmethod
    def attach(
        cls,
        index: Index,
        embedder: Any = None,
        *,
        n_neighbors: int = 5,
        matcher: Any = "nearest",
        no_match_label: Any = None,
        check_embedder: bool = True,
    ) -> Self:
        """Open the gallery that is in the table or collection of an index, which many processes share.

        What one process enrols, replaces or removes is found, or gone, in the next call of all others: each
        call asks the server, and no item is kept here. ``fit`` with the index in the constructor starts such
        a gallery; ``index.add`` with a column ``"label"`` may have filled it too.

        Parameters
        ----------
        index : PgVectorIndex or MilvusIndex
            Where the gallery is. It is used as it is, not cloned.
        embedder : transformer or pipeline, default=None
            The fitted embedder of the gallery; None takes samples as embeddings.
        n_neighbors : int, default=5
            As in the constructor.
        matcher : str or matcher, default="nearest"
            As in the constructor.
        no_match_label : label, default=None
            As in the constructor.
        check_embedder : bool, default=True
            Whether the embedder must be the one that `fit` filled the table with, by the fingerprint that the
            server keeps: here, and in each later call. A table without a fingerprint, such as one that
            ``index.add`` filled, is not checked.

        Returns
        -------
        SimilaritySearch
            Fitted on what is there. It is not calibrated: `calibrate` fetches the embeddings once, and what
            one process calibrated others take from the folder of `save`.

        Raises
        ------
        TypeError
            If the index is in memory.
        ValueError
            If there is no such table, `no_match_label` is a class in it, or the embedder is another one.
        NotFittedError
            If the embedder is not fitted.
        IndexUnavailableError
            If the server is away.

        See Also
        --------
        SimilaritySearch.load : Open one with its calibration.
        PgVectorIndex : Each change is a transaction, and ids are kept unique by the server.
        MilvusIndex : The same calls, with less promised.

        Notes
        -----
        `predict` and `lookup` send one request for a batch of queries. So do `kneighbors` and
        `radius_neighbors`, whose rows PostgreSQL counts; for those of Milvus all ids are fetched, so prefer
        `lookup` there. `remove` and `update` ask for keys first, and `partial_fit` for new ones. `ids_`,
        `labels_` and `classes_` fetch these alone. Embeddings are fetched by what looks at all of them:
        `calibrate`, `outliers`, `duplicates`, `decision_function`, `kneighbors` without `X`, and
        ``matcher="center"`` at each `predict`. Options of ranking are refused.

        Items come in the order of their keys in PostgreSQL, where those that `update` replaces keep their
        place. Types are those of the server: metadata come back as int64, float64, bool, text or
        datetime64[us].

        Examples
        --------
        A table that another process filled::

            index = PgVectorIndex("host=db.example dbname=faces", "people", method="hnsw")
            search = SimilaritySearch.attach(index, learner)
            search.predict(queries)
            search.partial_fit(new, new_names, ids=new_ids)

        An index in memory has nothing to attach to:

        >>> from skmetric.search import ExactIndex, SimilaritySearch
        >>> SimilaritySearch.attach(ExactIndex())
        Traceback (most recent call last):
        TypeError: attach opens a gallery on a server, and ExactIndex holds its items in memory: ...
        """
        if not isinstance(index, SharedIndex):
            raise TypeError(
                f"attach opens a gallery on a server, and {type(index).__name__} holds its items in memory: "
                "use fit, or load from a folder"
            )
        if embedder is not None:
            check_is_fitted(embedder)
        search = cls().set_params(
            embedder=embedder,
            index=index,
            n_neighbors=n_neighbors,
            matcher=matcher,
            no_match_label=no_match_label,
            check_embedder=check_embedder,
        )
        check_params(search)
        search.embedder_ = search._fitted_embedder()
        search._open(index)
        search._forget_calibration()
        if search._gallery.has_labels:
            search.no_match_label_ = search._choose_no_match_label(search.classes_)
        return search

    def _open(self, index: SharedIndex) -> None:
        """Use what is on the server as the gallery."""
        gallery = ServerGallery(index)
        self._gallery, self.n_components_ = gallery, gallery.n_features
        if self.embedder_ is None:
            self.n_features_in_ = gallery.n_features
        elif hasattr(self.embedder_, "n_features_in_"):
            self.n_features_in_ = self.embedder_.n_features_in_
        if self.embedder_ is not None:
            self._know(gallery.fingerprint(), index._opened().title)

    def _know(self, described: Any, where: str) -> None:
        """Know the embedder of a gallery by a fingerprint, if there is one, and compare the given one."""
        known = KnownEmbedder.of_json(described)
        if known is None or self.embedder_ is None:
            return
        self._known_embedder = known
        if self.check_embedder:
            known.check(self.embedder_, where)


def check_given_index(content: dict[str, Any], index: Index | None) -> None:
    """Refuse what is no index, and one in memory for a gallery on a server: not the folder is wrong."""
    if index is not None and not isinstance(index, Index):
        raise TypeError(
            f"index must be an index, such as PgVectorIndex(conninfo, table); got a {type(index).__name__}"
        )
    described = content.get("index")
    kind = _INDEXES.get(str(described.get("class"))) if isinstance(described, dict) else None
    if kind is None or index is None or not issubclass(kind, SharedIndex) or isinstance(index, SharedIndex):
        return
    raise TypeError(
        f"index={type(index).__name__} holds its items in memory, and the gallery of the folder is "
        f"on a server: give a {kind.__name__}"
    )


def _index_class(name: str, given: Index | None) -> type[Index]:
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
