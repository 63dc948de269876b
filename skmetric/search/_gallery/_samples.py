"""Samples of the items of a gallery by id: rows that a user gives, or a function that finds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from skmetric._params import num_samples, safe_indexing

from ._layout import asked_ids, refuse_duplicates, refuse_unknown


@final
class Samples:
    """What `reembed` was given: rows `X` of items of `ids`, or a function of ids."""

    def __init__(self, X: Any, ids: Any, batch_size: int) -> None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer) or batch_size < 1:
            raise ValueError(f"batch_size must be an integer from 1; got {batch_size!r}")
        self.is_function = callable(X) and not hasattr(X, "shape")
        if self.is_function and ids is not None:
            raise ValueError(
                "ids= names the rows of X, and X is a function, which is given ids: leave ids out"
            )
        self.batch_size = int(batch_size)
        self._X, self._rows = X, {}
        if ids is not None:
            asked = asked_ids(ids, "ids")
            refuse_duplicates(asked, "ids")
            if len(asked) != num_samples(X):
                raise ValueError(
                    f"X has {num_samples(X)} rows and ids has {len(asked)}: give one for each row"
                )
            self._rows = {i: row for row, i in enumerate(asked)}
        self._served: set[Any] = set()

    def whole(self, ids: NDArray[Any]) -> Any:
        """Samples of all items, in the order of their ids."""
        if self.is_function:
            return _checked(self._X(ids), ids)
        if not self._rows:
            return self._X
        known = set(ids.tolist())
        refuse_unknown([i for i in self._rows if i not in known], "ids")
        self.check_cover(ids)
        return safe_indexing(self._X, np.array([self._rows[i] for i in ids.tolist()], dtype=np.intp))

    def parts(self, ids: NDArray[Any]) -> Iterator[Any]:
        """Samples of all items, in the order of their ids, in parts where a function gives them."""
        if not self.is_function:
            yield self.whole(ids)
            return
        for start in range(0, len(ids), self.batch_size):
            part = ids[start : start + self.batch_size]
            yield _checked(self._X(part), part)

    def check_cover(self, ids: NDArray[Any]) -> None:
        """Refuse rows that leave an item out; a function is asked later."""
        if self.is_function:
            return
        left = [i for i in ids.tolist() if i not in self._rows]
        if left:
            more = f" (and {len(left) - 1} more)" * (len(left) > 1)
            raise ValueError(f"ids leaves out id {left[0]!r}{more}: give the sample of each item")

    def of(self, ids: NDArray[Any]) -> Any:
        """Samples of some items, as they are now; rows are those of the first time."""
        if self.is_function:
            return _checked(self._X(ids), ids)
        changed = [i for i in ids.tolist() if i in self._served or i not in self._rows]
        if changed:
            raise ValueError(
                f"the item of id {changed[0]!r} was enrolled or replaced by another process since reembed "
                "began, and X has no sample of it as it is now. The old embeddings still serve. Call reembed "
                "again, or give it a function of ids in place of X, which is asked for such items too"
            )
        self._served |= set(ids.tolist())
        return safe_indexing(self._X, np.array([self._rows[i] for i in ids.tolist()], dtype=np.intp))


def _checked(found: Any, ids: NDArray[Any]) -> Any:
    """What a function gave, which must be one sample for each id."""
    n_found = num_samples(found)
    if n_found != len(ids):
        raise ValueError(
            f"X is a function that gave {n_found} samples for {len(ids)} ids, from {ids.tolist()[0]!r} "
            "on: it must give the sample of each id, in their order"
        )
    return found


EmbedIds = Callable[[NDArray[Any]], NDArray[Any]]
