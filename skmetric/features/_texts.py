"""Texts as they come in, and embeddings as a model gives them, checked."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from skmetric._checks import is_missing


class Texts(NamedTuple):
    """Checked texts."""

    rows: list[str]
    kind: str = "text"


def read_texts(X: Any) -> Texts:
    """Texts of a list, an array or a column.

    Raises
    ------
    TypeError
        If `X` is one text, has no order, or holds anything else than texts; the row is named.
    ValueError
        If it is empty, or has several columns.
    """
    if isinstance(X, str | bytes | Mapping | Set) or not hasattr(X, "__len__"):
        raise TypeError(f"X must be a sequence of texts; got {X!r:.60}, a {type(X).__name__}")
    shape = getattr(X, "shape", None)
    if shape is not None and len(shape) != 1 and not (len(shape) == 2 and shape[1] == 1):
        raise ValueError(f"X must be a sequence of texts, one a row; got shape {tuple(shape)}")
    rows = np.asarray(X, dtype=object).ravel().tolist() if shape is not None else list(X)
    if not rows:
        raise ValueError("X is empty: at least one text is needed")
    for row, text in enumerate(rows):
        if not isinstance(text, str):
            raise TypeError(
                f"X must hold texts; row {row} is {text!r:.60}, a {type(text).__name__}"
                + (": fill missing ones with ''" if is_missing(text) else "")
            )
    return Texts([str(text) for text in rows])


def checked_embeddings(embeddings: Any, n: int, width: int | None) -> NDArray[np.float32]:
    """What a model gave for `n` texts, as float32 rows."""
    if isinstance(embeddings, torch.Tensor):
        embeddings = embeddings.detach().cpu().numpy()
    try:
        rows = np.asarray(embeddings, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the model gave no array of numbers for {n} texts: {error}") from None
    if rows.ndim != 2 or len(rows) != n or (width is not None and rows.shape[1] != width):
        wanted = f"({n}, n_features)" if width is None else f"({n}, {width})"
        raise ValueError(f"the model must give an array of shape {wanted} for {n} texts; got {rows.shape}")
    if not np.isfinite(rows).all():
        raise ValueError(
            f"the model gave NaN or infinity for the text {int(np.argmin(np.isfinite(rows).all(1)))}"
            " of a batch: look at its weights"
        )
    return rows
