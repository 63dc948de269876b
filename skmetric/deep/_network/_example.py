"""A batch that a network is tried on: the structure of collated samples is known from nothing else."""

from typing import Any, NamedTuple


class Example(NamedTuple):
    """A batch of collated samples."""

    batch: Any  # tensors, nested in tuples, lists and dicts
    n: int  # samples in it
    shape: Any  # of one sample: the same structure of shapes

    def __str__(self) -> str:
        return f"collated samples of shape {self.shape}"
