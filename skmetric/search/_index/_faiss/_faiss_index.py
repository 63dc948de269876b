"""FaissIndex: approximate search by FAISS, of a kind that a factory string names."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmetric._checks import check_matrix
from skmetric._folder._arrays import mapped
from skmetric._params import Interval, InvalidParameterError, check_params
from skmetric.retrieval import Neighbors
from skmetric.search._index._checks import check_dimension, check_k, check_keys, refuse_columns
from skmetric.search._index._growing import GrowingArray
from skmetric.search._index._ids import Ids
from skmetric.search._index._index import Index

from ._changes import added, begun, rebuilt, tended, without
from ._engine import Engine, build
from ._held import Held, of_ids
from ._kept import Kept
from ._searching import search

_COUNT = Interval(Integral, 1, None, closed="left")


@final
class FaissIndex(Index):
    """Approximate search by FAISS [1]_: graphs, inverted lists and quantisation, for millions of items.

    The embeddings are kept beside FAISS's own structures, and distances of what it finds are computed from
    them, in float32: quantisation costs candidates, not digits. Items are searchable at once. What
    must be trained is trained on the embeddings of the first `add`.

    Parameters
    ----------
    factory : str, default="HNSW32"
        FAISS's description of the index [2]_: "Flat" (exact), "HNSW32" (a graph), "IVF1024,Flat" (inverted
        lists), "SQ8" (8 bits a number), "IVF1024,PQ16" (product quantisation: 16 bytes an item), "PCA64,SQ8".
    n_probe : int, default=16
        Inverted lists that a query looks into, at most all.
    ef_search : int, default=64
        Candidates that a graph search holds; at least k are.
    ef_construction : int, default=40
        Candidates held while a graph is built.
    rescore : int, default=4
        Candidates for each neighbour asked for that a quantised index is asked for; their exact distances
        decide. 1 takes FAISS's own choice.
    keep_vectors : bool, default=True
        Keep the embeddings. Without them distances, and what `vectors` returns, are those of the quantised
        embeddings, and recall is not measured.
    max_recall_loss : float or None, default=0.1
        How far recall may fall below what it was when the index was built, before it is built again; None
        lets it fall. See Notes.

    See Also
    --------
    ExactIndex : Exact, and fast enough for some hundred thousand items.

    Notes
    -----
    **Removing.** `remove` and `update` hide what is removed: searches ask FAISS for more candidates and leave
    out the hidden ones. Their embeddings stay in memory until `vectors` or `save` asks for all, which then
    copies those that are left. A folder and a pickle hold nothing of them: in a copy of FAISS's structures
    hidden entries are taken out of lists, or overwritten by their neighbours in a graph. (Cluster centres of
    lists and codes stay as they are; `reindex` makes new ones.) When a quarter of the entries is hidden, the
    index is built again from the embeddings that are left, inside the call that hid the last of them.

    **Growing.** A graph that grows in one region may lose the way to another. So each query of a graph is
    also compared with landmarks, 32 items for each doubling of their number; where one of these belongs to
    the neighbours and was not found, the search is repeated from the nearest landmarks. Codes and lists
    that were trained on the first items may suit later ones badly. So recall@10 is measured on a sample of
    the stored items whenever their number has grown by a quarter, at the cost of an exact search for some
    200 queries. Where it has fallen by more than `max_recall_loss`, the index is trained and built again,
    inside that call
    of `add`, which then takes as long as filling it anew. Where that is too long, use
    ``max_recall_loss=None`` and call `reindex` at a quiet time; do so too where inverted lists become slow
    because new items crowd in a few of them.

    A query for which a graph or the lists find too few looks everywhere, in the end in the embeddings.
    Searches use as many threads as OpenMP is allowed. Nothing is random: equal calls give equal indexes.

    References
    ----------
    .. [1] M. Douze et al., "The Faiss library", arXiv:2401.08281, 2024.
    .. [2] https://github.com/facebookresearch/faiss/wiki/The-index-factory

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmetric.search import FaissIndex, SimilaritySearch
    >>> X, y = load_digits(return_X_y=True)
    >>> search = SimilaritySearch(index=FaissIndex("HNSW16")).fit(X[:1000], y[:1000])
    >>> round(search.score(X[1000:], y[1000:]), 2)
    0.96
    """

    _parameter_constraints = {
        "factory": [str],
        "n_probe": [_COUNT],
        "ef_search": [_COUNT],
        "ef_construction": [_COUNT],
        "rescore": [_COUNT],
        "keep_vectors": ["boolean"],
        "max_recall_loss": [Interval(Real, 0, 1, closed="both"), None],
    }
    _held: Held | None = None  # what is held, swapped as one: a change that is cut short has not begun

    def __init__(
        self,
        factory: str = "HNSW32",
        *,
        n_probe: int = 16,
        ef_search: int = 64,
        ef_construction: int = 40,
        rescore: int = 4,
        keep_vectors: bool = True,
        max_recall_loss: float | None = 0.1,
    ) -> None:
        self.factory = factory
        self.n_probe = n_probe
        self.ef_search = ef_search
        self.ef_construction = ef_construction
        self.rescore = rescore
        self.keep_vectors = keep_vectors
        self.max_recall_loss = max_recall_loss

    def add(
        self, ids: ArrayLike, embeddings: ArrayLike, columns: dict[str, NDArray[Any]] | None = None
    ) -> Self:
        """Add embeddings under ids that are not in use.

        Parameters
        ----------
        ids : array-like of shape (n_items,), int
            Ids, each once.
        embeddings : array-like of shape (n_items, n_features)
            Their embeddings; FAISS keeps them in float32.
        columns : None
            Not held here.

        Returns
        -------
        FaissIndex
            The index.

        Raises
        ------
        ImportError
            Without FAISS: the extra ``faiss`` brings it.
        ValueError
            If an id is in use or comes twice, embeddings are not finite or of another dimension, FAISS does
            not know the factory, or there are too few embeddings to train it.
        """
        refuse_columns(self, columns=columns)
        rows = _as_float32(embeddings)
        keys = check_keys(ids, len(rows))
        if self._held is None:
            check_params(self)
        held = begun(self, rows) if self._held is None else self._held
        self._held = tended(self, added(self, held, keys, rows))
        return self

    def remove(self, ids: ArrayLike) -> Self:
        self._held = tended(self, without(self._opened(), ids))
        return self

    def update(
        self, ids: ArrayLike, embeddings: ArrayLike, columns: dict[str, NDArray[Any]] | None = None
    ) -> Self:
        refuse_columns(self, columns=columns)
        rows = _as_float32(embeddings)
        keys = check_keys(ids, len(rows))
        self._held = tended(self, added(self, without(self._opened(), keys), keys, rows))
        return self

    def reindex(self) -> Self:
        """Train and build the index again, as after many items were added or `factory` was changed.

        Returns
        -------
        FaissIndex
            The index, with the same items.

        Raises
        ------
        ValueError
            If it is empty, or has too few items to train on. Then nothing is changed.
        """
        held = self._opened()
        self._held = rebuilt(self, held, build(self, held.kept_vectors()))
        return self

    def query(
        self,
        embeddings: ArrayLike,
        k: int,
        *,
        among: ArrayLike | None = None,
        where: dict[str, Any] | None = None,
    ) -> Neighbors:
        refuse_columns(self, where=where)
        queries = _as_float32(embeddings)
        if self._held is None:
            check_k(k, 0)
        held = self._opened()
        rows = None if among is None else held.ids.rows(among)
        check_k(k, len(held.ids) if rows is None else len(rows))
        check_dimension(queries, held.engine.index.d)
        found = search(self, held, queries, k, rows)
        return found._replace(indices=np.where(found.indices < 0, -1, held.ids.values[found.indices]))

    def vectors(self, ids: ArrayLike | None = None) -> NDArray[np.float32]:
        """Return embeddings of items: those that came, or the quantised ones if they are not kept.

        Parameters
        ----------
        ids : array-like of int, default=None
            Which; None gives all, in the order in which they came.

        Returns
        -------
        ndarray of shape (n_items, n_features)
            Read only.

        Raises
        ------
        KeyError
            If an id is not in the index.
        """
        held = self._opened()
        if ids is None:
            values = held.kept_vectors()
        else:
            rows = held.ids.rows(ids)
            values = (
                held.engine.reconstruct(held.serials.values[rows])
                if held.vectors is None
                else held.vectors[rows]
            )
        values = values.view()
        values.flags.writeable = False
        return values

    def __len__(self) -> int:
        return 0 if self._held is None else len(self._held.ids)

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        held = self._opened().without_traces()
        data, n_issued = held.engine.written()
        numbers = {"n_built": held.n_built, "n_measured": held.n_measured, "recall": held.recall}
        arrays: dict[str, NDArray[Any]] = {
            "ids": held.ids.values,
            "serials": held.serials.values,
            "faiss": data,
        }
        if held.vectors is not None:
            arrays["vectors"] = held.vectors.values
        return {"params": self.get_params(), "n_issued": n_issued, "built": numbers}, arrays

    @classmethod
    def of_arrays(cls, content: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        is_old = "params" not in content  # of a version whose entries bore ids
        index = cls(**(content if is_old else content["params"]))
        try:
            check_params(index)
        except InvalidParameterError as error:
            raise TypeError(str(error)) from None  # for `load`, which names the manifest
        ids = Ids.of_file(arrays["ids"])
        vectors = Kept(GrowingArray.of_file(*mapped(arrays, "vectors"))) if "vectors" in arrays else None
        data = np.array(arrays["faiss"])
        if is_old:
            index._held = of_ids(Engine.of_bytes(data), ids, vectors)
        else:
            engine, serials = Engine.of_bytes(data, content["n_issued"]), Ids.of_file(arrays["serials"])
            index._held = Held(engine, ids, serials, vectors, **content["built"]).with_landmarks()
        return index

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = {"max_recall_loss": 0.1, **state}
        if "_engine" in state:  # of a version that kept the parts apart, and whose entries bore ids
            engine, ids, vectors = (state.pop(name) for name in ("_engine", "_ids", "_vectors"))
            state["_held"] = of_ids(engine, ids, None if vectors is None else Kept(vectors))
        held = state.get("_held")
        if held is not None and isinstance(held.vectors, GrowingArray):  # of a version that copied at removal
            state["_held"] = held._replace(vectors=Kept(held.vectors))
        super().__setstate__(state)

    def _opened(self) -> Held:
        if self._held is None:
            raise ValueError("the index is empty: add embeddings first")
        return self._held


def _as_float32(embeddings: ArrayLike) -> NDArray[np.float32]:
    checked = check_matrix(embeddings, "embeddings")
    return np.ascontiguousarray(checked, dtype=np.float32)
