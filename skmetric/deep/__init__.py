"""Deep metric learning: losses, miners and samplers for torch, of use in a training loop of one's own."""

from . import losses, miners, samplers

__all__ = ["losses", "miners", "samplers"]
