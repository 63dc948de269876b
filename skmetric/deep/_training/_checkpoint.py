"""State of training as arrays: what an estimator keeps in order to go on, and pickles."""

from typing import NamedTuple

import numpy as np
import torch

from skmetric._torch import to_tensor


class Checkpoint(NamedTuple):
    """What training goes on from, beside the module and the loss themselves."""

    optimizer: str  # name of its class: moments are of no use to another
    last: dict  # state of module, loss and optimizer after the last epoch
    best: dict | None


def pack(training, last):
    """Keep a snapshot and the best epoch of `training` as a checkpoint of arrays."""
    kept = {name: state for name, state in last.items() if name in ("module", "loss", "optimizer")}
    return Checkpoint(
        type(training.optimizer).__name__, _tree(kept, _to_array), _tree(training.best, _to_array)
    )


def resume(training, checkpoint, *, validated, moments=True):
    """Put `training` where the checkpoint was left: weights, moments and, if `validated`, the best epoch.

    Settings of the optimizer, as the learning rate, are those of now, and the schedule starts again.
    """
    last = _tree(checkpoint.last, _from_array)
    training.module.load_state_dict(last["module"])
    if "loss" in last:
        training.loss.load_state_dict(last["loss"])
    if moments and checkpoint.optimizer == type(training.optimizer).__name__:
        settings = training.optimizer.state_dict()["param_groups"]
        state = {"state": last["optimizer"]["state"], "param_groups": settings}
        training.optimizer.load_state_dict(state)
    if validated:
        training.best = _tree(checkpoint.best, _from_array)


def _tree(node, convert):
    """Copy nested dicts, lists and tuples with every leaf converted."""
    if isinstance(node, dict):
        return {key: _tree(value, convert) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return type(node)(_tree(value, convert) for value in node)
    return convert(node)


def _to_array(leaf):
    if not isinstance(leaf, torch.Tensor):
        return leaf
    return np.array(leaf.detach().cpu().numpy(), order="C", copy=True)


def _from_array(leaf):
    return to_tensor(leaf).clone() if isinstance(leaf, np.ndarray) else leaf
