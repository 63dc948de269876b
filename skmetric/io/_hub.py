"""A folder that is shared: the model, and the page that says what it is."""

from __future__ import annotations


def to_hub_folder() -> None:
    """Not yet."""
