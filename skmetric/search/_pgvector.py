"""A gallery in PostgreSQL: many processes share it, transactions keep it whole."""

from typing import final

import numpy as np

from skmetric._checks import check_matrix

from ._columns import dtypes_of, typed_columns
from ._index import Index
from ._pgvector_sql import MAX_DIMENSIONS, MAX_INDEXED_HALF, OWN
from ._pgvector_table import Items, Table
from ._remote import check_query
from ._requests import check_among, check_ids
from ._secrets import Address, hide, without_password
from ._where import conditions

_METHODS = ("exact", "hnsw", "ivfflat")


@final
class PgVectorIndex(Index):
    """Embeddings, labels and metadata in a table of PostgreSQL with pgvector, shared by many processes.

    The table is made when it is first filled: ids and columns of the types that the data have, and an
    index over the embeddings. What one process adds, others find at once. Each call is one transaction: all
    of it is kept or nothing. Embeddings are kept in float32; distances are those of the kept embeddings.

    Parameters
    ----------
    conninfo : str
        Connection string of libpq, ``"host=... dbname=... user=..."`` or a URL. A password in it is shown
        by no ``repr`` and no error and goes into no pickle: give it by ``PGPASSWORD`` or a password file
        where the index goes to other processes. Settings of the server go into its ``options``, such as
        ``options='-c maintenance_work_mem=1GB'``, which a large HNSW graph is built faster with.
    table : str
        Table, on the search path; made if it is not there.
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

    holds_columns = True

    def __init__(
        self,
        conninfo,
        table,
        method="exact",
        m=16,
        ef_construction=64,
        ef_search=40,
        lists=None,
        probes=None,
    ):
        self.conninfo = conninfo
        self.table = table
        self.method = method
        self.m = m
        self.ef_construction = ef_construction
        self.ef_search = ef_search
        self.lists = lists
        self.probes = probes

    def get_params(self, deep=True):
        """Parameters; the connection string shows its password to no ``repr``.

        Parameters
        ----------
        deep : bool, default=True
            Ignored: no parameter has parameters of its own.

        Returns
        -------
        dict of str to object
            By name.
        """
        return hide(super().get_params(deep), conninfo=Address)

    def __getstate__(self):
        state = {name: value for name, value in super().__getstate__().items() if name != "_table"}
        return state | {"conninfo": without_password(self.conninfo)}

    def add(self, ids, embeddings, columns=None):
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
        self._opened().fill(self._checked(ids, embeddings, columns), self._design)
        return self

    def upsert(self, ids, embeddings, columns=None):
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
        self._opened().fill(self._checked(ids, embeddings, columns), self._design, replace=True)
        return self

    def remove(self, ids):
        """Take items out.

        Parameters
        ----------
        ids : array-like of shape (n_items,), int
            Ids to remove.

        Returns
        -------
        PgVectorIndex
            The index.

        Raises
        ------
        KeyError
            If an id is not in the index; then nothing is removed.
        """
        self._opened().remove(np.asarray(ids).ravel())
        return self

    def query(self, embeddings, k, *, where=None, among=None):
        """Find the nearest items of each embedding, all in one round trip.

        Parameters
        ----------
        embeddings : array-like of shape (n_queries, n_features)
            Queries.
        k : int
            Neighbours of each, from 1 to the number of items. With a filter that fewer items pass, there are
            as many as pass.
        where : dict of str to value, list or slice, default=None
            Only items whose columns have a value, one of several, or one from ``slice(low, high)``, both
            ends included.
        among : array-like of int, default=None
            Only these ids, each once.

        Returns
        -------
        Neighbors
            Euclidean distances (float64) and ids, both (n_queries, k), nearest first.

        Raises
        ------
        ValueError
            If the index is empty, `k` is out of range, embeddings do not fit, or no item passes the filter.
        KeyError
            If an id of `among` is not in the index.
        """
        embeddings = check_matrix(embeddings, "embeddings")
        table = self._opened()
        schema = table.schema()
        check_query(embeddings, k, schema.n_features)
        asked = [] if where is None else conditions(where, dtypes_of(schema.kinds))
        among = None if among is None else check_among(among)
        is_indexed = schema.method is not None and self.method != "exact"
        return table.nearest(embeddings, int(k), asked, among, is_indexed, self._settings(schema))

    def vectors(self, ids=None):
        """Fetch embeddings of items from the server.

        Parameters
        ----------
        ids : array-like of int, default=None
            Which; None gives all, in the order in which they came.

        Returns
        -------
        ndarray of shape (n_items, n_features)
            Read only, float32.

        Raises
        ------
        KeyError
            If an id is not in the index.
        """
        return self._opened().vectors(None if ids is None else np.asarray(ids).ravel())

    def columns(self, ids=None):
        """Fetch labels and metadata of items.

        Parameters
        ----------
        ids : array-like of int, default=None
            Which; those that are not there any more are left out. None gives all.

        Returns
        -------
        ids : ndarray of shape (n_items,)
            Ids, ascending.
        columns : dict of str to ndarray of shape (n_items,)
            By name.
        """
        return self._opened().columns(None if ids is None else np.asarray(ids).ravel())

    def new_ids(self, n_items):
        """Draw ids that no other process is given.

        Parameters
        ----------
        n_items : int
            How many.

        Returns
        -------
        ndarray of shape (n_items,)
            Ascending, above all that were given before. They are of the counter that numbers the items.
        """
        return self._opened().new_ids(int(n_items))

    def reindex(self):
        """Make the index over embeddings anew, as after `method` was changed or many items were added.

        Returns
        -------
        PgVectorIndex
            The index. Writers wait meanwhile.
        """
        self._opened().reindex(self._design)
        return self

    def clear(self):
        """Drop the table with all items.

        Returns
        -------
        PgVectorIndex
            Empty.
        """
        self._opened().drop()
        return self

    def __len__(self):
        return self._opened().count()

    def _to_arrays(self):
        """Where the gallery is, without secrets; the items stay there."""
        params = {name: getattr(self, name) for name in self.get_params()}
        return {"params": params | {"conninfo": without_password(self.conninfo)}}, {}

    @classmethod
    def _of_arrays(cls, content, arrays):
        return cls(**content["params"])

    def _opened(self):
        table = getattr(self, "_table", None)
        if table is None or table.address != (str(self.conninfo), self.table):
            if self.method not in _METHODS:
                raise ValueError(f"method must be one of {_METHODS}; got {self.method!r}")
            self._table = table = Table(str(self.conninfo), self.table)
        return table

    def _checked(self, ids, embeddings, columns):
        embeddings = check_matrix(embeddings, "embeddings")
        ids = check_ids(ids, len(embeddings))
        arrays, kinds = typed_columns(columns, len(ids), OWN)
        n_features = embeddings.shape[1]
        most = MAX_DIMENSIONS if self.method == "exact" else MAX_INDEXED_HALF
        if n_features > most:
            raise ValueError(
                f"method={self.method!r} of pgvector holds up to {most} dimensions; got {n_features}: "
                "reduce them" + ', or use method="exact"' * (self.method != "exact")
            )
        return Items(ids, embeddings, arrays, kinds)

    def _design(self, n_items):
        """Method of the index over embeddings, and its options."""
        if self.method == "hnsw":
            return "hnsw", {"m": int(self.m), "ef_construction": int(self.ef_construction)}
        if self.method == "ivfflat":
            lists = max(1, round(n_items**0.5)) if self.lists is None else self.lists
            return "ivfflat", {"lists": int(lists)}
        return None, {}

    def _settings(self, schema):
        """Settings of a session that searches."""
        if schema.method == "hnsw":
            return {"hnsw.ef_search": int(self.ef_search), "hnsw.iterative_scan": "relaxed_order"}
        if schema.method == "ivfflat":
            probes = max(1, round(schema.lists**0.5)) if self.probes is None else self.probes
            return {"ivfflat.probes": int(probes), "ivfflat.iterative_scan": "relaxed_order"}
        return {}
