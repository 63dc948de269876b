"""A gallery in PostgreSQL: many processes share it, transactions keep it whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self, final

from numpy.typing import ArrayLike, NDArray

from skmetric._checks import check_matrix
from skmetric.search._index._checks import check_keys
from skmetric.search._server._columns import typed_columns
from skmetric.search._server._secrets import Address, hide, without_secrets
from skmetric.search._server._shared import SharedIndex
from skmetric.search._server._store import Items, Mode, Next, Opened

from ._design import ITERATIVE, MAX_SEARCH, RESCORED, STORAGES, Design, check_choices
from ._schema import Schema
from ._sql import OWN, SYSTEM
from ._table import Table
from ._table_reading import Looking


@final
class PgVectorIndex(SharedIndex):
    """Embeddings, labels and metadata in a table of PostgreSQL with pgvector, shared by many processes.

    The table is made when it is first filled: ids and columns of the types that the data have, and an
    index over the embeddings. What one process adds, others find at once. Each call is one transaction: all
    of it is kept or nothing. Distances are those of the embeddings that the table keeps.
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
        Candidates while the HNSW graph is built, from ``2 * m`` to 1000.
    ef_search : int, default=40
        Candidates of a search through HNSW, from 1 to 1000: more find more, and take longer.
    lists : int, default=None
        Lists of IVFFlat; None takes the square root of the items at hand when the index is made.
    probes : int, default=None
        Lists that a search through IVFFlat reads; None takes the square root of the lists.
    precision : {"auto", "full", "half", "binary"}, default="auto"
        What HNSW or the lists keep of an embedding: float32 numbers ("full"), float16 numbers ("half"), or
        the sign of each number ("binary"). Candidates that they find are ranked by the embeddings of the
        table. "auto" means "full" up to 2,000 dimensions and "half" beyond, and "half" where the table keeps
        float16. "binary" suits embeddings of some hundred numbers that are spread around zero.
    rescore : int, default=None
        Candidates for each neighbour, from 1 to 1000, that are ranked by the embeddings of the table. None
        means 1 for "full", 4 for "half" and 20 for "binary".
    storage : {"float32", "float16"}, default="float32"
        Numbers in which the table keeps embeddings: pgvector's ``vector`` or ``halfvec``, which takes half
        the bytes. It is chosen when the table is made; `reembed` of a search can change it later.

    See Also
    --------
    ExactIndex : In memory: the default.
    MilvusIndex : The same in Milvus.
    SimilaritySearch.attach : Open a gallery that is in the table already.

    Notes
    -----
    HNSW and IVFFlat have room for 2,000 dimensions in full precision, 4,000 in half precision, and for all
    that the table holds, 16,000, in binary. They keep the precision with which they were made, whatever the
    parameters of a process are, until `reindex`. `precision` and `storage` other than the defaults need
    pgvector 0.7.

    The lists of IVFFlat come from the items of the first call of `add`: fill it with many, or call `reindex`
    later. With a filter, the search goes on through the index until enough items pass (iterative scans, since
    pgvector 0.8); queries for which it ends early are answered by comparing with all.

    Examples
    --------
    Nothing is connected until the first call:

    >>> from skmetric.search import PgVectorIndex
    >>> PgVectorIndex("host=db.example dbname=faces password=secret", "people", method="hnsw")
    PgVectorIndex(conninfo='host=db.example dbname=faces password=***',
                  method='hnsw', table='people')
    """

    precision: str = "auto"  # also of indexes that earlier versions pickled
    rescore: int | None = None
    storage: str = "float32"

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
        *,
        precision: str = "auto",
        rescore: int | None = None,
        storage: str = "float32",
    ) -> None:
        self.conninfo = conninfo
        self.table = table
        self.method = method
        self.m = m
        self.ef_construction = ef_construction
        self.ef_search = ef_search
        self.lists = lists
        self.probes = probes
        self.precision = precision
        self.rescore = rescore
        self.storage = storage

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
        self._opened().reindex(self._design())
        return self

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        # where the gallery is, without secrets; the items stay there
        params = {name: getattr(self, name) for name in self.get_params()}
        return {"params": params | {"conninfo": without_secrets(self.conninfo)}}, {}

    def _opened(self) -> Table:
        table = getattr(self, "_table", None)
        if table is None or table.address != (str(self.conninfo), self.table):
            self._check()
            self._table = table = Table(str(self.conninfo), self.table)
        return table

    def _fill(
        self,
        ids: ArrayLike | None,
        embeddings: ArrayLike,
        columns: Mapping[str, ArrayLike] | None,
        mode: Mode,
        expected: Opened | None = None,
    ) -> Self:
        embeddings = check_matrix(embeddings, "embeddings")
        ids = None if ids is None else check_keys(ids, len(embeddings))
        arrays, types = typed_columns(columns, len(embeddings), (*OWN, *SYSTEM))
        design = self._design()
        design.check_dimensions(embeddings.shape[1])
        self._opened().fill(Items(ids, embeddings, arrays, types), design, mode, expected)
        return self

    def _successor(self, text: str, expected: Opened | None) -> Next:
        return self._opened().successor(self._design(), text, expected)

    def _check(self) -> None:
        """Refuse parameters that no server takes."""
        numbers = ("m", "ef_construction", "ef_search", "lists", "probes", "rescore")
        check_choices(
            self.method, self.precision, self.storage, **{name: getattr(self, name) for name in numbers}
        )

    def _design(self) -> Design:
        """How the table and its index are made, if they are not there."""
        self._check()
        method = None if self.method == "exact" else self.method
        lists = None if self.lists is None else int(self.lists)
        storage = STORAGES[self.storage]
        return Design(method, self.precision, storage, int(self.m), int(self.ef_construction), lists)

    def _search_options(self, k: int) -> Callable[[Schema, int], Looking]:
        """How a search looks through a table of some schema."""
        self._check()
        return self._looking

    def _looking(self, schema: Schema, k: int) -> Looking:
        if schema.method is None or self.method == "exact":
            return Looking(False, k, {})
        depth = k * int(RESCORED[schema.precision] if self.rescore is None else self.rescore)
        settings: dict[str, Any] = {}
        if schema.method == "hnsw":
            # candidates beyond those that the first pass finds are worse than those of one wider pass
            wanted = int(self.ef_search) if depth == k else max(int(self.ef_search), min(depth, MAX_SEARCH))
            settings["hnsw.ef_search"] = wanted
        else:
            settings["ivfflat.probes"] = (
                max(1, round(schema.lists**0.5)) if self.probes is None else int(self.probes)
            )
        if schema.version >= ITERATIVE:
            settings[f"{schema.method}.iterative_scan"] = "relaxed_order"
        return Looking(True, depth, settings)
