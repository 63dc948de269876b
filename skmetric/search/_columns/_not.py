"""The opposite of a condition in a filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final


@final
@dataclass(frozen=True)
class Not:
    """In a filter: every value but these.

    An item without a value passes no condition but ``None``, so it does not pass ``Not("A")`` either.
    ``Not(None)`` finds the items that have a value.

    Parameters
    ----------
    value : value, list or slice
        What must not be: a value, one of several, or a value from ``slice(low, high)``, both ends included.

    See Also
    --------
    SimilaritySearch.lookup : Takes filters, ``where={"shop": Not("A")}``.

    Examples
    --------
    >>> from skmetric.search import Not, SimilaritySearch
    >>> metadata = {"shop": ["A", "B", "C"], "price": [5, 7, None]}
    >>> search = SimilaritySearch(n_neighbors=1).fit([[0.0], [1.0], [2.0]], metadata=metadata)
    >>> search.lookup([[0.0]], where={"shop": Not(["A", "B"])})["shop"].tolist()
    ['C']
    >>> search.lookup([[2.0]], where={"price": Not(5)})["shop"].tolist()
    ['B']
    >>> search.lookup([[0.0]], where={"price": None})["shop"].tolist()
    ['C']
    """

    value: Any
