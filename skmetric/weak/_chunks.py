"""Chunks from labels: small sets of rows that are known to be of one class."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._by_class import by_class
from ._request import check_count, generator, warn_of_fewer


def sample_chunks(
    y: ArrayLike,
    n_chunks: int | None = None,
    *,
    chunk_size: int = 2,
    unlabeled: Any = None,
    random_state: int | np.random.RandomState | None = None,
) -> NDArray[np.intp]:
    """Draw chunks: disjoint sets of `chunk_size` rows of one class, as RCA learns from.

    Each class with enough rows gets one chunk before any class gets a second one by chance.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Classes: numbers or strings.
    n_chunks : int, default=None
        Number of chunks; fewer, with a warning, if `y` has not so many. None: as many as there are.
    chunk_size : int, default=2
        Rows of a chunk, from 2.
    unlabeled : object, default=None
        The value in `y` that marks rows without a label: these are in no chunk. None: every value in `y` is
        a class, -1 too.
    random_state : int, RandomState instance or None, default=None
        Draws the chunks. An int gives the same ones every time.

    Returns
    -------
    ndarray of shape (n_samples,)
        Number of the chunk of each row, from 0; -1 for rows in no chunk.

    Raises
    ------
    ValueError
        If no class has `chunk_size` rows, or if a parameter is out of range.

    See Also
    --------
    sample_pairs : Pairs of the same class and of two classes.

    Examples
    --------
    >>> from skmetric.weak import sample_chunks
    >>> sample_chunks(["ant", "ant", "bee"]).tolist()
    [0, 0, -1]
    """
    rows = by_class(y, unlabeled)
    size = check_count("chunk_size", chunk_size, least=2)
    asked, rng = check_count("n_chunks", n_chunks), generator(random_state)
    assert size is not None  # for the type checker: it was given
    full = rows.sizes // size  # (n_classes,) chunks that each class has
    if not full.any():
        raise ValueError(f"no class in y has {size} rows: the largest has {rows.sizes.max()}")
    order = np.lexsort([rng.random(len(rows.codes)), rows.codes])  # rows of a class in random order
    place = np.arange(len(order)) - rows.start  # (n_labelled,) within the class
    first = np.cumsum(full) - full  # number of the first chunk of each class
    number = first[rows.codes] + place // size
    is_in = place < full[rows.codes] * size
    kept = _chosen(full, first, asked, rng)
    warn_of_fewer("chunks", int(full.sum()), asked or 0)
    chunks = np.full(rows.n_samples, -1)
    chunks[rows.rows[order[is_in]]] = kept[number[is_in]]
    return chunks


def _chosen(
    full: NDArray[np.intp], first: NDArray[np.intp], asked: int | None, rng: np.random.Generator
) -> NDArray[np.intp]:
    """New number of each chunk, (n_all,), in random order; -1 for those that are not taken."""
    n_all = int(full.sum())
    new = np.full(n_all, -1)
    firsts = rng.permutation(first[full > 0])
    others = rng.permutation(np.setdiff1d(np.arange(n_all), firsts, assume_unique=True))
    taken = np.concatenate([firsts, others])[:asked]
    new[rng.permutation(taken)] = np.arange(len(taken))
    return new
