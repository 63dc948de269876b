"""Recommendations: items like these, and unlike those."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.utils.validation import check_is_fitted

from skmetric.search._asked._combined import Queries, check_combine, on_sphere_of
from skmetric.search._asked._lookup_table import tabulate

from ._finding import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from skmetric.search._asked._wanted import Keep
    from skmetric.search._index._hits import Hits

_WEIGHT = 0.5


class Recommending(Finding):
    """Recommendations of :class:`SimilaritySearch`."""

    def recommend(
        self,
        like: Any,
        unlike: Any = None,
        n_neighbors: int | None = None,
        *,
        combine: str = "mean",
        weight: float | None = None,
        where: Mapping[str, Any] | None = None,
        among: Any = None,
        exclude: Any = None,
        offset: int = 0,
        max_distance: float | None = None,
        unique_by: str | None = None,
    ) -> Any:
        """Nearest items to some items of the gallery, and away from others; none of these is recommended.

        Parameters
        ----------
        like : array-like of ids
            Items that the result should resemble, one or more.
        unlike : array-like of ids, default=None
            Items that the result should not resemble.
        n_neighbors : int, default=None
            Number of items to recommend; None means the parameter.
        combine : {"mean", "best"}, default="mean"
            "mean" searches at one point: the mean of `like`, moved away from the mean of `unlike`. "best"
            counts the distance of an item to the nearest of `like`, and leaves out the items that are nearer
            to one of `unlike`: for tastes of several kinds.
        weight : float, default=None
            How far "mean" moves away, as a part of the way from the mean of `unlike` to that of `like`, from
            0. None means 0.5.
        where : dict of str to value, list, slice, None or Not, default=None
            Only items whose metadata hold this, as in `lookup`.
        among : array-like of ids, default=None
            Only the items with these ids.
        exclude : array-like of ids, default=None
            More items that are not recommended, such as those seen already.
        offset : int, default=0
            Number of items to pass over.
        max_distance : float, default=None
            Only items at most this far, in the distances of the result.
        unique_by : str, default=None
            Only the nearest item of each value of this column.

        Returns
        -------
        LookupTable or DataFrame
            As `lookup` returns it, of one query: rank, id, distance to the point or to the nearest of `like`,
            label, metadata.

        Raises
        ------
        KeyError
            If an id is unknown.
        ValueError
            If `like` is empty, an id comes twice, or a parameter is out of range or would be ignored.

        Notes
        -----
        The point of "mean" is ``mean(like) + weight * (mean(like) - mean(unlike))``: Rocchio's relevance
        feedback [1]_, written so that it does not depend on where the origin is. It is put back on the unit
        sphere if the items are on it.

        References
        ----------
        .. [1] J. Rocchio, "Relevance feedback in information retrieval", in The SMART Retrieval System, 1971.

        Examples
        --------
        >>> from skmetric.search import SimilaritySearch
        >>> X = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.2]]
        >>> search = SimilaritySearch(n_neighbors=3).fit(X, ids=["a", "b", "c", "d"])
        >>> search.recommend(like="a")["id"].tolist()
        ['b', 'c', 'd']
        >>> search.recommend(like="a", unlike="b")["id"].tolist()
        ['d', 'c']
        """
        check_is_fitted(self)
        check_combine(combine)
        wanted = self._wanted(n_neighbors, offset, max_distance, unique_by)
        moves = _check_weight(weight, combine, unlike)
        with self._gallery.reading():
            keys = self._keys(like, unlike)
            liked, unliked = (self._gallery.vectors_at(part) if len(part) else None for part in keys)
            if exclude is not None:
                keys.append(self._gallery.keys_of(exclude, "exclude"))
            rows, spare = np.asarray(liked), sum(map(len, keys))
            if combine == "mean":
                rows = _point(rows, unliked, moves)
                unliked = None
            one = Queries(np.zeros(1, dtype=int), np.zeros(len(rows), dtype=np.intp))
            keep = self._keep(np.concatenate(keys), rows, unliked)
            hits = self._gallery.named(
                self._found(rows, wanted, where, among, one, "best", by_row=False, keep=keep, spare=spare)
            )
        return tabulate(hits, one.names, getattr(self, "_output", None), wanted.offset)

    def _keys(self, like: Any, unlike: Any) -> list[NDArray[np.int64]]:
        """Keys of both kinds of items."""
        keys = [self._gallery.keys_of(like, "like"), np.empty(0, dtype=np.int64)]
        if not len(keys[0]):
            raise ValueError("like is empty: name one item or more")
        if unlike is not None:
            keys[1] = self._gallery.keys_of(unlike, "unlike")
        if len(np.intersect1d(keys[0], keys[1])):
            raise ValueError("like and unlike have an item in common: name it in one of them")
        return keys

    def _keep(self, keys: NDArray[np.int64], liked: NDArray[Any], unliked: NDArray[Any] | None) -> Keep:
        """Tells which hits are none of the items named, and not nearer to those that are not liked."""

        def keep(hits: Hits) -> NDArray[np.bool_]:
            mask = ~np.isin(hits.ids, keys)
            if unliked is not None and mask.any():
                found, at = np.unique(hits.ids[mask], return_inverse=True)
                items = self._gallery.vectors_at(found).astype(np.float64)
                is_liked = cdist(items, liked).min(axis=1) <= cdist(items, unliked).min(axis=1)
                mask[mask] = is_liked[at]
            return mask

        return keep


def _check_weight(weight: float | None, combine: str, unlike: Any) -> float:
    """How far the point moves away from items that are not liked."""
    if weight is None:
        return _WEIGHT
    if combine != "mean" or unlike is None:
        raise ValueError(
            "weight= moves the point of combine='mean' away from unlike=: give both, or no weight"
        )
    if not isinstance(weight, Real) or isinstance(weight, bool) or not 0 <= weight < np.inf:
        raise ValueError(f"weight must be a number from 0; got {weight!r}")
    return float(weight)


def _point(liked: NDArray[Any], unliked: NDArray[Any] | None, weight: float) -> NDArray[Any]:
    """The point to search at, (1, n_features), in the dtype of the items."""
    point, named = liked.mean(axis=0, dtype=np.float64), liked
    if unliked is not None:
        point = point + weight * (point - unliked.mean(axis=0, dtype=np.float64))
        named = np.concatenate([liked, unliked])
    return on_sphere_of(named, point[None]).astype(liked.dtype)
