"""What comes in at the edge: finite rows, labels of one kind. Inside, trust."""

import mmap
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import check_array

from skmetric._warning import warn

FLOATS = (np.float16, np.float32, np.float64)  # in which rows of a memory map are searched
_AT_ONCE = 1 << 20  # numbers that are checked at once
_SHOWN = 5  # row numbers in an error message
_MISSING = {"NoneType", "NAType", "NaTType"}  # the last two are of pandas
_EXACT = 2**53  # integers up to here have a float64 each
_WIDEST = 30_000  # features of sparse rows, of which a square matrix takes 7 GB
_CHEAP = 1 << 20  # bytes of a fixed-width array of text that nobody minds
_PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
_OF_IMAGES = (
    "X holds images. Put skmetric.FrozenFeatures or a trained skmetric.DeepMetricLearner {place}; pixels of "
    "images of one size become rows by X.reshape(len(X), -1)"
)
_OF_PATHS = (
    "X holds paths of images. Put skmetric.FrozenFeatures or a trained skmetric.DeepMetricLearner {place}: "
    "both read the files"
)
_OF_TEXTS = (
    "X holds texts. Put what makes numbers of them {place}: skmetric.features.FrozenText, or TfidfVectorizer "
    "and TruncatedSVD"
)
_TABLES = {"dict", "frozenset", "list", "ndarray", "set"}  # types of what may be several labels


def name_rows(rows: Iterable) -> str:
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


def check_finite_rows(X: Any, name: str = "X") -> None:
    """Raise a ValueError that names the rows of `X`, an array or a CSR matrix, with NaN or infinity."""
    values = X.data if issparse(X) else X
    if values.dtype.kind != "f":
        return
    with np.errstate(over="ignore"):  # finite numbers may have no finite sum
        if np.isfinite(np.sum(values, dtype=np.float64)):
            return
    is_bad = ~np.isfinite(values)
    rows = np.nonzero(is_bad)[0]
    if issparse(X):  # of which `rows` are numbers of stored values
        rows = np.searchsorted(X.indptr, rows, side="right") - 1
    if len(rows):
        bad = np.unique(rows)
        kinds = "NaN" if np.isnan(values[is_bad]).any() else "infinity"
        if kinds == "NaN" and np.isinf(values[is_bad]).any():
            kinds = "NaN and infinity"
        raise ValueError(f"Input {name} contains {kinds} in {name_rows(bad)}: drop or impute these rows")


def canonical_rows(X: Any) -> Any:
    """Sparse rows as a CSR array that holds each entry once and no zeros; dense rows as they are.

    A matrix of the user that is not in this form is copied, not changed.
    """
    if not issparse(X):
        return X
    X = csr_array(X)
    if not X.has_canonical_format or not X.data.all():
        X = X.copy()
        X.sum_duplicates()
        X.eliminate_zeros()
    return X


def check_width(rows: Any, learner: Any) -> None:
    """Refuse sparse rows of so many features that a square matrix of these fits into no memory."""
    n_features = rows.shape[1]
    if issparse(rows) and n_features > _WIDEST:
        raise ValueError(
            f"X has {n_features} features, and {type(learner).__name__} holds matrices of n_features x "
            f"n_features numbers ({8e-9 * n_features**2:.0f} GB each): reduce the features first, for example"
            " with sklearn.decomposition.TruncatedSVD in a pipeline, or with max_features of the vectorizer"
        )


def as_array(X: Any) -> Any:
    """A tensor as an array: on the CPU, without its gradient, bfloat16 as float32; all else as it is.

    torch is not imported: a tensor brings what is called here. A DataLoader and a Dataset are refused.
    """
    if hasattr(X, "batch_size") and hasattr(X, "dataset") and not hasattr(X, "shape"):
        raise ValueError(
            f"X is a {type(X).__name__}, which gives batches: pass the features of all samples as one array"
        )
    if any(base.__module__.startswith("torch.utils.data") for base in type(X).__mro__):
        raise ValueError(
            f"X is a {type(X).__name__}, a Dataset of torch: pass the features of all samples as one array"
        )
    if isinstance(X, np.ndarray):
        check_map(X)
        return X
    if not (hasattr(X, "detach") and hasattr(X, "cpu")):
        return X
    X = X.detach().cpu()
    return (X.float() if str(X.dtype) == "torch.bfloat16" else X).numpy()


@contextmanager
def said_of_raw(X: Any, place: str = "before this, in a pipeline") -> Iterator[None]:
    """Add to an error of scikit-learn's checks what to do with texts, paths, images or columns of text."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if type(error) not in (TypeError, ValueError) or (remedy := _remedy(X, place)) is None:
            raise
        raise type(error)(f"{str(error).rstrip('.')}: {remedy}") from error


def _remedy(X: Any, place: str) -> str | None:
    """What makes rows of numbers of `X`; None where it is something else."""
    if hasattr(X, "columns") and hasattr(X, "dtypes") and hasattr(X, "iloc"):  # of pandas
        named = [column for column, kind in zip(X.columns, X.dtypes, strict=True) if kind.kind in "OUT"]
        return (
            f"the columns {named} hold no numbers: leave them out, or encode them, as by OneHotEncoder in "
            "sklearn.compose.make_column_transformer"
            if named
            else None
        )
    if len(getattr(X, "shape", ())) > 2:
        return _OF_IMAGES.format(place=place)
    first = X
    if isinstance(X, list | tuple) or hasattr(X, "__array__"):
        first = next(iter(X), None) if len(getattr(X, "shape", (1,))) else None
    if isinstance(first, str | os.PathLike):
        is_picture = os.fspath(first).lower().endswith(_PICTURES)
        return (_OF_PATHS if is_picture else _OF_TEXTS).format(place=place)
    if hasattr(first, "getbands") or len(getattr(first, "shape", ())) > 1:  # of PIL, or an array
        return _OF_IMAGES.format(place=place)
    return None


def check_map(X: NDArray[Any], name: str = "X") -> None:
    """Refuse a memory map whose file has shrunk: reading it would end the process without an error."""
    part: Any = X
    while isinstance(part, np.ndarray):
        offset = getattr(part, "offset", 0)  # of a memory map
        part = part.base
    if isinstance(part, mmap.mmap):
        needed = (offset or 0) // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY + len(part)
        if part.size() < needed:
            raise ValueError(
                f"{name} is a memory map of a file that has shrunk: it has {part.size()} bytes, and had "
                f"{needed} when it was opened. Write the file anew and open it again"
            )


def check_finite_map(X: NDArray[Any], name: str = "X") -> None:
    """Refuse what :func:`check_map` does, and rows with NaN or infinity, without a copy of all rows."""
    check_map(X, name)
    step = max(1, _AT_ONCE // max(1, X[:1].size))
    for start in range(0, len(X), step):
        if not np.isfinite(X[start : start + step]).all():
            check_finite_rows(X, name)  # which names them


def check_matrix(X: Any, name: str = "X") -> NDArray[np.floating]:
    """Return `X` as a finite 2-D float array, float32 kept, or say what is wrong with it."""
    is_ready = type(X) is np.ndarray and X.ndim == 2 and X.size and X.dtype in (np.float32, np.float64)
    if not is_ready:  # the checks of scikit-learn cost as much as some searches of one row
        X = check_array(as_array(X), dtype=[np.float64, np.float32], ensure_all_finite=False, input_name=name)
    check_finite_rows(X, name)
    return X


def check_labels(y: Any, n_samples: int, name: str = "y", *, warns: bool = False) -> NDArray:
    """Return `y` as a 1-D array of `n_samples` labels of one kind (numbers, strings or booleans).

    Integers stay integers: none passes through float64, in which neighbours above 2**53 are equal.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, 1)
        Labels: a list, an array, a Series or a DataFrame of one column.
    n_samples : int
        How many there must be.
    name : str, default="y"
        What error messages call them.
    warns : bool, default=False
        Whether a column in place of a 1-D array gets scikit-learn's DataConversionWarning.
    """
    y = read_labels(y, name, warns=warns)
    if len(y) != n_samples:
        raise ValueError(f"{name} has {len(y)} labels for {n_samples} rows: they must be as many")
    return y


def read_labels(y: Any, name: str = "y", *, warns: bool = False) -> NDArray:
    """As :func:`check_labels`, for who compares their number with that of the samples elsewhere."""
    y = _one_dimensional(y, name, warns)
    y = y if isinstance(y, np.ndarray) and y.dtype.kind != "O" else _array_of(y, name)
    if y.dtype.kind == "f":
        check_finite_rows(y, name)
    if y.dtype == np.uint64 and (not len(y) or y.max() < 2**63):
        return y.astype(np.int64)  # so that it meets int64 without a way through float64
    if y.dtype.kind in "mM" and np.isnat(y).any():
        rows = np.flatnonzero(np.isnat(y))
        raise ValueError(f"{name} has no label in {name_rows(rows)}: label or drop these rows")
    return y


def missing_rows(y: Any, name: str = "y") -> NDArray[np.intp]:
    """Rows of a column in which nothing stands: None, NaN, NaT or pandas' NA."""
    values = _one_dimensional(y, name, False)
    if isinstance(values, np.ndarray) and values.dtype.kind in "fmM":
        return np.flatnonzero(np.isnan(values) if values.dtype.kind == "f" else np.isnat(values))
    if isinstance(values, np.ndarray) and values.dtype.kind != "O":
        return np.empty(0, dtype=np.intp)
    return np.flatnonzero([is_missing(value) for value in values])


def is_cheap(longest: int, n_texts: int, n_letters: int) -> bool:
    """Whether an array of text of fixed width costs little, or about what its text costs."""
    return 4 * longest * n_texts <= max(_CHEAP, 16 * n_letters)


def encode_labels(
    y: NDArray, y_gallery: NDArray | None = None, names: str = "y and y_gallery"
) -> tuple[NDArray, NDArray | None, NDArray]:
    """Integer codes of the labels, the same code for the same label on both sides.

    `names` is what an error message calls the two sides.

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
    classes, codes = np.unique(join_labels(y, y_gallery, names), return_inverse=True)
    return codes[: len(y)], codes[len(y) :], classes


def join_labels(y: NDArray, y_gallery: NDArray, names: str = "y and y_gallery") -> NDArray:
    """Labels of two sides, one after the other, none changed: int64 and uint64 do not become float64."""
    if _is_text(y) != _is_text(y_gallery):
        raise ValueError(f"{names} hold labels of several types, text on one side only: convert them to one")
    joined = np.concatenate([y, y_gallery])
    sides = [side for side in (y, y_gallery) if len(side)]
    if joined.dtype.kind != "f" or all(side.dtype.kind == "f" for side in sides):
        return joined
    return _numbers([label for side in (y, y_gallery) for label in side.tolist()])


def _one_dimensional(y: Any, name: str, warns: bool) -> Any:
    """One column of labels as what it is, without its second axis."""
    shape = getattr(y, "shape", None)
    if shape is None and isinstance(y, list | tuple) and any(isinstance(row, list | tuple) for row in y):
        is_column = all(isinstance(row, list | tuple) and len(row) == 1 for row in y)
        try:
            y = np.array(y, dtype=object) if is_column else np.asarray(y)  # so that integers stay integers
        except ValueError:  # rows of different lengths
            raise _no_column(name, "rows of several labels") from None
        shape = y.shape
    if shape is not None and len(shape) != 1:
        if len(shape) != 2 or shape[1] != 1:
            raise _no_column(name, f"shape {tuple(shape)}")
        if warns:
            warn(
                f"A column-vector {name} was passed when a 1d array was expected. Please change the shape of "
                f"{name} to (n_samples,), for example using ravel().",
                DataConversionWarning,
            )
        y = column_of(y, 0)
    if isinstance(y, np.ndarray):
        return y
    if isinstance(getattr(y, "dtype", None), np.dtype):
        return np.asarray(y)
    if hasattr(y, "to_pylist"):  # of pyarrow
        return y.to_pylist()
    if hasattr(y, "detach"):  # of torch
        return y.detach().cpu().numpy()
    if hasattr(y, "__array__") and not isinstance(y, Iterable):
        return np.asarray(y)
    if isinstance(y, str | bytes | Mapping) or not isinstance(y, Iterable):
        raise _no_column(name, type(y).__name__)
    values = list(y)
    return np.array(values, dtype=object) if hasattr(y, "dtype") else values  # of pandas: text stays text


def column_of(y: Any, place: int) -> Any:
    """One column of a 2-D array or of a table, by its number."""
    if hasattr(y, "iloc"):  # pandas
        return y.iloc[:, place]
    if hasattr(y, "to_series"):  # polars
        return y.to_series(place)
    if hasattr(y, "column"):  # pyarrow
        return y.column(place)
    return y[:, place]


def _no_column(name: str, given: str) -> ValueError:
    """An error of what is no column of labels."""
    several = (
        ". Several labels or levels of a sample are for scores and DeepMetricLearner with relevance="
        if name in ("y", "y_gallery")
        else ""
    )
    return ValueError(f"{name} should be a 1d array, one label for each row; got {given}{several}")


def _array_of(labels: Iterable, name: str) -> NDArray:
    """Labels, none missing and all of one kind, as an array that does not turn [1, "a"] into ["1", "a"]."""
    values = list(labels)
    missing = [row for row, label in enumerate(values) if is_missing(label)]
    if missing:
        rest = (label for label in values if not is_missing(label))
        if all(_kind(label) == "number" for label in rest):
            raise ValueError(f"Input {name} contains NaN in {name_rows(missing)}: label or drop these rows")
        raise ValueError(f"{name} has no label in {name_rows(missing)}: label or drop these rows")
    kinds = sorted({_kind(label) for label in values})
    if not _TABLES.isdisjoint(kinds):
        tables = [row for row, label in enumerate(values) if _is_table(label)]
        if tables:  # they sort as subsets, or not at all
            raise _no_column(name, f"a {_kind(values[tables[0]])} in {name_rows(tables)}")
    if len(kinds) > 1:
        raise ValueError(f"{name} mixes labels of several types ({', '.join(kinds)}): convert them to one")
    if kinds == ["number"]:
        return _numbers(values)
    if kinds in (["str"], ["bytes"]):
        _check_ends(values, name)
    if isinstance(labels, np.ndarray):
        return labels
    if kinds == ["str"]:
        lengths = [len(value) for value in values]
        if not is_cheap(max(lengths), len(lengths), sum(lengths)):
            return np.array(values, dtype=object)
    return np.asarray(values)


def _check_ends(texts: list, name: str) -> None:
    """Refuse text that NumPy would cut: two labels would become one."""
    for row, text in enumerate(texts):
        if text and text[-1] in ("\0", 0):
            raise ValueError(
                f"{name} has text that ends with a NUL character in row {row}, {text[-40:]!r}, which NumPy "
                "cuts off: take it out"
            )


def _numbers(values: list) -> NDArray:
    """Numbers as the smallest of bool, int64, uint64 and float64 that holds each exactly; else as objects."""
    if all(isinstance(value, bool | np.bool_) for value in values):
        return np.array(values, dtype=bool)
    if all(isinstance(value, int | np.integer | np.bool_) for value in values):
        return _integers([int(value) for value in values])
    if any(isinstance(value, int | np.integer) and abs(int(value)) > _EXACT for value in values):
        whole = all(value == int(value) for value in values if np.isfinite(value))
        if whole and np.isfinite(np.array(values, dtype=float)).all():
            return _integers([int(value) for value in values])
        return np.array(values, dtype=object)  # Python compares integers and floats exactly
    return np.array(values, dtype=np.float64)


def _integers(values: list[int]) -> NDArray:
    low, high = min(values, default=0), max(values, default=0)
    if low >= -(2**63) and high < 2**63:
        return np.array(values, dtype=np.int64)
    return np.array(values, dtype=np.uint64 if low >= 0 and high < 2**64 else object)


def is_missing(label: Any) -> bool:
    """Whether a value is one of those that lists and tables have where there is none."""
    return (isinstance(label, float | np.floating) and label != label) or type(label).__name__ in _MISSING


def _is_table(label: Any) -> bool:
    """Whether this is several labels, or none; an array of no dimension is one."""
    return type(label).__name__ in _TABLES and getattr(label, "ndim", 1) > 0


def _kind(label: Any) -> str:
    if isinstance(label, str | bytes):
        return type(label).__name__
    return "number" if isinstance(label, int | float | np.number | np.bool_) else type(label).__name__


def _is_text(y: NDArray) -> bool:
    return y.dtype.kind in "US" or (y.dtype.kind == "O" and len(y) > 0 and isinstance(y[0], str | bytes))
