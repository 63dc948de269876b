"""Items of any structure, which a collate function makes batches of: tokens, point clouds, several images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, default_collate

from skmetric._torch import seeded

from ._nested import as_tensors, leaves_of, map_nested, named, same_structure, spec_of

_NAMED = 5  # how many items a message lists


class CollatedItems:
    """Samples of any structure; chance in them comes from torch, and so from the seed of a batch.

    Parameters
    ----------
    items : sequence or Dataset
        Items are samples or pairs (sample, label).
    collate_fn : callable, default=None
        From a list of samples to a batch; None is torch's own, which stacks.
    spec : object, default=None
        Structure of the batches fitted on.

    Raises
    ------
    ValueError
        If the first items make no batch, or one of another structure than fitted; later ones raise when they
        are read.
    """

    is_fixed = False  # it may augment
    shape: tuple[int, ...] = ()
    dtype = np.dtype(object)

    def __init__(self, items: Any, collate_fn: Callable | None = None, spec: Any = None) -> None:
        self._items, self._collate_fn = items, collate_fn
        with seeded(0):
            self.example = self.read(np.arange(min(2, len(items))))
        self.spec = spec_of(self.example)
        if spec is not None and not same_structure(spec, self.spec):
            raise ValueError(f"collate_fn gave a batch {self.spec}, and `fit` saw {spec}")

    def __len__(self) -> int:
        return len(self._items)

    def read(self, rows: NDArray[np.intp]) -> Any:
        """Batch of the items with these numbers."""
        samples = [split_sample(self._items[int(row)])[0] for row in rows]
        try:
            batch = (self._collate_fn or default_collate)(samples)
        except Exception as error:  # whatever user code raises
            raise ValueError(f"{self._named()} failed on the items {_listed(rows)} of X: {error}") from error
        try:
            batch = as_tensors(batch, len(rows))
        except ValueError as error:
            raise ValueError(
                f"{self._named()} made no batch of the items {_listed(rows)} of X: {error}. It must return a "
                "tensor, or a tuple or dict of tensors; samples of different lengths are padded to one"
            ) from None
        _check_finite(batch, rows)
        return batch

    def batches(self, keys: list[tuple[int, NDArray[np.intp]]]) -> Iterator[Any]:
        """Yield the batch of each key, a seed and row numbers."""
        for seed, rows in keys:
            with seeded(seed):
                batch = self.read(rows)
            yield batch

    def told(self, rows: NDArray[np.intp]) -> list[Any]:
        """What samples are known by, in plain values; nothing of a Dataset, which may draw them."""
        if isinstance(self._items, Dataset):
            return []
        return [map_nested(_plain, split_sample(self._items[int(row)])[0]) for row in rows]

    def _named(self) -> str:
        if self._collate_fn is None:
            return "torch's default_collate, which stacks arrays of one size (collate_fn= may pad),"
        return f"collate_fn={getattr(self._collate_fn, '__name__', type(self._collate_fn).__name__)}"


def _plain(part: Any) -> Any:
    """Text and numbers as they are, an array as its bytes; of other objects the type."""
    if isinstance(part, str | bytes | int | float):
        return part
    part = part.cpu().numpy() if isinstance(part, torch.Tensor) else part
    is_array = isinstance(part, np.ndarray | np.generic) and part.dtype != object
    return (str(part.dtype), part.shape, part.tobytes()) if is_array else type(part).__name__


def split_sample(item: Any) -> tuple[Any, Any]:
    """Sample and label of an item of any structure; the label is None where it has none.

    A tuple of one is a sample, a tuple of two whose second part is no array is (sample, label), and any other
    item is a sample.
    """
    if type(item) is tuple and len(item) == 1:
        return item[0], None
    if type(item) is tuple and len(item) == 2 and _is_label(item[1]):
        return item[0], item[1]
    return item, None


def _is_label(part: Any) -> bool:
    if isinstance(part, Mapping | tuple | list):
        return False
    return not getattr(part, "shape", ())


def is_nested(sample: Any) -> bool:
    """Whether a sample is a dict, or a tuple or list of arrays: nothing that images and rows are."""
    if isinstance(sample, Mapping):
        return True
    return isinstance(sample, tuple | list) and any(
        isinstance(part, Mapping) or len(getattr(part, "shape", ())) > 0 or is_nested(part) for part in sample
    )


def as_items(X: Any) -> Any:
    """`X` as what has a length and gives item by item.

    Raises
    ------
    ValueError
        If it has no length, is empty, or is a table or a dict, whose items are not rows.
    """
    if hasattr(X, "columns") or isinstance(X, Mapping):
        raise ValueError(
            f"X is a {type(X).__name__}, whose items are columns, and collate_fn takes samples: pass a list "
            "of samples, such as X.to_dict('records')"
        )
    if hasattr(X, "iloc"):  # a Series, whose [] looks up labels of its index
        X = X.to_numpy()
    if isinstance(X, str | bytes) or not hasattr(X, "__len__") or not hasattr(X, "__getitem__"):
        raise ValueError(
            f"X is a {type(X).__name__}: collate_fn takes samples from a list, an array or a torch Dataset, "
            "which have a length"
        )
    if len(X) == 0:
        raise ValueError("X is empty: at least one sample is needed")
    return X


def labels_in(items: Any) -> list[Any] | None:
    """Labels of items, read once each; None if one has none."""
    listed = isinstance(items, list) and all(type(item) is tuple for item in items)
    if not (isinstance(items, Dataset) or listed):
        return None
    labels = []
    with seeded(0):
        for i in range(len(items)):
            label = split_sample(items[i])[1]
            if label is None:
                return None
            labels.append(label.item() if getattr(label, "ndim", None) == 0 else label)
    return labels


def _check_finite(batch: Any, rows: NDArray[np.intp]) -> None:
    """Refuse NaN, and name the items. Infinity passes: masks of attention have it."""
    for path, leaf in leaves_of(batch):
        if not (leaf.is_floating_point() and torch.isnan(leaf).any()):
            continue
        where = ""
        if leaf.ndim and len(leaf) == len(rows):
            bad = torch.isnan(leaf).flatten(1).any(1) if leaf.ndim > 1 else torch.isnan(leaf)
            where = f": item {int(rows[int(bad.nonzero()[0])])} of X"
        raise ValueError(f"X has NaN in {named(path)}{where}")


def _listed(rows: NDArray[np.intp]) -> str:
    shown = ", ".join(str(int(row)) for row in rows[:_NAMED])
    return shown + (" and others" if len(rows) > _NAMED else "")
