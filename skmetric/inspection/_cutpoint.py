"""The cutpoint of a search, where it is a distance that a display draws."""

from typing import Any

_BY_ITEM = ("nearest", "majority", "distance")  # matchers whose threshold is a distance to an item
_RANKING = ("rerank", "query_expansion", "augment_gallery")


def cutpoint_of(search: Any, *, is_ranked: bool = False) -> str | None:
    """Name of the cutpoint in use; None if there is none, or it is of another quantity than what is drawn.

    Parameters
    ----------
    search : SimilaritySearch
        Fitted.
    is_ranked : bool, default=False
        Whether the distances drawn are those that ranking options change.
    """
    if getattr(search, "matcher", "nearest") not in _BY_ITEM:
        return None
    if is_ranked and any(getattr(search, name, None) is not None for name in _RANKING):
        return None
    return getattr(search, "cutpoint_", None)
