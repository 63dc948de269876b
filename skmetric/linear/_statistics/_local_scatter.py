"""Local scatters of Sugiyama, JMLR 8, 2007, and the directions that they give."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.sparse import issparse, vstack

from ._moments import Rows, check_squares, power_of_two, scatter_of

Matrix = NDArray[np.float64]
_BLOCK = 2048  # rows of a class whose affinities are held at a time
_RUN = 4096  # rows that are multiplied at a time


def local_scatters(
    X: Rows, codes: NDArray[np.intp], n_classes: int, n_neighbors: int
) -> tuple[NDArray[np.float64], Matrix, Matrix]:
    """Mean of the samples, and the local scatters inside and between classes, (n_features, n_features).

    With A the affinities, a pair of a class of n_c samples weighs A / n_c inside and A (1 / n - 1 / n_c)
    between, a pair of two classes 1 / n between (equations 10 to 13). So the sum of both scatters is that of
    all pairs with weight 1 / n, less that of the pairs of a class with weight (1 - A) / n.
    """
    check_squares(X)
    n_features, unit = X.shape[1], power_of_two(X)
    total = scatter_of(X, np.zeros(X.shape[0], np.intp), 1)
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=n_classes))
    inside, remote = np.zeros((n_features, n_features)), np.zeros((n_features, n_features))
    for first, last in _runs(ends):  # classes whose rows are few enough to be held in float64
        starts = np.append(0, ends)[first:last]
        classes = [_centred(X[order[p:q]], unit) for p, q in zip(starts, ends[first:last], strict=True)]
        near, far = zip(*(_pulls(rows, n_neighbors) for rows in classes), strict=True)
        rows = vstack(classes, format="csr") if issparse(X) else np.concatenate(classes)
        inside += rows.T @ np.concatenate(near)
        remote += rows.T @ np.concatenate(far)
    inside, remote = ((half + half.T) / 2 / unit / unit for half in (inside, remote))
    return total.mean, inside, total.within - remote / X.shape[0] - inside


def local_directions(
    within: Matrix, between: Matrix, regularization: float
) -> tuple[NDArray[np.float64], Matrix]:
    """Solve ``between v = psi within v`` with a multiple of the identity added to `within`.

    Returns
    -------
    psi : ndarray of shape (n_features,)
        Falling; from 0.
    directions : ndarray of shape (n_features, n_features)
        Rows, of variance 1 inside classes.
    """
    level = np.trace(within) / len(within)
    if not level > 0:
        raise ValueError(
            "samples of a class do not differ in X: LFDA compares them with those of other classes"
        )
    scaled = within / level + regularization * np.eye(len(within))
    try:
        psi, directions = eigh(between / level, scaled)
        is_solved = regularization > 0 or np.linalg.cond(scaled) < 1 / (len(within) * np.finfo(float).eps)
    except np.linalg.LinAlgError:
        is_solved = False
    if not is_solved:
        raise ValueError(
            "samples of a class do not differ along some direction of X, so their scatter has no inverse: "
            "set regularization above 0, such as 0.1"
        )
    return np.maximum(psi[::-1], 0), directions.T[::-1] / np.sqrt(level)


def _centred(rows: Rows, unit: float) -> Any:
    """Rows of a class about their mean, in float64; sparse rows as they are: they stay sparse."""
    rows = rows.astype(np.float64) * unit
    return rows if issparse(rows) else rows - rows.mean(axis=0)


def _runs(ends: NDArray[np.intp]) -> Iterator[tuple[int, int]]:
    """Yield first and last of classes that have `_RUN` rows together, or of a single larger one."""
    first = 0
    while first < len(ends):
        start = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, start + _RUN, side="right")))
        yield first, last
        first = last


def _pulls(rows: Any, n_neighbors: int) -> tuple[Matrix, Matrix]:
    """Sum over the rows b of a class of w (a - b) for each row a, (n_rows, n_features).

    With w the affinity over the size of the class, and with w = 1 less the affinity. ``rows.T @`` these is
    half the sum of w (a - b)(a - b)^T over all pairs.
    """
    n_rows = rows.shape[0]
    norms = np.asarray((rows * rows).sum(axis=1)).ravel()
    parts = [slice(start, start + _BLOCK) for start in range(0, n_rows, _BLOCK)]
    nearest = min(n_neighbors, n_rows - 1)  # the row itself, at distance 0, is neighbour 0
    reach = np.concatenate([_reach(_squares(rows, norms, part), nearest) for part in parts])
    pulls = []
    for part in parts:
        affinity = _affinity(_squares(rows, norms, part), np.sqrt(np.outer(reach[part], reach)))
        pulls.append(_dense(rows[part] * affinity.sum(axis=1)[:, None]) - affinity @ rows)
    near = np.concatenate(pulls)
    all_pairs = n_rows * _dense(rows) - np.asarray(rows.sum(axis=0)).ravel()
    return near / n_rows, all_pairs - near


def _squares(rows: Any, norms: NDArray[np.float64], part: slice) -> Matrix:
    """Squared distances of some rows to all, (n_part, n_rows); between equal rows exactly 0."""
    sums = norms[part, None] + norms
    squares: Matrix = sums - 2 * _dense(rows[part] @ rows.T)
    squares[squares < 8 * rows.shape[1] ** 0.5 * np.finfo(float).eps * sums] = 0.0
    return squares


def _reach(squares: Matrix, nearest: int) -> NDArray[np.float64]:
    """Squared distance to a neighbour, (n_part,); if copies make it 0, to the nearest that is no copy."""
    reach: NDArray[np.float64] = np.partition(squares, nearest)[:, nearest]
    are_copies = reach == 0
    apart = np.where(squares[are_copies] > 0, squares[are_copies], np.inf).min(axis=1, initial=np.inf)
    reach[are_copies] = np.where(np.isfinite(apart), apart, 0.0)
    return reach


def _affinity(squares: Matrix, scales: Matrix) -> Matrix:
    """``exp(-d^2 / (s_i s_j))``, equation 9; equal rows have 1, also where they have s = 0."""
    ratio = np.divide(squares, scales, out=np.where(squares > 0, np.inf, 0.0), where=scales > 0)
    return np.exp(-ratio)


def _dense(matrix: Any) -> Matrix:
    return matrix.toarray() if issparse(matrix) else matrix  # type: ignore[no-any-return]
