"""A network, its loss and its optimizer put together: anew, or as they were left."""

import torch

from skmetric._torch import evaluating, infer, seeded, to_tensor

from ._checkpoint import resume
from ._criterion import bind
from ._input import to_float
from ._network import build_network
from ._optim import Schedule, is_module, make_optimizer
from ._training import Training

_INFER_BATCH = 256


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
    training : Training
        No epoch done.
    """
    with seeded(seed):
        module, n_components = build_network(
            settings.module, input_shape, settings.n_components, normalize=settings.normalize
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
    training : Training
        With the epochs done so far. Moments are fresh if the estimator did not keep them.
    """
    seed = fitted._seed
    training = _equip(fitted, fitted.module_, fitted.loss_, seed, device, schedule, n_steps)
    training.history, training.n_components = list(fitted.history_), fitted.n_components_
    if fitted._checkpoint is not None:
        resume(training, fitted._checkpoint, validated=validated)
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
    return Training(module, loss, optimizer, Schedule(schedule, optimizer, n_steps), scaler, seed)


def embed(module, samples, device, precision):
    """Run the network over samples.

    Parameters
    ----------
    module : nn.Module
        Moved to `device`.
    samples : ndarray of n rows
        As :func:`skmetric.deep._input.read_images` gives them, or float32 features.
    device : torch.device
        Where to compute.
    precision : str
        See :func:`skmetric._torch.autocast`.

    Returns
    -------
    embeddings : ndarray of shape (n, n_components), float32
        A row for each sample.
    """
    module = module.to(device)
    with evaluating(module):
        batches = to_tensor(samples).split(_INFER_BATCH)
        return infer(lambda batch: module(to_float(batch)), batches, device=device, precision=precision)
