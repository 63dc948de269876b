"""Checkpoint: the folder that a fit can be resumed from, and how often it is written."""

from __future__ import annotations

import os
from numbers import Integral

from skmetric._documented import DocumentedMixin
from skmetric._params import Interval
from skmetric._sklearn import BaseEstimator


class Checkpoint(DocumentedMixin, BaseEstimator):
    """Folder from which `fit` resumes, written also within epochs.

    It is what the parameter `checkpoint` of the deep learners takes beside a path. A path alone writes the
    folder after each epoch. Where an epoch takes hours, `every_n_steps` writes it more often.

    Parameters
    ----------
    path : str or path-like
        Folder, which `fit` makes. Give each fit its own.
    every_n_steps : int, default=None
        Write the folder after this number of steps of the optimizer, counted from the beginning of each
        epoch, and after each epoch. With ``FineTuning(accumulate=k)`` a step has k batches. None: after each
        epoch only.

    See Also
    --------
    DeepMetricLearner : Its parameter `checkpoint` takes this object.

    Notes
    -----
    **What is kept.** The state after the last epoch (network, loss with its proxies and memory, optimizer,
    schedule, moving average, scores, the weights of the best epoch), the same of the last step that was
    written, the number of batches done in that epoch, and the state of torch's random generators. A fit that
    is killed loses `every_n_steps` steps at most, and ends with the weights of a fit that was not
    interrupted: with the same bits on one CPU thread. Random numbers that an augmentation or a loss draws
    from NumPy's or Python's global generators are not part of this: use torch's.

    **What it costs.** Each time the weights and the moments of the optimizer are written, about three times
    the size of the network with Adam. The folder takes up to twice that, and the best weights. Choose
    `every_n_steps` so that the steps take much longer than the writing.

    **Several processes.** Each process resumes with its own random numbers and running statistics; the first
    one writes.

    Examples
    --------
    >>> from skmetric.deep import Checkpoint, DeepMetricLearner
    >>> learner = DeepMetricLearner(checkpoint=Checkpoint("run-1", every_n_steps=500))
    >>> learner.checkpoint
    Checkpoint(every_n_steps=500, path='run-1')
    """

    _parameter_constraints = {
        "path": [str, os.PathLike],
        "every_n_steps": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(self, path: str | os.PathLike[str], *, every_n_steps: int | None = None) -> None:
        self.path = path
        self.every_n_steps = every_n_steps


def as_checkpoint(given: str | os.PathLike[str] | Checkpoint) -> Checkpoint:
    """The parameter `checkpoint` as an object: a path is written after each epoch."""
    return given if isinstance(given, Checkpoint) else Checkpoint(given)
