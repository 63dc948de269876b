"""A network, its loss and its optimizer put together: anew, or as they were left."""

import torch

from skmetric._torch import evaluating, infer, seeded
from skmetric.deep._data._input import to_float
from skmetric.deep._data._source import in_blocks
from skmetric.deep._network._compile import runner
from skmetric.deep._network._freeze import freeze_by_name
from skmetric.deep._network._layout import laid_out, takes_channels_last
from skmetric.deep._network._network import build_network

from ._checkpoint import resume
from ._criterion import ball_of_loss, bind
from ._loop import Training
from ._optim import Schedule, is_module, make_optimizer

_INFER_BATCH = 256
_OF_NETWORK = ("pooling", "freeze", "weights", "model_kwargs")  # parameters that not every learner has


def start(settings, loss, input_shape, n_classes, seed, device, n_steps, *, schedule=None):
    """Set up training from nothing.

    Parameters
    ----------
    settings : DeepMetricLearner
        Its parameters are read.
    loss : callable
        Not bound yet.
    input_shape : tuple of int
        Of one sample.
    n_classes : int
        For the proxies of the loss.
    seed : int
        Of the initial weights.
    device : torch.device
        Where to train.
    n_steps : int
        In the whole call, for the schedule.
    schedule : str, default=None
        Of the learning rates.

    Returns
    -------
    Training
        No epoch done.
    """
    with seeded(seed):
        module, n_components = build_network(
            settings.module,
            input_shape,
            settings.n_components,
            normalize=settings.normalize,
            ball=ball_of_loss(loss) if getattr(settings, "distance", None) == "poincare" else None,
            **{name: getattr(settings, name) for name in _OF_NETWORK if hasattr(settings, name)},
        )
        bound = bind(loss, n_components, n_classes)
    training = _equip(settings, module, bound, seed, device, schedule, n_steps)
    training.n_components = n_components
    return training


def go_on(fitted, device, n_steps, *, schedule=None, validated=False):
    """Set up training from where `fitted`, an estimator, was left.

    Parameters
    ----------
    fitted : DeepMetricLearner
        Its network and loss are trained further themselves, not copies.
    device : torch.device
        Where to train.
    n_steps : int
        Of this call.
    schedule : str, default=None
        Of this call.
    validated : bool, default=False
        Whether the best epoch so far stays in the running.

    Returns
    -------
    Training
        With the epochs done so far. Moments are fresh if the estimator did not keep them, or if other weights
        are frozen now.
    """
    seed, module = fitted._seed, fitted.module_
    held_before = module.frozen_weights
    freeze_by_name(module, getattr(fitted, "freeze", None))
    training = _equip(fitted, module, fitted.loss_, seed, device, schedule, n_steps)
    training.history, training.n_components = list(fitted.history_), fitted.n_components_
    if fitted._checkpoint is not None:
        moments = module.frozen_weights == held_before  # else they are of other weights
        resume(training, fitted._checkpoint, validated=validated, moments=moments)
    return training


def _equip(settings, module, loss, seed, device, schedule, n_steps):
    """Move a network and its loss to the device, and give them what trains them."""
    module = module.to(device)
    loss = loss.to(device).float() if is_module(loss) else loss
    optimizer = make_optimizer(
        settings.optimizer,
        module,
        loss,
        learning_rate=settings.learning_rate,
        proxy_learning_rate=settings.proxy_learning_rate,
        weight_decay=settings.weight_decay,
    )
    scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "fp16")
    run = laid_out(module, takes_channels_last(module, device))
    return Training(module, run, loss, optimizer, Schedule(schedule, optimizer, n_steps), scaler, seed)


def embed(module, samples, device, precision, *, compiled=False, in_last=None):
    """Run the network over samples.

    Parameters
    ----------
    module : nn.Module
        Moved to `device`.
    samples : ndarray of n rows, or Streamed
        As :func:`skmetric.deep._data._input.read_images` gives them, or float32 features.
    device : torch.device
        Where to compute.
    precision : str
        See :func:`skmetric._torch.autocast`.
    compiled : bool, default=False
        See :func:`skmetric.deep._network._compile.runner`.
    in_last : bool, default=None
        Whether batches of images go to it channels last, which changes the last bits; None: if it takes them.

    Returns
    -------
    ndarray of shape (n, n_components), float32
        A row for each sample.
    """
    module = module.to(device)
    in_last = takes_channels_last(module, device) if in_last is None else in_last
    run = laid_out(runner(module, compiled), in_last)
    with evaluating(module):
        batches = in_blocks(samples, _INFER_BATCH)
        return infer(lambda batch: run(to_float(batch)), batches, device=device, precision=precision)
