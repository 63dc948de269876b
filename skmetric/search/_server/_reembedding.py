"""New embeddings for all items of a server, part by part, while the old ones serve."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from skmetric.exceptions import IndexUnavailableError

from ._store import Keys, Next

FIRST = -(2**63)  # below all keys that are given
_ROUNDS = 20  # times that items which others have changed meanwhile are embedded


def replace(
    made: Next, embed: Callable[[Keys], tuple[Keys, NDArray[np.floating]]], batch_size: int, title: str
) -> None:
    """Fill the next table and put it in the place of the old one.

    `embed` gives new embeddings of items by key, and the keys of those that are still there.
    """
    for _ in range(_ROUNDS):
        last = FIRST
        while True:
            keys, versions = made.waiting(last, batch_size)
            if not len(keys):
                break
            there, embeddings = embed(keys)
            if len(there):
                version_of = dict(zip(keys.tolist(), versions, strict=True))
                made.put(there, [version_of[key] for key in there.tolist()], embeddings)
            last = int(keys[-1])
        made.finish()
        if made.switch():
            return
    raise IndexUnavailableError(
        f"{title}: others change items faster than they get new embeddings, so the old ones still serve. "
        "What was embedded is kept: call reembed again at a quieter time"
    )
