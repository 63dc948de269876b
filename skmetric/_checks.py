"""What comes in at the edge: finite rows, labels of one kind. Inside, trust."""

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import column_or_1d

_SHOWN = 5  # row numbers in an error message
_MISSING = {"NoneType", "NAType", "NaTType"}  # the last two are of pandas


def name_rows(rows):
    """Row numbers for an error message: the first few, and how many there are.

    Examples
    --------
    >>> name_rows([3])
    'row 3'
    >>> name_rows(range(9))
    'rows 0, 1, 2, 3, 4, ... (9 in all)'
    """
    rows = list(rows)
    shown = ", ".join(str(row) for row in rows[:_SHOWN])
    if len(rows) > _SHOWN:
        shown += f", ... ({len(rows)} in all)"
    return f"row{'s' if len(rows) > 1 else ''} {shown}"


def check_finite_rows(X, name="X"):
    """Raise a ValueError that names the rows of `X` with NaN or infinity."""
    if X.dtype.kind != "f" or np.isfinite(np.sum(X, dtype=np.float64)):
        return
    bad = np.flatnonzero(~np.isfinite(X).reshape(len(X), -1).all(axis=1))
    if len(bad):
        kinds = "NaN" if np.isnan(X[bad]).any() else "infinity"
        if kinds == "NaN" and np.isinf(X[bad]).any():
            kinds = "NaN and infinity"
        raise ValueError(f"Input {name} contains {kinds} in {name_rows(bad)}: drop or impute these rows")


def check_matrix(X, name="X"):
    """Return `X` as a finite 2-D float array, float32 kept, or say what is wrong with it."""
    is_ready = type(X) is np.ndarray and X.ndim == 2 and X.size and X.dtype in (np.float32, np.float64)
    if not is_ready:  # the checks of scikit-learn cost as much as some searches of one row
        X = check_array(X, dtype=[np.float64, np.float32], ensure_all_finite=False, input_name=name)
    check_finite_rows(X, name)
    return X


def check_labels(y, n_samples, name="y"):
    """Return `y` as a 1-D array of `n_samples` labels of one kind (numbers, strings or booleans)."""
    y = column_or_1d(np.asarray(y) if hasattr(y, "dtype") else _array_of_labels(y))
    if len(y) != n_samples:
        raise ValueError(f"{name} has {len(y)} labels for {n_samples} rows: they must be as many")
    if y.dtype.kind == "f":
        check_finite_rows(y, name)
    if y.dtype.kind == "O":
        missing = [row for row, label in enumerate(y) if _is_missing(label)]
        if missing:
            raise ValueError(f"{name} has no label in {name_rows(missing)}: label or drop these rows")
        kinds = sorted({_kind(label) for label in y})
        if len(kinds) > 1:
            raise ValueError(
                f"{name} mixes labels of several types ({', '.join(kinds)}): convert them to one"
            )
    return y


def _array_of_labels(y):
    """A list as an array that does not turn [1, 'a'] into ['1', 'a']."""
    y = list(y) if not isinstance(y, list) else y
    return np.array(y, dtype=object) if len({_kind(label) for label in y}) > 1 else np.asarray(y)


def _is_missing(label):
    return (isinstance(label, float) and label != label) or type(label).__name__ in _MISSING


def _kind(label):
    if isinstance(label, str | bytes):
        return type(label).__name__
    return "number" if isinstance(label, int | float | np.number | np.bool_) else type(label).__name__


def encode_labels(y, y_gallery=None):
    """Integer codes of the labels, the same code for the same label on both sides.

    Returns
    -------
    codes, codes_gallery : ndarray
        From 0. The second is None without `y_gallery`.
    classes : ndarray
        The labels, by code.
    """
    if y_gallery is None:
        classes, codes = np.unique(y, return_inverse=True)
        return codes, None, classes
    if _is_text(y) != _is_text(y_gallery):
        raise ValueError(
            "y and y_gallery hold labels of several types, text on one side only: convert them to one"
        )
    classes, codes = np.unique(np.concatenate([y, y_gallery]), return_inverse=True)
    return codes[: len(y)], codes[len(y) :], classes


def _is_text(y):
    return y.dtype.kind in "US" or (y.dtype.kind == "O" and len(y) > 0 and isinstance(y[0], str | bytes))
