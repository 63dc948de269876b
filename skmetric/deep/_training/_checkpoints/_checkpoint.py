"""State of training as arrays: what an estimator keeps in order to go on, and pickles."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from skmetric._torch import to_tensor

if TYPE_CHECKING:
    from skmetric.deep._training._loop import Training


class Checkpoint(NamedTuple):
    """What training goes on from, beside the module and the loss themselves."""

    optimizer: str  # name of its class: moments are of no use to another
    last: dict  # state of module, loss, optimizer, scaler and schedule after the last epoch
    best: dict | None


class CheckpointOnDemand:
    """The checkpoint of a training that goes on: whoever pickles or copies it gets the state of that moment.

    A callback that saves the estimator after each epoch gets all that is needed to go on, and training pays
    nothing for it if none does.
    """

    def __init__(self, training: Training) -> None:
        self.training = training

    def packed(self) -> Checkpoint:
        """The checkpoint of this moment."""
        return pack(self.training, self.training.state())

    def __reduce__(self) -> tuple:
        return Checkpoint, tuple(self.packed())


def pack(training: Training, last: dict[str, Any]) -> Checkpoint:
    """Keep a state and the best epoch of `training` as a checkpoint of arrays."""
    return Checkpoint(
        type(training.optimizer).__name__, _tree(last, _to_array), _tree(training.best, _to_array)
    )


def resume(
    training: Training, checkpoint: Checkpoint, *, validated: bool, loss: bool = True, moments: bool = True
) -> None:
    """Put `training` where the checkpoint was left.

    Settings of the optimizer, as the learning rate, are those of now. A schedule that was not at its end goes
    on, over the steps that are left of it and those of this call; one that ended starts again.

    Parameters
    ----------
    training : Training
        Changed in place.
    checkpoint : Checkpoint
        Of a training of this network.
    validated : bool
        Whether the best epoch so far stays in the running.
    loss : bool, default=True
        Whether the loss goes on too.
    moments : bool, default=True
        Whether the moments of the optimizer do.
    """
    last = _tree(checkpoint.last, _from_array)
    training.module.load_state_dict(last["module"])
    if loss and "loss" in last:
        training.loss.load_state_dict(last["loss"])
    if moments and checkpoint.optimizer == type(training.optimizer).__name__:
        settings = training.optimizer.state_dict()["param_groups"]
        state = {"state": last["optimizer"]["state"], "param_groups": settings}
        training.optimizer.load_state_dict(state)
    if last.get("scaler") and training.scaler.is_enabled():  # pickles of earlier versions have neither
        training.scaler.load_state_dict(last["scaler"])
    if "average" in last and training.average is not None:
        training.average.load_state_dict(last["average"])
    if "schedule" in last:
        training.schedule.go_on_from(last["schedule"])
    if validated:
        keep_best(training, checkpoint)


def keep_best(training: Training, checkpoint: Checkpoint) -> None:
    """Leave the best epoch so far in the running."""
    training.best = _tree(checkpoint.best, _from_array)


def _tree(node: Any, convert: Callable[[Any], Any]) -> Any:
    """Copy nested dicts, lists and tuples with every leaf converted."""
    if isinstance(node, dict):
        return {key: _tree(value, convert) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return type(node)(_tree(value, convert) for value in node)
    return convert(node)


def _to_array(leaf: Any) -> Any:
    if not isinstance(leaf, torch.Tensor):
        return leaf
    return np.array(leaf.detach().cpu().numpy(), order="C", copy=True)


def _from_array(leaf: Any) -> Any:
    return to_tensor(leaf).clone() if isinstance(leaf, np.ndarray) else leaf
