"""What is wrong with items at their enrolment: embeddings of zeros, and items far from their own class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from skmetric.search._asked._combined import on_sphere
from skmetric.search._columns._types import as_text
from skmetric.search._gallery._layout import asked_ids

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skmetric.search._calibration._calibration import Calibration

_NAMED = 5  # items in a warning
_ENOUGH = 5  # items of a class, to say of another that it is far from them
_MANY = 8  # features, all of which are 0 by no chance


def names_of(ids: Any, n_items: int) -> NDArray[np.object_]:
    """What warnings call new items: by id, or by row of `X`."""
    names = [f"row {row} of X" for row in range(n_items)] if ids is None else map(_item, asked_ids(ids))
    return as_text(names)


def zeros(embeddings: NDArray[Any], names: NDArray[Any], has_embedder: bool) -> str | None:
    """The warning about items, (n_items,), whose embedding is zero where that means nothing; or None.

    Among points on the unit sphere it means nothing, nor where an embedder gave many features. Elsewhere it
    is a value as any other.
    """
    squares = np.einsum("ij,ij->i", embeddings, embeddings, dtype=np.float64)
    is_zero = squares == 0
    others = squares[~is_zero]
    n_features = embeddings.shape[1]
    is_odd = (has_embedder and n_features >= _MANY) or (n_features > 1 and len(others) and on_sphere(others))
    if not is_zero.any() or not is_odd:
        return None
    return (
        f"{_list(names[is_zero])} {'has' if is_zero.sum() == 1 else 'have'} an embedding of zeros, as "
        "near to one class as to another: the embedder sees nothing there. Remove it, or enrol another sample"
    )


def some_rows(n_rows: int, most: int) -> slice:
    """Rows that are looked at, evenly spread: `most` of them at most, but one."""
    return slice(None, None, -(-n_rows // max(most, 1)))


class Usual(NamedTuple):
    """Distances of the known queries of a calibration to their class; NaN without any."""

    median: float
    far: (
        float  # farther than any, and far out by Tukey's rule: the third quartile plus three times the spread
    )


def usual_distances(calibration: Calibration) -> Usual:
    """The usual distances, read off the curve of recall over thresholds."""
    recall = calibration.thresholds.get("recall", np.full(1, np.nan))
    if np.isnan(recall).all():
        return Usual(np.nan, np.nan)
    share = np.maximum.accumulate(np.nan_to_num(recall)) / np.nanmax(recall) if np.nanmax(recall) else recall
    distances = calibration.thresholds["distance"]
    low, median, high, last = distances[[np.argmax(share >= part) for part in (0.25, 0.5, 0.75, 1.0)]]
    return Usual(float(median), float(max(last, high + 3 * (high - low))))


def to_classes(
    distances: NDArray[np.float64], codes: NDArray[Any], true: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[Any]]:
    """Distances of items to their own class and to the nearest other, with its code, by their neighbours.

    The distance to a class of which there is no neighbour is infinite.
    """
    is_own, there = codes == true[:, None], np.isfinite(distances)
    own = np.where(is_own & there, distances, np.inf).min(axis=1, initial=np.inf)
    to_others = np.where(~is_own & there, distances, np.inf)
    at = to_others.argmin(axis=1)
    others = np.where(np.isfinite(to_others.min(axis=1)), codes[np.arange(len(codes)), at], true)
    return own, to_others.min(axis=1), others


def outliers(
    names: NDArray[Any],
    labels: NDArray[Any],
    own: NDArray[np.float64],
    other: NDArray[np.float64],
    others: NDArray[Any],
    seen: NDArray[np.float64],
    limits: NDArray[np.float64],
    usual: Usual,
    n_before: NDArray[np.intp],
) -> str | None:
    """The warning about items that hardly belong to their class, or None.

    They are not recognised as it, and either as near to another class as half of the known queries are to
    theirs, or farther off than any known query. What is merely mistaken is no reason to warn. Of a class with
    few items nobody knows how far apart they are: there is no warning of these.

    Parameters
    ----------
    names, labels : ndarray of shape (n_items,)
        What the items are called, and their classes.
    own, other : ndarray of shape (n_items,)
        Distances to the nearest other item of the class, NaN without one, and to the nearest of another.
    others : ndarray of shape (n_items,)
        That other class.
    seen : ndarray of shape (n_items,)
        Distances of the farthest neighbours: a class of which there is no neighbour is at least as far.
    limits : ndarray of shape (n_items,)
        Largest distances that are accepted.
    usual : Usual
        Distances of the known queries of the calibration.
    n_before : ndarray of shape (n_items,)
        Items that the class had before.
    """
    is_known = n_before >= _ENOUGH
    is_taken = is_known & (own > limits) & (other <= np.fmin(limits, usual.median))
    is_far = is_known & (np.minimum(own, seen) > np.fmax(limits, usual.far)) & ~is_taken
    said = [
        f"{name} of class {_shown(label)} is nearer to class {_shown(another)} than to its own class"
        for name, label, another in zip(names[is_taken], labels[is_taken], others[is_taken], strict=True)
    ]
    said += [
        f"{name} of class {_shown(label)} is farther from its class than any item was at calibration"
        for name, label in zip(names[is_far], labels[is_far], strict=True)
    ]
    if not said:
        return None
    more = f"; and {len(said) - _NAMED} more" if len(said) > _NAMED else ""
    return (
        f"{'; '.join(said[:_NAMED])}{more}: a wrong label or a bad sample? It is enrolled; look at it, and "
        "remove it if so. outliers() ranks all items"
    )


def _list(names: NDArray[Any]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _item(name: Any) -> str:
    return f"item {name!r}"


def _shown(name: Any) -> str:
    return repr(name.item() if isinstance(name, np.generic) else name)
