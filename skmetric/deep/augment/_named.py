"""From the learner's parameter `augment`, names and callables, to one callable."""

from collections.abc import Sequence
from typing import Any

import torch

from skmetric._documented import DocumentedMixin
from skmetric._sklearn import BaseEstimator

from ._affine import RandomAffine
from ._color import ColorJitter
from ._erasing import RandomErasing
from ._flip import RandomFlip
from ._shift import RandomShift

TWO_VIEWS = "two_views"
NAMES = {
    "flip": RandomFlip,
    "shift_crop": RandomShift,
    "color": ColorJitter,
    "erasing": RandomErasing,
    "affine": RandomAffine,
}


def steps_of(augment: Any):
    """Callables of names and callables, in order.

    Parameters
    ----------
    augment : str, callable or list of them
        "two_views" is none of the names here.

    Returns
    -------
    list of callable
        Each takes the batch that the one before gives.

    Raises
    ------
    ValueError
        If a name is unknown, or an entry is no callable.
    """
    entries = augment if isinstance(augment, list | tuple) else [augment]
    return [_step(entry) for entry in entries]


def chain(steps: Any):
    """One callable of several; itself if it is one."""
    return steps[0] if len(steps) == 1 else Chain(steps)


def check_steps(steps: Any, input_shape: Sequence[int]):
    """Let each step that is one of ours refuse its parameters, or samples it cannot change."""
    for step in steps:
        if hasattr(step, "check"):
            step.check(input_shape)


class Chain(DocumentedMixin, BaseEstimator):
    """Augmentations one after the other."""

    def __init__(self, steps: Any) -> None:
        self.steps = steps

    def __call__(self, samples: torch.Tensor) -> torch.Tensor:
        for step in self.steps:
            samples = step(samples)
        return samples

    def check(self, input_shape: Sequence[int]) -> None:
        """Let each step refuse what it cannot change."""
        check_steps(self.steps, input_shape)


def _step(entry):
    if isinstance(entry, str):
        if entry not in NAMES:
            raise ValueError(f"augment={entry!r} is unknown; the names are {[*NAMES, TWO_VIEWS]}")
        return NAMES[entry]()
    if not callable(entry):
        raise ValueError(
            f"augment holds {entry!r}: its entries are names ({[*NAMES, TWO_VIEWS]}) or callables"
        )
    return entry
