"""What a lookup is limited to: a filter, ids of the user, or both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

from ._layout import asked_ids, refuse_duplicates


@final
class Selection:
    """A filter together with the ids that items must be among, each once, and the parameter that has them."""

    def __init__(self, where: Mapping[str, Any] | None, among: Any, named_by: str = "among") -> None:
        self.where, self.among, self.named_by = where, asked_ids(among, named_by), named_by
        if not self.among:
            raise ValueError(f"{named_by} is empty: give the ids of items to search, or None for all")
        refuse_duplicates(self.among, named_by)

    def __repr__(self) -> str:
        more = "..." * (len(self.among) > 5)
        return f"{self.where!r} with {self.named_by}={self.among[:5]!r}{more}"


def selection(where: Any, among: Any, named_by: str = "among") -> Any:
    """What a gallery takes as `where`: the filter itself, unless there are ids too."""
    return where if among is None else Selection(where, among, named_by)


def parts_of(where: Any) -> tuple[Mapping[str, Any] | None, list[int | str] | None]:
    """The filter, and the ids, of what a gallery was given as `where`."""
    return (where.where, where.among) if isinstance(where, Selection) else (where, None)
