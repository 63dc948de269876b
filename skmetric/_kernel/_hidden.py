"""Items that are hidden from a query, as if they were not in the gallery."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from skmetric._input._groups import check_both_groups, group_codes


class Hidden:
    """Which items each query does not see: those that have the code of the query.

    It holds one number a row. The pairs of query and item are made a block at a time.

    Parameters
    ----------
    codes : ndarray of shape (n_queries,), integers from 0
        Of the queries.
    codes_gallery : ndarray of shape (n_gallery,), integers from 0
        Of the gallery.
    """

    def __init__(self, codes: NDArray[np.integer], codes_gallery: NDArray[np.integer]) -> None:
        n_codes = int(max(codes.max(initial=-1), codes_gallery.max(initial=-1))) + 1
        sizes = np.bincount(codes_gallery, minlength=n_codes)  # (n_codes,)
        self._items = np.argsort(codes_gallery, kind="stable")  # code after code
        self._starts = (np.cumsum(sizes) - sizes)[codes]  # (n_queries,)
        self.counts = sizes[codes]  # (n_queries,), hidden items of each query

    @classmethod
    def of_class_and_group(
        cls,
        codes: NDArray[np.integer],
        codes_gallery: NDArray[np.integer],
        groups: NDArray[np.integer],
        groups_gallery: NDArray[np.integer],
    ) -> Self:
        """Hide from each query the items of its class and its group: the rule of Market-1501 [1]_.

        References
        ----------
        .. [1] L. Zheng et al., "Scalable person re-identification: a benchmark", ICCV 2015.
        """
        n_groups = int(max(groups.max(initial=0), groups_gallery.max(initial=0))) + 1
        pairs = codes.astype(np.int64) * n_groups + groups
        pairs_gallery = codes_gallery.astype(np.int64) * n_groups + groups_gallery
        both = np.unique(np.concatenate([pairs, pairs_gallery]), return_inverse=True)[1]
        return cls(both[: len(pairs)], both[len(pairs) :])

    def pairs(self, rows: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Places in `rows`, which are queries, and the items hidden from them: two arrays of one length."""
        counts = self.counts[rows]
        place = np.repeat(np.arange(len(rows)), counts)
        nth = np.arange(len(place)) - np.repeat(np.cumsum(counts) - counts, counts)
        return place, self._items[self._starts[rows][place] + nth]


class HiddenTwice:
    """What two rules hide together."""

    def __init__(self, first: Hidden, second: Hidden) -> None:
        self._both = first, second

    def pairs(self, rows: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """As :meth:`Hidden.pairs`; a pair may come twice."""
        (first, items), (second, more) = (hidden.pairs(rows) for hidden in self._both)
        return np.concatenate([first, second]), np.concatenate([items, more])


def hidden_by_groups(
    codes: NDArray[np.integer],
    codes_gallery: NDArray[np.integer],
    groups: Any,
    groups_gallery: Any,
    has_gallery: bool,
) -> Hidden | None:
    """What groups, as the user gives them, hide from each query; None if they are not given.

    Parameters
    ----------
    codes, codes_gallery : ndarray, integers from 0
        Classes of queries and gallery; the same array where there is no gallery.
    groups, groups_gallery : array-like or None
        Their groups.
    has_gallery : bool
        Whether queries and gallery are two sets of rows, each with its groups.
    """
    check_both_groups(groups, groups_gallery, has_gallery)
    if groups is None:
        return None
    n_gallery = len(codes_gallery) if has_gallery else None
    return Hidden.of_class_and_group(
        codes, codes_gallery, *group_codes(groups, groups_gallery, len(codes), n_gallery)
    )
