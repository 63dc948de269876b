"""What the table of a PgVectorIndex and its index are made of, and what pgvector they need."""

from __future__ import annotations

from numbers import Integral
from typing import NamedTuple

METHODS = ("exact", "hnsw", "ivfflat")
PRECISIONS = ("auto", "full", "half", "binary")
STORAGES = {"float32": "vector", "float16": "halfvec"}  # and the types of the column
MAX_DIMENSIONS = 16_000  # of the types vector and halfvec
MAX_INDEXED = {"full": 2000, "half": 4000, "binary": 64_000}
RESCORED = {"full": 1, "half": 4, "binary": 20}  # candidates for each neighbour, ranked by kept embeddings
OPERATORS = {"full": "vector_l2_ops", "half": "halfvec_l2_ops", "binary": "bit_hamming_ops"}
LARGEST_HALF = 65_504.0
MAX_SEARCH = 1000  # largest ef_search
ITERATIVE = (0, 8)  # the version since which the search in an index goes on until a filter is satisfied
_SINCE = {"hnsw": (0, 5), "half": (0, 7), "binary": (0, 7), "halfvec": (0, 7)}
_BOUNDS = {
    "m": (2, 100),
    "ef_construction": (4, 1000),
    "ef_search": (1, 1000),
    "lists": (1, 32_768),
    "probes": (1, 32_768),
    "rescore": (1, 1000),
}
Version = tuple[int, ...]


class Design(NamedTuple):
    """How a table is made, and the index over its embeddings."""

    method: str | None  # None compares with all items
    precision: str  # one of PRECISIONS
    storage: str  # type of the column
    m: int
    ef_construction: int
    lists: int | None

    def resolved(self, n_features: int, storage: str) -> str:
        """The precision of the index over a column of that type."""
        if storage == "halfvec" and self.precision != "binary":
            return "half"
        if self.precision != "auto":
            return self.precision
        return "full" if n_features <= MAX_INDEXED["full"] else "half"

    def options(self, n_items: int) -> dict[str, int]:
        """Options of the index, made over so many items."""
        if self.method == "hnsw":
            return {"m": self.m, "ef_construction": self.ef_construction}
        return {"lists": max(1, round(n_items**0.5)) if self.lists is None else self.lists}

    def check_dimensions(self, n_features: int) -> None:
        """Refuse more dimensions than the column, or the index, has room for."""
        most, remedy = MAX_DIMENSIONS, "reduce them"
        if self.method is not None:
            most = min(MAX_DIMENSIONS, MAX_INDEXED["half" if self.precision == "auto" else self.precision])
            remedy = 'reduce them, choose precision="binary", or use method="exact"'
        if n_features > most:
            raise ValueError(
                f"method={self.method or 'exact'!r} with precision={self.precision!r} of pgvector holds up "
                f"to {most} dimensions; got {n_features}: {remedy}"
            )


def check_choices(method: object, precision: object, storage: object, **numbers: object) -> None:
    """Refuse parameters that no server takes, before anything is sent; None is left to the index."""
    chosen = {
        "method": (method, METHODS),
        "precision": (precision, PRECISIONS),
        "storage": (storage, STORAGES),
    }
    for name, (value, allowed) in chosen.items():
        if not isinstance(value, str) or value not in allowed:
            raise ValueError(f"{name} must be one of {tuple(allowed)}; got {value!r}")
    if storage == "float16" and precision == "full":
        raise ValueError(
            "precision='full' with storage='float16': the index would take twice the bytes of the embeddings "
            "and know no more: choose precision='half' or 'auto'"
        )
    for name, value in numbers.items():
        low, high = _BOUNDS[name]
        if value is None and name in ("lists", "probes", "rescore"):
            continue
        if isinstance(value, bool) or not isinstance(value, Integral) or not low <= int(value) <= high:
            raise ValueError(f"{name} must be an integer from {low} to {high}; got {value!r}")
    m, ef_construction = numbers["m"], numbers["ef_construction"]
    if method == "hnsw" and ef_construction < 2 * m:  # type: ignore[operator]  # integers, as was checked
        raise ValueError(
            f"ef_construction={ef_construction} must be at least twice m, which is {m}: pgvector builds no "
            "other graph"
        )


def version_of(text: str | None) -> Version:
    """The version of the extension, as numbers; of none, none."""
    parts = (text or "").split(".")
    return tuple(int(part) for part in parts if part.isdigit())


def check_version(found: Version, needed: str, title: str) -> None:
    """Refuse a kind of index or column that the server's pgvector does not have yet."""
    since = _SINCE.get(needed)
    if since is None or found >= since:
        return
    named = {
        "hnsw": ("method='hnsw'", "choose method='ivfflat' or 'exact'"),
        "half": ("an index in half precision", "choose precision='full', for up to 2000 dimensions"),
        "binary": ("precision='binary'", "choose precision='full', for up to 2000 dimensions"),
        "halfvec": ("storage='float16'", "choose storage='float32'"),
    }
    what, remedy = named[needed]
    raise ValueError(
        f"{title}: {what} needs pgvector {_written(since)} or later, and the server has {_written(found)}. "
        f"Install the newer one and run ALTER EXTENSION vector UPDATE, or {remedy}"
    )


def _written(version: Version) -> str:
    return ".".join(map(str, version))
