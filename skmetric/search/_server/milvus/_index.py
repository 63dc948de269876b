"""A gallery in Milvus: an embedded file or a cluster, by the same calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmetric._checks import check_matrix
from skmetric.search._index._checks import check_keys
from skmetric.search._server._columns import typed_columns
from skmetric.search._server._secrets import Token, Uri, bare_uri, hide
from skmetric.search._server._shared import SharedIndex
from skmetric.search._server._store import Items, Mode, Opened

from ._collection import Collection
from ._fields import OWN


@final
class MilvusIndex(SharedIndex):
    """Embeddings, labels and metadata in a collection of Milvus, embedded in a file or on a cluster.

    The collection is made when it is first filled, with fields of the types that the columns have. Searches
    wait for what was written before (consistency "Strong"), so that an item is found as soon as it is added.
    Embeddings are kept in float32.

    Parameters
    ----------
    uri : str
        A file that ends in ``.db``, opened by one process at a time, or the address of a server,
        ``"https://host:19530"``.
    collection : str
        Collection: 1 to 255 letters, digits and underscores; made if it is not there.
    index_type : str, default="FLAT"
        Index over embeddings as Milvus names it: "FLAT" compares with all items; "HNSW", "IVF_FLAT" and
        "AUTOINDEX" find most of the nearest.
    m : int, default=16
        Links of an item in the HNSW graph.
    ef_construction : int, default=200
        Candidates while the HNSW graph is built.
    ef_search : int, default=64
        Candidates of a search through HNSW; `k` where that is more.
    lists : int, default=128
        Lists of the IVF kinds.
    probes : int, default=16
        Lists that a search reads.
    token : str, default=None
        ``"user:password"`` or a key. Shown by no ``repr`` and no error, in no pickle.

    See Also
    --------
    PgVectorIndex : Transactions, and uniqueness of ids kept by the server.
    SimilaritySearch.attach : Open a gallery that is in the collection already.

    Notes
    -----
    Milvus has no transactions over several requests, and does not refuse an id that is in use: this class
    asks before it adds, for its own ids and for those that a search keeps in the column "item_id". Two
    processes that add the same id at the same moment may both succeed. `new_ids` are random numbers. If the
    server goes away while many items are added, those that went before it are there; adding is of requests of
    some megabytes each. It has no dates: they are kept as integers, in a field whose name says so, and so are
    the names of columns that are no plain words.

    Examples
    --------
    Nothing is opened until the first call:

    >>> from skmetric.search import MilvusIndex
    >>> MilvusIndex("https://milvus.example:19530", "people", token="root:secret")
    MilvusIndex(collection='people', token='***', uri='https://milvus.example:19530')
    """

    def __init__(
        self,
        uri: str,
        collection: str,
        index_type: str = "FLAT",
        m: int = 16,
        ef_construction: int = 200,
        ef_search: int = 64,
        lists: int = 128,
        probes: int = 16,
        token: str | None = None,
    ) -> None:
        self.uri = uri
        self.collection = collection
        self.index_type = index_type
        self.m = m
        self.ef_construction = ef_construction
        self.ef_search = ef_search
        self.lists = lists
        self.probes = probes
        self.token = token

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters; secrets are shown by no ``repr``.

        Parameters
        ----------
        deep : bool, default=True
            Ignored: no parameter has parameters itself.

        Returns
        -------
        dict of str to object
            By name.
        """
        return hide(super().get_params(deep), uri=Uri, token=Token)

    def __getstate__(self) -> dict[str, Any]:
        state = {name: value for name, value in super().__getstate__().items() if name != "_opened_as"}
        return state | {"token": None, "uri": bare_uri(str(self.uri))}

    def add(
        self, ids: ArrayLike, embeddings: ArrayLike, columns: Mapping[str, ArrayLike] | None = None
    ) -> Self:
        """Add embeddings under ids that are not in use.

        Parameters
        ----------
        ids : array-like of shape (n_items,), int
            Ids, each once.
        embeddings : array-like of shape (n_items, n_features)
            Their embeddings; searchable when the call returns.
        columns : dict of str to array-like of shape (n_items,), default=None
            Numbers, booleans, dates (to microseconds) or text; the same columns each time.

        Returns
        -------
        MilvusIndex
            The index.

        Raises
        ------
        ValueError
            If an id is in use or comes twice, embeddings are not finite or of another dimension, or columns
            are others than at first; then nothing is added.
        IndexUnavailableError
            If the server is away.
        """
        return self._fill(ids, embeddings, columns, "add")

    def upsert(
        self, ids: ArrayLike, embeddings: ArrayLike, columns: Mapping[str, ArrayLike] | None = None
    ) -> Self:
        """Add items, or replace those whose ids are in use; these move to the end.

        Parameters
        ----------
        ids : array-like of shape (n_items,), int
            Ids, each once.
        embeddings : array-like of shape (n_items, n_features)
            Their embeddings.
        columns : dict of str to array-like of shape (n_items,), default=None
            As in `add`.

        Returns
        -------
        MilvusIndex
            The index.

        Raises
        ------
        ValueError
            As `add`, but that ids may be in use.
        """
        return self._fill(ids, embeddings, columns, "upsert")

    def close(self) -> Self:
        """Close the connection, and with it an embedded file, so that another process can open it.

        Other indexes of this process on the same file lose it too: close those first.

        Returns
        -------
        MilvusIndex
            The next call opens it again.
        """
        if hasattr(self, "_opened_as"):
            self._opened().close()
            del self._opened_as
        return self

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        # where the gallery is, without secrets; the items stay there
        params = {name: getattr(self, name) for name in self.get_params()}
        return {"params": params | {"token": None, "uri": bare_uri(str(self.uri))}}, {}

    def _fill(
        self,
        ids: ArrayLike | None,
        embeddings: ArrayLike,
        columns: Mapping[str, ArrayLike] | None,
        mode: Mode,
        expected: Opened | None = None,
    ) -> Self:
        embeddings = check_matrix(embeddings, "embeddings").astype(np.float32)
        ids = None if ids is None else check_keys(ids, len(embeddings))
        arrays, types = typed_columns(columns, len(embeddings), OWN)
        design = {"index_type": self.index_type, "params": self._build_params()}
        self._opened().fill(Items(ids, embeddings, arrays, types), design, mode, expected)
        return self

    def _build_params(self) -> dict[str, int]:
        if self.index_type == "HNSW":
            return {"M": int(self.m), "efConstruction": int(self.ef_construction)}
        return {"nlist": int(self.lists)} if self.index_type.startswith("IVF") else {}

    def _search_options(self, k: int) -> dict[str, int]:
        if self.index_type == "HNSW":
            return {"ef": max(int(self.ef_search), k)}
        return {"nprobe": int(self.probes)} if self.index_type.startswith("IVF") else {}

    def _opened(self) -> Collection:
        address = str(self.uri), self.collection, self.token and str(self.token)
        opened = getattr(self, "_opened_as", None)
        if opened is None or opened.address != address:
            self._opened_as = opened = Collection(*address)
        return opened
