"""Deep metric learning: a learner in scikit-learn's manner, and what it is made of, for a loop of one's own."""

from . import losses, miners, modules, samplers

__all__ = ["losses", "miners", "modules", "samplers"]
