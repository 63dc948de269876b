"""A gallery in PostgreSQL: many processes share it, transactions keep it whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, final

from numpy.typing import ArrayLike, NDArray

from skmetric._checks import check_matrix
from skmetric.search._index._checks import check_keys
from skmetric.search._server._columns import typed_columns
from skmetric.search._server._secrets import Address, hide, without_secrets
from skmetric.search._server._shared import SharedIndex
from skmetric.search._server._store import Items, Mode

from ._schema import Schema
from ._sql import MAX_DIMENSIONS, MAX_INDEXED_HALF, OWN, SYSTEM
from ._table import Table

_METHODS = ("exact", "hnsw", "ivfflat")


@final
class PgVectorIndex(SharedIndex):
    """Embeddings, labels and metadata in a table of PostgreSQL with pgvector, shared by many processes.

    The table is made when it is first filled: ids and columns of the types that the data have, and an
    index over the embeddings. What one process adds, others find at once. Each call is one transaction: all
    of it is kept or nothing. Embeddings are kept in float32; distances are those of the kept embeddings.
    Columns that an administrator adds to the table are left alone, if they may be NULL or have a default.

    Parameters
    ----------
    conninfo : str
        Connection string of libpq, ``"host=... dbname=... user=..."`` or a URL. A password in it is shown
        by no ``repr`` and no error and goes into no pickle: give it by ``PGPASSWORD`` or a password file
        where the index goes to other processes. Settings of the server go into its ``options``, such as
        ``options='-c maintenance_work_mem=1GB'``, which makes the building of a large HNSW graph faster.
        ``connect_timeout=5`` and ``options='-c statement_timeout=5000'`` bound the time of a call.
    table : str
        Table, on the search path; made if it is not there. Its name has 1 to 63 bytes.
    method : {"exact", "hnsw", "ivfflat"}, default="exact"
        Compare with all items, or look through pgvector's HNSW graph or inverted lists, which find most of
        the nearest items.
    m : int, default=16
        Links of an item in the HNSW graph, from 2 to 100.
    ef_construction : int, default=64
        Candidates while the HNSW graph is built, at least ``2 * m``.
    ef_search : int, default=40
        Candidates of a search through HNSW, from 1 to 1000: more find more, and take longer.
    lists : int, default=None
        Lists of IVFFlat; None takes the square root of the items at hand when the index is made.
    probes : int, default=None
        Lists that a search through IVFFlat reads; None takes the square root of `lists`.

    See Also
    --------
    ExactIndex : In memory: the default.
    MilvusIndex : The same in Milvus.
    SimilaritySearch.attach : Open a gallery that is in the table already.

    Notes
    -----
    HNSW and IVFFlat hold `vector` to 2,000 dimensions; between there and 4,000 they are built over
    ``halfvec``, and what they find is ranked by the full embeddings; beyond, only ``method="exact"``
    serves, to 16,000. The lists of IVFFlat come from the items of the first call of `add`: fill it with
    many, or call `reindex` later. With a filter, the search goes on through the index until enough items
    pass (pgvector's iterative scan); queries for which it ends early are answered by comparing with all.

    Examples
    --------
    Nothing is connected until the first call:

    >>> from skmetric.search import PgVectorIndex
    >>> PgVectorIndex("host=db.example dbname=faces password=secret", "people", method="hnsw")
    PgVectorIndex(conninfo='host=db.example dbname=faces password=***',
                  method='hnsw', table='people')
    """

    def __init__(
        self,
        conninfo: str,
        table: str,
        method: str = "exact",
        m: int = 16,
        ef_construction: int = 64,
        ef_search: int = 40,
        lists: int | None = None,
        probes: int | None = None,
    ) -> None:
        self.conninfo = conninfo
        self.table = table
        self.method = method
        self.m = m
        self.ef_construction = ef_construction
        self.ef_search = ef_search
        self.lists = lists
        self.probes = probes

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
        return hide(super().get_params(deep), conninfo=Address)

    def __getstate__(self) -> dict[str, Any]:
        state = {name: value for name, value in super().__getstate__().items() if name != "_table"}
        return state | {"conninfo": without_secrets(self.conninfo)}

    def add(
        self, ids: ArrayLike, embeddings: ArrayLike, columns: Mapping[str, ArrayLike] | None = None
    ) -> Self:
        """Add embeddings under ids that are not in use, by binary COPY in one transaction.

        Parameters
        ----------
        ids : array-like of shape (n_items,), int
            Ids, each once.
        embeddings : array-like of shape (n_items, n_features)
            Their embeddings; when the call returns, every process finds them.
        columns : dict of str to array-like of shape (n_items,), default=None
            Numbers, booleans, dates (to microseconds) or text; the same columns each time.

        Returns
        -------
        PgVectorIndex
            The index.

        Raises
        ------
        ValueError
            If an id is in use or comes twice, embeddings are not finite or of another dimension, or columns
            are others than at first; then nothing is added.
        IndexUnavailableError
            If the server is away or drops the connection; then nothing is added.
        """
        return self._fill(ids, embeddings, columns, "add")

    def upsert(
        self, ids: ArrayLike, embeddings: ArrayLike, columns: Mapping[str, ArrayLike] | None = None
    ) -> Self:
        """Add items, or replace those whose ids are in use, in one transaction.

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
        PgVectorIndex
            The index. Other processes see all of the change or none of it.

        Raises
        ------
        ValueError
            As `add`, but that ids may be in use.
        """
        return self._fill(ids, embeddings, columns, "upsert")

    def reindex(self) -> Self:
        """Make the index over embeddings anew, as after `method` was changed or many items were added.

        Returns
        -------
        PgVectorIndex
            The index. Writers wait meanwhile.
        """
        self._opened().reindex(self._design)
        return self

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        # where the gallery is, without secrets; the items stay there
        params = {name: getattr(self, name) for name in self.get_params()}
        return {"params": params | {"conninfo": without_secrets(self.conninfo)}}, {}

    def _opened(self) -> Table:
        table = getattr(self, "_table", None)
        if table is None or table.address != (str(self.conninfo), self.table):
            if self.method not in _METHODS:
                raise ValueError(f"method must be one of {_METHODS}; got {self.method!r}")
            self._table = table = Table(str(self.conninfo), self.table)
        return table

    def _fill(
        self,
        ids: ArrayLike | None,
        embeddings: ArrayLike,
        columns: Mapping[str, ArrayLike] | None,
        mode: Mode,
    ) -> Self:
        embeddings = check_matrix(embeddings, "embeddings")
        ids = None if ids is None else check_keys(ids, len(embeddings))
        arrays, types = typed_columns(columns, len(embeddings), (*OWN, *SYSTEM))
        n_features = embeddings.shape[1]
        most = MAX_DIMENSIONS if self.method == "exact" else MAX_INDEXED_HALF
        if n_features > most:
            raise ValueError(
                f"method={self.method!r} of pgvector holds up to {most} dimensions; got {n_features}: "
                "reduce them" + ', or use method="exact"' * (self.method != "exact")
            )
        self._opened().fill(Items(ids, embeddings, arrays, types), self._design, mode)
        return self

    def _design(self, n_items: int) -> tuple[str | None, dict[str, int]]:
        """Method of the index over embeddings, and its options."""
        if self.method == "hnsw":
            return "hnsw", {"m": int(self.m), "ef_construction": int(self.ef_construction)}
        if self.method == "ivfflat":
            lists = max(1, round(n_items**0.5)) if self.lists is None else self.lists
            return "ivfflat", {"lists": int(lists)}
        return None, {}

    def _search_options(self, k: int) -> tuple[bool, dict[str, Any]]:
        """Whether there is an index to go through, and settings of a session that searches."""
        schema = self._opened().schema()
        return schema.method is not None and self.method != "exact", self._settings(schema)

    def _settings(self, schema: Schema) -> dict[str, Any]:
        if schema.method == "hnsw":
            return {"hnsw.ef_search": int(self.ef_search), "hnsw.iterative_scan": "relaxed_order"}
        if schema.method == "ivfflat":
            probes = max(1, round(schema.lists**0.5)) if self.probes is None else self.probes
            return {"ivfflat.probes": int(probes), "ivfflat.iterative_scan": "relaxed_order"}
        return {}
