"""Pairs, triplets and quadruplets as users give them: checked, and held as rows and row numbers."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, issparse
from scipy.sparse.csgraph import connected_components
from sklearn.utils.validation import validate_data

from skmetric._checks import as_array, canonical_rows, check_finite_rows, check_labels, check_width

KINDS = {2: "pairs", 3: "triplets", 4: "quadruplets"}


class Tuples(NamedTuple):
    """Tuples of rows: the rows once, and which of them each tuple is made of."""

    rows: Any  # an array, or a CSR array, (n_rows, n_features)
    members: NDArray[np.intp]  # (n_tuples, n_members)


def read_tuples(
    estimator: Any, X: Any, index: Any, n_members: int, *, reset: bool, distinct: bool = False
) -> Tuples:
    """Check tuples: rows and an array of row numbers, or an array of shape (n_tuples, n_members, n_features).

    Parameters
    ----------
    estimator : estimator
        Whose number and names of features are set (with `reset`) or compared.
    X : array-like of shape (n_samples, n_features) or (n_tuples, n_members, n_features)
        Rows if there is an `index`, else tuples. Rows may be sparse if `estimator` takes these.
    index : array-like of shape (n_tuples, n_members) or None
        Row numbers.
    n_members : int
        2, 3 or 4.
    reset : bool
        Whether this is a `fit`.
    distinct : bool, default=False
        Refuse a tuple that names the same row in two places that must differ.

    Returns
    -------
    Tuples
        Rows in float32 or float64. Nothing is copied for each tuple.
    """
    name = KINDS[n_members]
    X = as_array(X)
    if index is None:
        X = _three_axes(estimator, X, n_members)
        index = np.arange(len(X) * n_members).reshape(-1, n_members)
        _check_finite_members(X)
        X = X.reshape(-1, X.shape[2])
    elif (X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim) == 3:
        raise ValueError(
            f"X has 3 axes and so holds the {name} themselves: pass X alone, or "
            f"X of shape (n_samples, n_features) with {name}="
        )
    X = validate_data(
        estimator,
        X,
        reset=reset,
        accept_sparse="csr" if getattr(estimator, "_takes_sparse", False) else False,
        dtype=[np.float64, np.float32],
        ensure_all_finite=False,
    )
    check_finite_rows(X)
    check_width(X, estimator)
    X = canonical_rows(X)
    index = check_index(index, n_members, X.shape[0])
    if distinct:
        check_distinct(index)
    return Tuples(X, index)


def check_index(index: Any, n_members: int, n_rows: int) -> NDArray[np.intp]:
    """Row numbers (n_tuples, n_members) from 0 to below `n_rows`, or an error that says which are not."""
    name = KINDS[n_members]
    shape = f"an integer array of shape (n_{name}, {n_members})"
    try:
        index = np.asarray(as_array(index))
    except ValueError:
        raise ValueError(f"{name} must be {shape} of row numbers of X; its rows differ in length") from None
    if index.ndim != 2 or index.shape[1] != n_members:
        raise ValueError(f"{name} must be {shape} of row numbers of X; got shape {index.shape}")
    if len(index) == 0:
        raise ValueError(f"{name} is empty: at least one is needed")
    if index.dtype.kind not in "iu":
        raise ValueError(f"{name} must be {shape} of row numbers of X; got dtype {index.dtype}")
    outside = (index < 0) | (index >= n_rows)
    if outside.any():
        row, member = np.argwhere(outside)[0]
        raise ValueError(
            f"{name}[{row}] names row {index[row, member]}, and X has the rows 0 to {n_rows - 1}"
            + (
                f" ({outside.any(axis=1).sum()} {name} name rows that do not exist)"
                if outside.sum() > 1
                else ""
            )
        )
    return index.astype(np.intp, copy=False)


def check_distinct(index: NDArray[np.intp]) -> None:
    """Refuse tuples that compare a row with itself."""
    a, b = index[:, 0], index[:, 1]
    if index.shape[1] == 2:
        same = a == b
    elif index.shape[1] == 3:
        same = (a == b) | (a == index[:, 2]) | (b == index[:, 2])
    else:
        c, d = index[:, 2], index[:, 3]
        same = (a == b) | (c == d) | ((a == c) & (b == d)) | ((a == d) & (b == c))
    if same.any():
        name, bad = KINDS[index.shape[1]], int(np.argmax(same))
        raise ValueError(
            f"{name}[{bad}] = {index[bad].tolist()} compares a row with itself, which says nothing or cannot "
            f"be fulfilled ({same.sum()} of {len(index)} {name} do): leave these out"
        )


def read_similarity(y: Any, n_pairs: int, estimator: Any) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    """Which pairs are similar, and the two labels in order: (0, 1), (-1, 1) or (False, True)."""
    if y is None:
        raise ValueError(f"{type(estimator).__name__} requires y to be passed, but the target y is None")
    y = check_labels(y, n_pairs)
    values = np.unique(y)
    if values.tolist() not in ([0, 1], [-1, 1]):
        one = len(values) == 1 and values[0] in (-1, 0, 1)
        raise ValueError(
            "y must say of each pair whether it is similar (1) or not (0, or -1), and both must occur; got "
            + (f"{values[0]} for all {n_pairs} pairs" if one else f"the values {values[:5].tolist()}")
        )
    return y == values[1], values


def groups_of(members: NDArray[np.integer]) -> NDArray[np.intp]:
    """Group of each tuple, (n_tuples,): tuples with a sample in common, also over others, are in one group.

    Parameters
    ----------
    members : ndarray of shape (n_tuples, n_members)
        Number of the sample at each place.
    """
    n_tuples, n_members = members.shape
    sample = np.unique(members, return_inverse=True)[1].reshape(-1)
    tuples = np.repeat(np.arange(n_tuples), n_members)
    n_all = n_tuples + 1 + sample.max()
    links = coo_array((np.ones(len(sample)), (tuples, n_tuples + sample)), shape=(n_all, n_all))
    return connected_components(links, directed=False)[1][:n_tuples]


def number_samples(samples: NDArray[Any]) -> NDArray[np.intp]:
    """Number of each sample, (n,): equal samples have the same."""
    if samples.dtype.kind == "f":
        samples = samples + 0  # so that -0.0, which equals 0.0, has its bytes
    flat = np.ascontiguousarray(samples).reshape(len(samples), -1)
    keys = flat.view(np.dtype((np.void, flat.dtype.itemsize * flat.shape[1]))).ravel()
    return np.unique(keys, return_inverse=True)[1].reshape(-1)


def _three_axes(estimator: Any, X: Any, n_members: int) -> NDArray[Any]:
    """`X` as an array of tuples, or what to do with it."""
    name = KINDS[n_members]
    shape = f"(n_{name}, {n_members}, n_features)"
    try:
        X = X if issparse(X) else np.asarray(X)
    except ValueError:
        raise ValueError(f"X must hold {name}, {shape}; they differ in length") from None
    if X.ndim != 3:
        learner = type(estimator).__name__
        raise ValueError(
            f"X must hold {name}, {shape}, or come with {name}=, an integer array (n_{name}, {n_members}) of "
            f"row numbers; got shape {X.shape}. For class labels, use FromLabels({learner}())"
        )
    if X.shape[1] != n_members or len(X) == 0:
        raise ValueError(f"X must hold {name}, {shape}; got shape {X.shape}")
    return X


def _check_finite_members(X: NDArray[Any]) -> None:
    """Name the tuple and the member with NaN or infinity."""
    if X.dtype.kind != "f" or np.isfinite(X.sum(dtype=np.float64)):
        return
    bad = np.argwhere(~np.isfinite(X).reshape(*X.shape[:2], -1).all(axis=2))
    if len(bad):
        raise ValueError(
            f"Input X contains NaN or infinity in row {bad[0, 0]}, member {bad[0, 1]}"
            f"{f' and {len(bad) - 1} other samples' if len(bad) > 1 else ''}: drop or impute these"
        )
