"""Pairs and triplets as they come in: rows and row numbers, an array of tuples, or tuples of images."""

from __future__ import annotations

from os import PathLike
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skmetric._checks import as_array
from skmetric._images._pil import is_pil
from skmetric._input._tuples import KINDS, check_distinct, check_index

from ._gathered import Gathered
from ._input import as_float32, is_dataset, read_images
from ._labelled import normalises, read_rows, read_samples, remember_scale
from ._scale import check_scale
from ._source import Streamed

ABSENT = -1  # number, and code, of a negative that a tuple does not have
_SHAPES = {2: "(n_pairs, 2, ...)", 3: "(n_triplets, 3, ...)"}


class TupleSamples(NamedTuple):
    """Checked samples of tuples, one tuple after the other."""

    samples: Gathered  # n * n_members
    present: NDArray[np.bool_]  # (n, n_members): False where a tuple has fewer negatives than others

    def only(self, which: NDArray[np.bool_]) -> TupleSamples:
        """Those tuples."""
        places = np.repeat(which, self.present.shape[1])
        return TupleSamples(self.samples[places], self.present[which])


def read_tuples(
    estimator: Any, X: Any, index: Any, n_members: int, *, reset: bool, trains: bool = False
) -> TupleSamples:
    """Check tuples.

    Parameters
    ----------
    estimator : TupleLearner
        Its parameters are read, and what it was fitted on.
    X : array-like, sequence or Dataset
        Samples, if there is an `index`; else tuples: an array (n, n_members, ...), or a list of tuples of
        images (paths or PIL images), or an array of paths.
    index : array-like of shape (n, n_members) or None
        Row numbers. Triplets may have further columns of negatives, -1 where there is none.
    n_members : {2, 3}
        Pairs, or triplets.
    reset : bool
        Whether the network is new.
    trains : bool, default=False
        Whether this is a fit.

    Returns
    -------
    TupleSamples
        No row is copied for each tuple.
    """
    if index is None and (listed := _listed(estimator, X, n_members)) is not None:
        X, index = listed
    elif index is None and estimator.collate_fn is not None:
        X, index = _flat(X, n_members)
    elif index is None:
        flat = _read_array(estimator, X, n_members, reset=reset, trains=trains)
        return _numbered(flat, np.arange(len(flat)).reshape(-1, n_members))
    elif estimator.collate_fn is None:
        _refuse_tuples(X, n_members)
    rows = read_rows(estimator, X, reset=reset) if trains else read_samples(estimator, X)
    members = check_members(index, n_members, len(rows))
    if trains:
        _check_distinct(members)
    if isinstance(rows, Streamed):  # what no tuple names is not read
        picked, inverse = np.unique(members[members >= 0], return_inverse=True)
        rows = rows[picked]
        members[members >= 0] = inverse
    return _numbered(rows, members)


def check_members(index: Any, n_members: int, n_rows: int) -> NDArray[np.intp]:
    """Row numbers as an array (n, n_members), a copy; of triplets (n, 2 + n_negatives), -1 for none."""
    if n_members == 2:
        return check_index(index, 2, n_rows).copy()
    columns = as_array(index)
    try:
        columns = np.asarray(columns)
    except ValueError:
        raise ValueError(
            "triplets must be an integer array (n_triplets, 3), or (n_tuples, 2 + n_negatives); its rows "
            "differ in length: fill the shorter ones with -1, which is no row"
        ) from None
    if columns.ndim != 2 or columns.shape[1] <= 3 or not len(columns):
        return check_index(columns, 3, n_rows).copy()
    if columns.dtype.kind not in "iu":
        raise ValueError(f"triplets must be an integer array of row numbers of X; got dtype {columns.dtype}")
    members = columns.astype(np.intp)
    absent = members == ABSENT
    absent[:, :2] = False
    short = absent[:, 2:].all(axis=1)
    if short.any():
        raise ValueError(f"triplets[{int(np.argmax(short))}] has no negative: each tuple needs one at least")
    outside = ((members < 0) | (members >= n_rows)) & ~absent
    if outside.any():
        row, column = np.argwhere(outside)[0]
        raise ValueError(
            f"triplets[{row}] names row {members[row, column]}, and X has the rows 0 to {n_rows - 1}; -1 "
            "means no negative, from the third column on"
        )
    return members


def _check_distinct(members: NDArray[np.intp]) -> None:
    """Refuse tuples that compare a row with itself."""
    if members.shape[1] <= 3:
        check_distinct(members)
        return
    same = (members[:, :1] == members[:, 1:]).any(axis=1) | (members[:, 1:2] == members[:, 2:]).any(axis=1)
    if same.any():
        bad = int(np.argmax(same))
        raise ValueError(
            f"triplets[{bad}] = {members[bad].tolist()} compares a row with itself, or has the positive "
            f"among the negatives ({same.sum()} of {len(members)} do): leave these out"
        )


def _numbered(rows: NDArray[Any] | Streamed, members: NDArray[np.intp]) -> TupleSamples:
    """Tuples of rows; the anchor is at the place of a negative that is not there."""
    present = members != ABSENT
    index = np.where(present, members, members[:, :1])
    return TupleSamples(Gathered(rows, index.ravel()), present)


def _refuse_tuples(X: Any, n_members: int) -> None:
    """Refuse rows that are tuples themselves."""
    shape: tuple[int, ...] = () if is_dataset(X) else tuple(getattr(X, "shape", ()))
    is_colour = len(shape) == 4 and n_members == 3  # images whose first axis is that of the channels
    if len(shape) > 2 and shape[1] == n_members and not is_colour:
        name = KINDS[n_members]
        raise ValueError(
            f"X has shape {shape} and so holds the {name} themselves: pass X alone, or samples, one a "
            f"row, with {name}="
        )


# Tuples without row numbers


def _listed(estimator: Any, X: Any, n_members: int) -> tuple[list[Any], NDArray[np.intp]] | None:
    """Samples of tuples that are listed, each once, and which each tuple holds; None for others.

    Images by path or of PIL; with a collate function anything.
    """
    anything = estimator.collate_fn is not None
    if anything and hasattr(X, "dtype") and len(getattr(X, "shape", ())) > 2:
        return None
    if isinstance(X, np.ndarray):
        tuples = X.tolist() if X.ndim == 2 and X.dtype.kind in "UO" else []
    else:
        tuples = X if isinstance(X, list | tuple) else []
    if not len(tuples) or not isinstance(tuples[0], list | tuple) or not tuples[0]:
        return None
    if not (anything or isinstance(tuples[0][0], str | PathLike) or is_pil(tuples[0][0])):
        return None
    name, of_what = KINDS[n_members], "samples" if anything else "images"
    for row, members in enumerate(tuples):
        n_own = len(members) if isinstance(members, list | tuple) else 0
        if n_own != n_members and not (n_members == 3 and n_own > 3):
            needs = f"3 {of_what} or more" if n_members == 3 else f"2 {of_what}"
            raise ValueError(f"X lists {name} of {of_what}, and row {row} has {n_own}: each needs {needs}")
    place_of: dict[Any, int] = {}
    images: list[Any] = []
    index = np.full((len(tuples), max(map(len, tuples))), ABSENT)
    for row, members in enumerate(tuples):
        for column, image in enumerate(members):
            key = str(image) if isinstance(image, str | PathLike) else id(image)
            if key not in place_of:
                place_of[key] = len(images)
                images.append(image)
            index[row, column] = place_of[key]
    return images, index


def _flat(X: Any, n_members: int) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Samples of an array of tuples, one after the other, for a collate function; and which are together."""
    name, shape = KINDS[n_members], tuple(getattr(X, "shape", ()))
    if len(shape) < 2 or shape[1] != n_members or not shape[0]:
        raise ValueError(
            f"X must hold {name}: a list of tuples of samples, or samples with {name}=, an integer array of "
            f"row numbers; got {type(X).__name__} of shape {shape}"
        )
    X = np.asarray(as_array(X))
    return X.reshape(-1, *shape[2:]), np.arange(shape[0] * n_members).reshape(-1, n_members)


def _read_array(estimator: Any, X: Any, n_members: int, *, reset: bool, trains: bool) -> NDArray[Any]:
    """Checked samples (n * n_members, ...) of an array (n, n_members, ...) of features or images."""
    name, shape = KINDS[n_members], _SHAPES[n_members]
    X = as_array(X)  # which has its own words for what it refuses
    try:
        X = np.asarray(X)
    except ValueError:
        raise ValueError(f"X must hold {name}, {shape}, of samples of one size; got several") from None
    if X.ndim < 3 or X.shape[1] != n_members or len(X) == 0:
        raise ValueError(
            f"X must hold {name}, {shape} of features or images; got shape {X.shape}. Samples, one a row, "
            f"become {name} by {name}=, an integer array of row numbers"
            + (", which may have several columns of negatives" if n_members == 3 else "")
        )
    if X.dtype.kind not in "fiub":
        raise ValueError(f"X has dtype {X.dtype}: {name} hold numbers")
    _check_finite(X)
    flat = X.reshape(-1, *X.shape[2:])
    expected = None if reset else estimator.input_shape_
    if expected is not None and (flat.ndim > 2) != (len(expected) == 3):
        raise ValueError(f"X holds samples of shape {flat.shape[1:]}; fit saw {expected}")
    if flat.ndim > 2:
        any_range = not normalises(estimator, fitted=not reset)
        flat = read_images(
            flat,
            estimator.channel_axis,
            expected,
            image_size=estimator.image_size,
            num_workers=estimator.num_workers,
            any_range=any_range,
        )
        if any_range and not reset:
            check_scale(flat, estimator._scale)
        if trains:
            remember_scale(estimator, flat, reset=reset)
        return flat
    flat = check_array(flat, dtype=[np.float64, np.float32], ensure_all_finite=False)
    return as_float32(validate_data(estimator, flat, reset=reset, skip_check_array=True))


def _check_finite(X: NDArray[Any]) -> None:
    """Name the tuple and the member with NaN or infinity."""
    if X.dtype.kind != "f" or np.isfinite(X.sum(dtype=np.float64)):
        return
    bad = np.argwhere(~np.isfinite(X).reshape(*X.shape[:2], -1).all(axis=2))
    if len(bad):
        raise ValueError(
            f"Input X contains NaN or infinity in row {bad[0, 0]}, member {bad[0, 1]}"
            f"{f' and {len(bad) - 1} other samples' if len(bad) > 1 else ''}: drop or impute these"
        )
