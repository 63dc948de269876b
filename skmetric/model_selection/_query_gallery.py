"""Split each class into queries and the gallery they are searched in."""

from itertools import chain
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state, indexable

from skmetric._checks import check_map, encode_labels
from skmetric._input._groups import check_groups
from skmetric._params import Interval, safe_indexing, validate_params

from ._labels import RELEVANCE, class_codes


@validate_params(
    {
        "query_size": [
            Interval(Real, 0, 1, closed="neither"),
            Interval(Integral, 1, None, closed="left"),
        ],
        "random_state": ["random_state"],
        "relevance": RELEVANCE,
    },
    prefer_skip_nested_validation=True,
)
def query_gallery_split(
    X: Any,
    y: Any,
    *arrays: Any,
    groups: Any = None,
    query_size: float = 0.5,
    random_state: int | np.random.RandomState | None = None,
    relevance: str = "labels",
) -> list[Any]:
    """Split every class into queries and gallery, so that each query has something to find.

    For scores of a search in a collection, as opposed to a search of each row among the others. Of a class
    with two samples or more, at least one becomes a query and at least one stays in the gallery. A class with
    one sample goes to the gallery as a distractor: it can be found by mistake, and no query looks for it.

    Parameters
    ----------
    X : sequence, array, sparse matrix or dataframe with n_samples rows
        Samples: features, images, a list of paths.
    y : array-like of shape (n_samples,)
        Their labels, numbers or strings.
    *arrays : sequences, arrays, sparse matrices or dataframes with n_samples rows
        Other arrays that are split in the same way.
    groups : array-like of shape (n_samples,), default=None
        Group of each row, such as its camera. Items of the class and the group of a query do not count as
        matches, so the gallery keeps items of two groups of each class that has queries (of one group where
        the class has two samples). A class of one group goes to the gallery as a distractor. Give `groups`
        among `arrays` too to have them split.
    query_size : float or int, default=0.5
        Share of each class to query with, in (0, 1), rounded up; or number of queries of each class. Either
        way, one sample of the class stays in the gallery.
    random_state : int, RandomState instance or None, default=None
        Seed of the choice of samples inside each class.
    relevance : {"labels", "hierarchy"}, default="labels"
        "hierarchy": `y` has one column for each level, from coarse to fine, and the classes of the coarsest
        level are split inside.

    Returns
    -------
    list of length 2 * (2 + len(arrays))
        ``X_query, X_gallery, y_query, y_gallery`` and so on, each of the type it came in, its rows in the
        order they had.

    Raises
    ------
    ValueError
        If lengths differ, if `y` is continuous or has unlabelled rows, if a row has no group, or if no class
        has two samples, of two groups where there are groups.

    See Also
    --------
    class_disjoint_split : Split the classes themselves, to score on classes that were not trained on.

    Examples
    --------
    >>> from skmetric.model_selection import query_gallery_split
    >>> X = [[0.0], [0.1], [5.0], [5.1], [5.2], [9.0]]
    >>> y = ["ant", "ant", "bee", "bee", "bee", "cat"]
    >>> X_query, X_gallery, y_query, y_gallery = query_gallery_split(X, y, query_size=1, random_state=0)
    >>> y_query, y_gallery
    (['ant', 'bee'], ['ant', 'bee', 'bee', 'cat'])
    """
    everything = indexable(X, y, *arrays)
    for array in everything:
        if isinstance(array, np.ndarray):
            check_map(array, "an array to be split")
    codes = class_codes(X, y, relevance)
    group_of_row = None if groups is None else encode_labels(check_groups(groups, len(codes)))[0]
    is_query = _choose_queries(codes, group_of_row, query_size, check_random_state(random_state))
    if not is_query.any():
        has_one = "one sample" if groups is None else "samples of one group only"
        raise ValueError(
            f"each of the {len(np.unique(codes))} classes in y has {has_one}: no query would have a match"
        )
    sides = np.flatnonzero(is_query), np.flatnonzero(~is_query)
    return list(chain.from_iterable((safe_indexing(a, side) for side in sides) for a in everything))


def _choose_queries(
    codes: NDArray[np.intp],
    groups: NDArray[np.intp] | None,
    query_size: float,
    rng: np.random.RandomState,
) -> NDArray[np.bool_]:
    """Mask of shape (n_samples,): the first rows of each class in a random order.

    With groups the last two rows of a class are of two groups, and stay in the gallery.
    """
    class_sizes = np.bincount(codes)  # (n_classes,)
    wanted: Any = query_size if isinstance(query_size, Integral) else np.ceil(query_size * class_sizes)
    n_queries = np.minimum(wanted, class_sizes - 1)
    shuffled = rng.permutation(len(codes))
    if groups is not None:
        shuffled, has_two = _two_groups_last(shuffled, codes, groups)
        n_queries = np.where(has_two, np.minimum(n_queries, np.maximum(class_sizes - 2, 1)), 0)
    by_class = shuffled[np.argsort(codes[shuffled], kind="stable")]  # rows, class after class
    rank_in_class = np.arange(len(codes)) - np.repeat(np.cumsum(class_sizes) - class_sizes, class_sizes)
    is_query = np.empty(len(codes), dtype=bool)
    is_query[by_class] = rank_in_class < np.repeat(n_queries, class_sizes)
    return is_query


def _two_groups_last(
    rows: NDArray[np.intp], codes: NDArray[np.intp], groups: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Rows in their order, but that the last two of each class are of two groups where the class has two.

    The second value says of each class whether it has.
    """
    _, last = np.unique(codes[rows][::-1], return_index=True)
    last_of_class = rows[::-1][last]  # (n_classes,)
    is_other = groups[rows] != groups[last_of_class][codes[rows]]
    others = rows[is_other]
    present, at = np.unique(codes[others], return_index=True)
    has_two = np.zeros(len(last_of_class), dtype=bool)
    has_two[present] = True
    is_kept = np.zeros(len(codes), dtype=bool)
    is_kept[last_of_class] = True
    is_kept[others[at]] = True
    return np.concatenate([rows[~is_kept[rows]], rows[is_kept[rows]]]), has_two
