"""Queries that are items of the gallery, or nearly: they find themselves, and make distances too small."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmetric.retrieval import nearest
from skmetric.search._gallery._side import Side

_SAME = 1e-5  # of the distance to the nearest item of another class: rounding of an embedder that ran again
_RATIO = 0.001  # of the distance to the next item, of its class or another
_RATIO_INSIDE = 0.1  # of that to the next item of its class: photos encoded again
_FEW = 8  # queries, below which the shares of ratios inside a class say nothing
_MANY = 20  # pairs, below which a share of them says nothing
_ONE_COLUMN = ((0, 0), (0, 1))
_SHARE, _SHARE_INSIDE = 0.05, 0.25  # of queries, from which on there is a warning


class Copies(NamedTuple):
    """How many queries are items, nearly items, or items under the name of another class."""

    n_queries: int  # of classes in the gallery
    n_exact: int
    n_near: int  # 0 where so few are no reason for a warning
    n_strangers: int  # of classes that are not in the gallery
    n_renamed: int  # strangers at distance 0 from an item

    @classmethod
    def of(cls, known: NDArray, exact: NDArray, own: NDArray, next_own: NDArray, other: NDArray) -> Copies:
        """Count them, from the distances of each query after it was left out of the gallery if it is there.

        Parameters
        ----------
        known, exact : ndarray of shape (n_queries,), bool
            Whether the class is in the gallery, and whether the query was left out.
        own, next_own, other : ndarray of shape (n_queries,)
            Distances to the nearest item of its class, to the next one, and to the nearest of another class;
            infinite where there is none.
        """
        asked = known & ~exact
        own, next_own, to_other = own[asked], next_own[asked], other[asked]
        near = (own <= _RATIO * np.minimum(next_own, to_other)) | (own <= _SAME * to_other)
        near &= np.isfinite(own) & (to_other > 0)  # where classes coincide, as hash codes do, 0 says nothing
        inside = np.isfinite(next_own) & (next_own > 0)
        close = inside & (own <= _RATIO_INSIDE * next_own)
        n_near = int(near.sum()) if near.sum() > _SHARE * len(own) else 0
        if inside.sum() >= _FEW and close.sum() >= _SHARE_INSIDE * inside.sum():
            n_near = int((near | close).sum())
        n_renamed = int((other[~known] == 0).sum())
        return cls(int(known.sum()), int(exact.sum()), n_near, int((~known).sum()), n_renamed)

    def warnings(self, effect: str) -> list[str]:
        """What to say of them, and what to do; `effect` is what copies would do to the result."""
        said = []
        if self.n_exact > _SHARE * self.n_queries:  # a few new samples may equal an item, as short texts do
            said.append(
                f"{self.n_exact} of the {self.n_queries} queries are items of the gallery (the same "
                "embedding and class): each was searched among the other items, as calibrate() does without "
                "X. Give samples that are not in the gallery, or calibrate() without X"
            )
        if self.n_near:
            said.append(
                f"{self.n_near} of the {self.n_queries} queries are nearly at distance 0 from an item of "
                "their class, much nearer than its other items: the same samples encoded again? "
                f"{effect}. Give samples that are not in the gallery, or calibrate() without X, which "
                "searches each item among the others"
            )
        if self.n_renamed > _SHARE * self.n_strangers:
            said.append(
                f"{self.n_renamed} of the {self.n_strangers} strangers are at distance 0 from an item of the "
                "gallery: they are enrolled under another label. Leave them out, or remove those items"
            )
        return said


def twins(own: NDArray, other: NDArray) -> str | None:
    """The warning for a gallery in which items have a twin, or None; distances as in :meth:`Copies.of`."""
    asked = np.isfinite(own)
    n_twins = int((asked & (own <= _SAME * other) & (other > 0)).sum())
    if not n_twins or n_twins < _SHARE_INSIDE * asked.sum():
        return None
    return (
        f"{n_twins} of the {asked.sum()} items have an equal item of their class in the gallery, or nearly "
        "equal: the same sample enrolled twice? Then the threshold is too strict for new queries: "
        "duplicates() lists them, for remove()"
    )


def own_items(queries: Side, gallery: Side) -> tuple[NDArray, NDArray]:
    """The nearest two items of the class of each query.

    Returns
    -------
    rows : ndarray of shape (n_queries,), int
        Row of the item that a query is, by identity: equal in all numbers and of its class. -1 for others.
    distances : ndarray of shape (n_queries, 2)
        To the nearest two items of the class, that item left out; infinite where there are fewer.
    """
    rows = np.full(len(queries.codes), -1, dtype=np.intp)
    distances = np.full((len(queries.codes), 2), np.inf)
    embeddings = as_stored(queries.embeddings, gallery.embeddings)
    asked, items = _by_code(queries.codes), _by_code(gallery.codes)
    for code in asked.keys() & items.keys():
        mine, theirs = asked[code], items[code]
        found = nearest(embeddings[mine], gallery.embeddings[theirs], min(3, len(theirs)))
        is_copy = found.distances[:, 0] == 0
        rows[mine[is_copy]] = theirs[found.indices[is_copy, 0]]
        distances[mine] = without_first(found.distances, is_copy, 2)
    return rows, distances


def pairs_to_keep(distances: NDArray, same: NDArray) -> tuple[NDArray, list[str]]:
    """Pairs of two samples, (n_pairs,), and warnings: a sample and itself are no pair of one class.

    A pair of different classes at distance 0 stays: no threshold can tell it apart, and that must count.
    """
    itself = same & (distances == 0)
    n_same = int(same.sum())
    if n_same and itself.sum() == n_same:
        raise ValueError(
            f"all {n_same} pairs of one class are at distance 0, each a sample and itself: pair different "
            "samples"
        )
    said = []
    n_equal, n_different = int((~same & (distances == 0)).sum()), int((~same).sum())
    if n_equal > _SHARE * n_different:
        said.append(
            f"{n_equal} of the {n_different} pairs of different classes are at distance 0: a sample and "
            "itself, or the same sample under two labels? They count as different, and no threshold tells "
            "them apart: check y"
        )
    if itself.sum() > _SHARE * n_same:  # pairs drawn at random hold a few
        said.append(
            f"{itself.sum()} of the {n_same} pairs of one class are at distance 0, each a sample and itself: "
            "they were left out, since they would make the threshold too strict. Pair different samples"
        )
    if not same.all():
        rest = same & ~itself
        n_near = int((distances[rest] <= _SAME * np.median(distances[~same])).sum())
        if n_near > _SHARE * rest.sum():
            said.append(
                f"{n_near} of the {n_same} pairs of one class are nearly at distance 0: the same sample "
                "encoded again? The threshold is too strict for new samples. Pair different samples"
            )
    return ~itself, said


def samples_and_themselves(distances: NDArray) -> str | None:
    """A warning, if more than a few of many pairs, (n_pairs,), are at distance 0."""
    n_equal = int((distances == 0).sum())
    if len(distances) < _MANY or n_equal <= _SHARE * len(distances):
        return None
    return (
        f"{n_equal} of the {len(distances)} pairs are at distance 0, each a sample and itself: they are "
        "accepted whatever the threshold. Pair different samples to measure it"
    )


def find_themselves(is_item: NDArray) -> str | None:
    """A warning, if more than a few queries, (n_queries,), are at distance 0 from an item of their class."""
    if is_item.sum() <= _SHARE * len(is_item):
        return None
    return (
        f"{is_item.sum()} of the {len(is_item)} queries are at distance 0 from an item of their class, so "
        "that they find themselves: the score is better than that of new queries. Give queries that are not "
        "in the gallery, or use evaluate, which leaves each out of its own search"
    )


def as_stored(queries: NDArray, stored: NDArray) -> NDArray:
    """Queries in the precision of the gallery, in which the same sample has the same numbers."""
    return queries.astype(stored.dtype) if stored.dtype.itemsize < queries.dtype.itemsize else queries


def without_first(values: NDArray, drops: ArrayLike, k: int) -> NDArray:
    """The first `k` columns, without the very first in rows that `drops` names; filled with infinity."""
    padded = np.full((len(values), k + 1), np.inf)
    padded[:, : values.shape[1]] = values[:, : k + 1]
    return np.where(np.asarray(drops)[:, None], padded[:, 1:], padded[:, :-1])


def leave_items_out(
    distances: NDArray, codes: NDArray, true: NDArray, k: int
) -> tuple[NDArray, NDArray, NDArray, Copies]:
    """The first `k` neighbours of each query, without the item that the query is.

    Parameters
    ----------
    distances, codes : ndarray of shape (n_queries, n_found)
        Neighbours and their classes: `k` + 1 of them, 3 at least, or fewer in a smaller gallery.
    true : ndarray of shape (n_queries,), int
        Class of each query; -1 for strangers.
    k : int
        Neighbours to keep.

    Returns
    -------
    distances, codes : ndarray of shape (n_queries, min(k, n_found))
        Filled with infinity and -1 where the item that was left out was among the last.
    is_item : ndarray of shape (n_queries,), bool
        Whether the query is an item: at distance 0 from an item of its class.
    copies : Copies
        Their number.
    """
    true = np.where(true >= 0, true, -2)[:, None]  # the class of no neighbour, for strangers
    at_zero = np.pad((codes == true) & (distances == 0), _ONE_COLUMN)
    distances = drop_one(np.pad(distances, _ONE_COLUMN, constant_values=np.inf), at_zero)
    codes = drop_one(np.pad(codes, _ONE_COLUMN, constant_values=-1), at_zero)
    there, of_class = np.isfinite(distances), codes == true
    own = np.sort(np.where(of_class, distances, np.inf), axis=1)
    next_own = own[:, 1] if own.shape[1] > 1 else np.full(len(own), np.inf)
    other = np.where(there & ~of_class, distances, np.inf).min(axis=1)
    last = np.where(there, distances, -np.inf).max(axis=1)  # others are no nearer, where none was found
    is_item = np.asarray(at_zero.any(axis=1))
    copies = Copies.of(true[:, 0] >= 0, is_item, own[:, 0], next_own, np.where(np.isinf(other), last, other))
    return distances[:, :k], codes[:, :k], is_item, copies


def drop_one(columns: NDArray, unwanted: NDArray) -> NDArray:
    """Each row without its first unwanted entry, or else without its last: one column less."""
    drop = np.where(unwanted.any(axis=1), unwanted.argmax(axis=1), columns.shape[1] - 1)
    kept = np.arange(columns.shape[1]) != drop[:, None]
    return columns[kept].reshape(len(columns), columns.shape[1] - 1)


def _by_code(codes: NDArray) -> dict[int, NDArray]:
    """Rows of each code."""
    order = np.argsort(codes, kind="stable")
    unique, starts = np.unique(codes[order], return_index=True)
    return dict(zip(unique.tolist(), np.split(order, starts[1:]), strict=True))
