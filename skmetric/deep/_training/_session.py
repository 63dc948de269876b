"""One call of `fit`: data, network, loss, optimizer and plan, from an estimator's parameters and its task."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from skmetric._torch import to_tensor
from skmetric.deep._data._gathered import Gathered
from skmetric.deep._data._input import to_float
from skmetric.deep._data._source import (
    as_source,
    example_of,
    read_if_small,
    sample_shape,
    spec_of_samples,
)
from skmetric.deep._distributed._group import ALONE, Alone
from skmetric.deep._network._compile import runner
from skmetric.deep._network._example import Example
from skmetric.deep._network._freeze import without_frozen
from skmetric.deep._network._layout import laid_out, takes_channels_last
from skmetric.deep._recipe._schedules import check_schedule
from skmetric.deep._recipe._thawing import Thawing
from skmetric.deep.augment._two_views import check_for_collated, resolve
from skmetric.deep.losses import GatheredBatches
from skmetric.deep.losses._cross_batch_memory import forget

from ._assembly import embed, go_on, start, start_proxies
from ._checkpoints._changes import Changed, record, what_changed
from ._checkpoints._checkpoint import CheckpointOnDemand
from ._checkpoints._checkpoint_folder import CheckpointFolder
from ._checkpoints._known_by import sketch_of_data
from ._loop import Plan, Training
from ._optim import is_module, trainable

if TYPE_CHECKING:
    from skmetric.deep._estimator import NetworkMixin
    from skmetric.deep._network._network import Network


class Found(NamedTuple):
    """What an earlier run on some of the classes found, to train on all of them."""

    n_epochs: int
    seed: int
    data: Any  # with nothing held out


class Call(NamedTuple):
    """What is asked of one call."""

    n_epochs: int
    goes_on: bool = False  # train further what the estimator holds
    single: bool = False  # one epoch of `partial_fit`: nothing is held out, the learning rate is constant
    found: Found | None = None
    checkpoint: CheckpointFolder | None = None
    group: Alone = ALONE  # the processes that train together


class Task(Protocol):
    """What differs between training on labels and on tuples."""

    settings: NetworkMixin  # parameters of the estimator, the open ones filled in
    scores_untrained: bool  # whether the untrained network is a candidate

    def make_loss(self) -> Any:
        """Resolve the parameters `loss` and `margin`; the loss is not bound yet."""

    def bound_before(self, loss: Any) -> Any:
        """The loss that the estimator was trained with, which goes on if it did not change."""

    def read(self, call: Call, seed: int, loss: Any, augment: Any, *, loss_goes_on: bool) -> Any:
        """Check samples and labels and divide them: `samples`, `codes`, `held_out` and more."""

    def n_classes(self, data: Any) -> int:
        """Count the classes that a loss with proxies is bound to."""

    def batches(self, data: Any, seed: int) -> tuple[Any, int]:
        """Set up the batches, and count those of an epoch."""

    def rows_to_start_from(self, data: Any) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """Rows and classes from whose closed form the network starts; None: it starts at random."""

    def undivided(self, data: Any) -> Any:
        """The same data with no class held out, if training on all of them follows; else None."""

    def same_held_out(self, data: Any) -> bool:
        """Whether the scores of earlier epochs were computed on the samples held out now."""

    def same_codes(self, data: Any) -> bool:
        """Whether a code means what it meant in the last call, of which a loss may remember some."""

    def statistics(self, module: torch.nn.Module) -> Callable:
        """Give the function from recent batches to what the history tells of them."""

    def scores(self, data: Any, embedding: Callable, module: torch.nn.Module) -> dict[str, float]:
        """Scores of the samples held out; empty without them."""

    def state(self, session: Session) -> dict[str, Any]:
        """Fitted attributes beside those of the network."""


class Session(NamedTuple):
    """Everything that `train` needs, and the data it came from."""

    training: Training
    plan: Plan
    validate: Callable
    data: Any
    task: Task
    embedding: Callable  # (module, samples) -> embeddings
    made_of: dict[str, Any]  # values of the parameters that a later call compares with its own
    before: Session | None = None  # the run on some of the classes, if this one is on all of them


def open_session(estimator: NetworkMixin, task: Task, call: Call) -> Session:
    """Check and read everything before any work starts.

    Parameters
    ----------
    estimator : NetworkMixin
        Its parameters are read, and its fitted state if it goes on.
    task : Task
        Data, and what is learned from them.
    call : Call
        Number of epochs, and where they begin.

    Returns
    -------
    Session
        Ready to train.
    """
    group = call.group
    device = group.device(estimator.device)
    if device.type == "cuda":
        torch.cuda.init()  # so that `seeded` sees the generators that it has to leave as they are
    settings, loss, augment = task.settings, task.make_loss(), resolve(estimator.augment)
    _check_not_gathered(loss, group)
    changed = what_changed(estimator, loss) if call.goes_on else Changed()
    keeps_seed = call.goes_on and "random_state" not in changed.names
    if call.found is not None:
        seed, data = call.found.seed, call.found.data
    else:
        seed = estimator._seed if keeps_seed else _fresh_seed(estimator, call)
        data = task.read(call, seed, loss, augment, loss_goes_on=call.goes_on and not changed.loss_is_new)
    _check_same_data(data, group)
    input_shape: Any = sample_shape(data.samples)
    if spec_of_samples(data.samples) is not None:
        check_for_collated(augment)
        batch, n = example_of(data.samples)
        input_shape = Example(to_float(batch), n, input_shape)
    elif hasattr(augment, "check"):
        augment.check(input_shape)
    batches, n_batches = task.batches(data, seed)
    n_steps = math.ceil(n_batches / settings.fine_tuning.accumulate)
    schedule, n_all = None if call.single else estimator.schedule, call.n_epochs * n_steps
    made_of, n_classes = record(estimator, loss), task.n_classes(data)  # before anything is trained
    if call.goes_on:
        loss = loss if "loss" in changed.names else task.bound_before(loss)
        comparable = len(data.held_out) > 0 and "scoring" not in changed.names and task.same_held_out(data)
        training = go_on(
            settings, loss, changed, n_classes, seed, device, n_all, schedule=schedule, validated=comparable
        )
        if not task.same_codes(data):
            forget(training.loss)
    else:
        rows = task.rows_to_start_from(data)
        sizes = (input_shape, n_classes, seed, device, n_all)
        training = start(settings, loss, *sizes, schedule=schedule, rows=rows)
    _check_steps_on_all(task, data, training, schedule, call, seed)
    if hasattr(task, "attach"):
        task.attach(training.loss)
    if settings.fine_tuning.proxies == "class_means" and (changed.loss_is_new or not call.goes_on):
        start_proxies(training, data, settings)
    samples, held_out = read_if_small(data.samples, data.held_out)  # last: nothing is refused from here on
    data, run = data._replace(samples=samples, held_out=held_out), training.module
    in_last = takes_channels_last(training.module, device)
    if estimator.augment is None and getattr(samples, "is_fixed", True):
        once = partial(
            group.embed, partial(embed, device=device, precision=estimator.precision, in_last=in_last)
        )
        table = samples.table if isinstance(samples, Gathered) else samples
        run, table = without_frozen(run, table, once)
        samples = samples.with_table(table) if isinstance(samples, Gathered) else table
    training.run = laid_out(runner(run, estimator.compile), in_last)
    group.begin(training.module, *([training.loss] if is_module(training.loss) else []))
    n_thawing = settings.fine_tuning.unfreeze_epochs
    plan = Plan(
        samples=as_source(samples),
        codes=to_tensor(data.codes) if isinstance(data.codes, np.ndarray) else data.codes,
        batches=batches,
        n_epochs=call.n_epochs if call.found is None else call.found.n_epochs,
        device=device,
        precision=estimator.precision,
        augment=augment,
        clip_norm=estimator.clip_norm,
        patience=estimator.patience if estimator.early_stopping and call.found is None else None,
        statistics=task.statistics(training.module),
        accumulate=settings.fine_tuning.accumulate,
        grad_cache=settings.fine_tuning.grad_cache,
        group=group,
        thawing=Thawing(cast("Network", training.module), n_thawing, bool(trainable(training.loss)))
        if n_thawing
        else None,
        scores_untrained=task.scores_untrained and len(data.held_out) > 0 and not call.goes_on,
    )
    if call.checkpoint is not None:
        of_run = call.checkpoint.of_run(data, training, on_all=call.found is not None)
        plan = plan._replace(checkpoint=of_run)
    embedding = partial(embed, device=device, precision=estimator.precision, compiled=estimator.compile)
    validate = partial(_validate, task, data, embedding, group)
    return Session(training, plan, validate, data, task, partial(group.embed, embedding), made_of)


def _check_steps_on_all(task, data, training, schedule, call, seed):
    """Try a schedule of torch on the steps of the run on all classes, which has more of them."""
    everything = task.undivided(data) if callable(schedule) else None
    if everything is not None and call.found is None:
        n_steps = math.ceil(task.batches(everything, seed)[1] / task.settings.fine_tuning.accumulate)
        check_schedule(schedule, training.optimizer, call.n_epochs * n_steps)


def _fresh_seed(estimator: NetworkMixin, call: Call) -> int:
    """The seed of a fit that goes on from a checkpoint, or a new one: one for all processes."""
    if call.checkpoint is not None and call.checkpoint.seed is not None and not call.goes_on:
        return call.checkpoint.seed
    return call.group.on_first(draw_seed, estimator.random_state)


def draw_seed(random_state: int | np.random.RandomState | None) -> int:
    """One number that all chance of an estimator comes from."""
    return int(check_random_state(random_state).randint(2**31 - 1))


def fitted_state(session: Session) -> dict[str, Any]:
    """Attributes that make an estimator usable, from a session at any time."""
    training, before = session.training, session.before
    best = training.best or {"epoch": training.epoch}
    state = {
        "module_": training.kept,
        "loss_": training.loss,
        "history_": training.history,
        "refit_history_": [],
        "untrained_scores_": training.untrained,
        "best_epoch_": best["epoch"],
        "input_shape_": sample_shape(session.data.samples),
        "_input_spec": spec_of_samples(session.data.samples),
        "n_components_": training.n_components,
        "_seed": training.seed,
        "_made_of": session.made_of,
        "_n_classes": session.task.n_classes(session.data),
        "_checkpoint": CheckpointOnDemand(training),  # of use to who pickles the estimator while it trains
    } | session.task.state(session)
    if before is None:
        return state
    found = fitted_state(before)
    kept = ("history_", "untrained_scores_", "best_epoch_", "validation_classes_")
    return state | {name: found[name] for name in kept} | {"refit_history_": training.history}


def _validate(task, data, embedding, group, module):
    """Scores of the samples held out: embedded in shares, computed once."""
    if not len(data.held_out):
        return {}
    held_out = group.embed(embedding, module, data.held_out)

    def known(module, samples):
        return held_out if samples is data.held_out else embedding(module, samples)

    return group.on_first(task.scores, data, known, module)


# What processes that train together must agree on


def _check_not_gathered(loss, group):
    while loss is not None and group.size > 1:
        if isinstance(loss, GatheredBatches):
            raise ValueError(
                "loss=GatheredBatches(...) gathers the batches of all processes, and distributed= does so "
                "itself: pass the loss inside"
            )
        loss = getattr(loss, "loss", None)


def _check_same_data(data, group):
    """Refuse other samples or labels than those of the first process."""
    if group.size == 1:
        return
    sketches = group.by_rank(sketch_of_data(data))
    others = [rank for rank, sketch in enumerate(sketches) if sketch != sketches[0]]
    if others:
        raise ValueError(
            f"distributed trains by {group.size} processes, and those of rank {others} have other samples "
            "or labels than the first: every process needs the same ones, in the same order; the batches "
            "are divided by fit"
        )
