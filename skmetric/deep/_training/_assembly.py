"""A network, its loss and its optimizer put together: anew, or as they were left."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from skmetric._torch import evaluating, infer, seeded
from skmetric.deep._data._gathered import Gathered
from skmetric.deep._data._input import to_float
from skmetric.deep._data._nested import to_device
from skmetric.deep._data._source import in_blocks
from skmetric.deep._network._compile import runner
from skmetric.deep._network._freeze import freeze_by_name
from skmetric.deep._network._layout import laid_out, takes_channels_last
from skmetric.deep._network._network import build_network, from_closed_form
from skmetric.deep._recipe._average import WeightAverage
from skmetric.deep._recipe._class_means import proxies_in, start_at_class_means
from skmetric.deep._recipe._schedules import check_schedule, make_schedule

from ._checkpoints._changes import Changed, carried_over
from ._checkpoints._checkpoint import keep_best, resume
from ._loop import Training
from ._loss._criterion import ball_of_loss, bind
from ._optim import is_module, make_optimizer
from ._row_steps import RowSteps

if TYPE_CHECKING:
    from skmetric.deep._data._source import Streamed
    from skmetric.deep._estimator import NetworkMixin
    from skmetric.deep._network._example import Example

_INFER_BATCH = 256


def start(
    settings: NetworkMixin,
    loss: Any,
    input_shape: tuple[int, ...] | Example,
    n_classes: int,
    seed: int,
    device: torch.device,
    n_steps: int,
    *,
    schedule: str | Callable | None = None,
    rows: tuple[NDArray[Any], NDArray[Any]] | None = None,
) -> Training:
    """Set up training from nothing.

    Parameters
    ----------
    settings : NetworkMixin
        Its parameters are read.
    loss : callable
        Not bound yet.
    input_shape : tuple of int, or Example
        Of one sample; or a batch of collated ones.
    n_classes : int
        For the proxies of the loss.
    seed : int
        Of the initial weights.
    device : torch.device
        Where to train.
    n_steps : int
        In the whole call, for the schedule.
    schedule : str or callable, default=None
        Of the learning rates.
    rows : tuple of two ndarrays, default=None
        Rows and their classes, from whose closed form the network starts, in place of what `module` says.

    Returns
    -------
    Training
        No epoch done.
    """
    with seeded(seed):
        if rows is not None:
            module, n_components = from_closed_form(*rows, settings.n_components, seed)
        else:
            module, n_components = build_network(
                settings.module,
                input_shape,
                settings.n_components,
                normalize=settings.normalize,
                pooling=settings.pooling,
                weights=settings.weights,
                model_kwargs=settings.model_kwargs,
                mean=settings.mean,
                std=settings.std,
                ball=ball_of_loss(loss) if settings.distance == "poincare" else None,
            )
        freeze_by_name(module, settings.freeze, batch_norm=settings.freezes_batch_norm)
        bound = bind(loss, n_components, n_classes)
    training = _equip(settings, module, bound, seed, device, schedule, n_steps)
    training.n_components = n_components
    return training


def go_on(
    fitted: NetworkMixin,
    loss: Any,
    changed: Changed,
    n_classes: int,
    seed: int,
    device: torch.device,
    n_steps: int,
    *,
    schedule: str | Callable | None = None,
    validated: bool = False,
) -> Training:
    """Set up training from where `fitted`, an estimator, was left.

    Parameters
    ----------
    fitted : NetworkMixin
        Its network and loss are trained further themselves, not copies.
    loss : callable
        The loss that it was trained with, bound; or another, not bound yet, if `changed` names it.
    changed : Changed
        Parameters that differ from those of the last call. A loss of the same kind with other settings keeps
        what the last one learned. One of another kind begins with the network as it is, at fresh moments.
    n_classes : int
        For the proxies of a loss.
    seed : int
        Of this call.
    device : torch.device
        Where to train.
    n_steps : int
        Of this call.
    schedule : str or callable, default=None
        Of this call.
    validated : bool, default=False
        Whether the best epoch so far stays in the running.

    Returns
    -------
    Training
        With the epochs done so far. Moments are fresh if the estimator did not keep them, or if other weights
        are trained now.
    """
    module, carried = fitted.module_, True
    if changed.loss_is_new:
        with seeded(seed):
            loss = bind(loss, fitted.n_components_, n_classes)
    elif "loss" in changed.names:
        before = fitted._made_of["loss"]
        loss, carried = carried_over(before, loss, fitted.loss_, fitted.n_components_, n_classes)
    held_before = module.frozen_weights
    freeze_by_name(module, fitted.freeze, batch_norm=fitted.freezes_batch_norm)
    training = _equip(fitted, module, loss, seed, device, schedule, n_steps)
    training.history, training.n_components = list(fitted.history_), fitted.n_components_
    training.untrained = getattr(fitted, "untrained_scores_", {})  # which earlier pickles lack
    checkpoint = fitted._checkpoint
    if checkpoint is not None and changed.loss_is_new:
        if validated:
            keep_best(training, checkpoint)
    elif checkpoint is not None:
        same = module.frozen_weights == held_before and "fine_tuning" not in changed.names
        moments = carried and same  # else they are of other weights, or in another order
        resume(training, checkpoint, validated=validated, loss=carried, moments=moments)
    return training


def start_proxies(training: Training, data: Any, settings: NetworkMixin) -> None:
    """Let the proxies of the loss start at the means of their classes under the network as it is."""
    if not proxies_in(training.loss):
        raise ValueError(
            f"fine_tuning.proxies='class_means', but the loss {type(training.loss).__name__} has no proxies: "
            "use a loss such as 'proxy_anchor' or 'normalized_softmax', or proxies='random'"
        )
    device = next(training.module.parameters()).device
    embeddings = embed(training.module, data.samples, device, settings.precision)
    start_at_class_means(training.loss, embeddings, data.codes)


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
        layer_rates=settings.fine_tuning.layer_rates,
    )
    check_schedule(schedule, optimizer, n_steps)
    scheduled = make_schedule(schedule, optimizer, n_steps, settings.fine_tuning.warm_up)
    scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "fp16")
    run = laid_out(module, takes_channels_last(module, device))
    training = Training(module, run, loss, optimizer, scheduled, scaler, seed)
    if isinstance(settings.optimizer, str):  # others may not know what to do with rows alone
        training.rows = RowSteps(optimizer)
    if settings.fine_tuning.ema is not None:
        training.average = WeightAverage(module, settings.fine_tuning.ema)
    return training


def embed(
    module: nn.Module,
    samples: NDArray[Any] | Streamed | Gathered,
    device: torch.device,
    precision: str,
    *,
    compiled: bool = False,
    in_last: bool | None = None,
) -> NDArray[np.float32]:
    """Run the network over samples.

    Parameters
    ----------
    module : nn.Module
        Moved to `device`.
    samples : ndarray of n rows, Streamed or Gathered
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
    if isinstance(samples, Gathered):
        rows, inverse = samples.distinct()
        return embed(module, rows, device, precision, compiled=compiled, in_last=in_last)[inverse]
    module = module.to(device)
    in_last = takes_channels_last(module, device) if in_last is None else in_last
    run = laid_out(runner(module, compiled), in_last)
    with evaluating(module):
        batches = in_blocks(samples, _INFER_BATCH)
        embeddings = infer(
            lambda batch: run(to_float(to_device(batch, device))), batches, device=device, precision=precision
        )
    if len(embeddings) != len(samples):
        raise ValueError(
            f"the network gave {len(embeddings)} embeddings for {len(samples)} samples: it must give one row "
            "for each, in their order; so must collate_fn keep their number"
        )
    return embeddings
