"""The training loop, top to bottom.

All chance in an epoch comes from the pair (seed, number of the epoch): so training that stops after any epoch
goes on later with the same bits, and nothing but weights and moments has to be kept. Within an epoch, the
state of the random generators and the sums over its batches are kept too.
"""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn

from skmetric._torch import evaluating, seeded
from skmetric._warning import warn
from skmetric.deep._data._input import to_float
from skmetric.deep._data._nested import to_device
from skmetric.deep._data._source import Resident, Streamed, seed_of
from skmetric.deep._distributed._group import ALONE, Alone
from skmetric.deep.losses._epoch import labels_of, without_waiting
from skmetric.exceptions import DivergenceWarning

from ._checkpoints._epoch_so_far import EpochSoFar
from ._descent import Descent, held_still
from ._divergence import Divergence
from ._interrupt import goes_through
from ._loss._diagnosis import batch_statistics
from ._optim import is_module, trainable
from ._row_steps import RowSteps

_PROBED = 8  # samples that show whether the network still gives numbers
_LOOK_EVERY = 50  # steps after which the loss is looked at


class Plan(NamedTuple):
    """What does not change while training goes on."""

    samples: Resident | Streamed  # n of shape (C, H, W) or (n_features,), uint8 or float32
    codes: torch.Tensor  # (n,) classes from 0
    batches: Any  # iterable over lists of row numbers, with set_epoch
    n_epochs: int
    device: torch.device
    precision: str = "auto"
    augment: Callable | None = None
    clip_norm: float | None = None
    patience: int | None = None  # epochs without a better score before training stops; None: it does not
    statistics: Callable = batch_statistics  # of [(embeddings, labels)], for the history
    accumulate: int = 1  # batches of a step
    thawing: Any = None  # holds parts of the network still in early epochs
    scores_untrained: bool = False  # whether the network is a candidate before its first epoch
    grad_cache: int | None = None  # samples of a part of a batch that is embedded in parts
    group: Alone = ALONE  # the processes that train together
    codes_on_host: Any = None  # the codes, also where the network is on a GPU
    checkpoint: Any = None  # a CheckpointOfRun: the folder to go on from, and to write


@dataclass
class Training:
    """What changes: weights, moments, and what is known of the epochs so far."""

    module: nn.Module
    run: Callable  # embeds a batch: the module, as compiled and fed, or what follows its frozen trunk
    loss: Any
    optimizer: torch.optim.Optimizer
    schedule: Any
    scaler: Any
    seed: int
    n_components: int = 0
    history: list = field(default_factory=list)
    best: dict | None = None  # epoch, score and weights of the module
    average: Any = None  # moving average of the weights
    rows: RowSteps | None = None  # moves the proxies that a batch sees; None: the optimizer moves all
    untrained: dict = field(default_factory=dict)  # scores before the first epoch
    stopped: bool = False  # by a callback, by an interrupt or by divergence

    @property
    def epoch(self):
        """Number of epochs done, over all fits."""
        return self.history[-1]["epoch"] if self.history else 0

    @property
    def kept(self):
        """The network that is scored and kept: the one that is trained, or its average."""
        return self.module if self.average is None else self.average.module

    def parts(self):
        """Everything with a state."""
        parts = {"module": self.module, "optimizer": self.optimizer, "schedule": self.schedule}
        parts |= {"scaler": self.scaler} | ({"loss": self.loss} if is_module(self.loss) else {})
        return parts | ({} if self.average is None else {"average": self.average})

    def state(self) -> dict[str, Any]:
        """State of every part, which changes as training goes on."""
        if self.rows is not None:
            self.rows.settle()
        return {name: part.state_dict() for name, part in self.parts().items()}

    def snapshot(self) -> dict[str, Any]:
        """Copy of the state of every part."""
        return copy.deepcopy(self.state())

    def restore(self, snapshot):
        """Go back to a snapshot."""
        for name, part in self.parts().items():
            part.load_state_dict(snapshot[name])
        if self.rows is not None:
            self.rows.forget()


def train(training, plan, validate, tasks):
    """Train until `plan` or somebody says that it is enough.

    Parameters
    ----------
    training : Training
        Changed in place; its module ends with the weights of the best epoch if there is a validation score,
        else with the last ones.
    plan : Plan
        Data and settings.
    validate : callable
        ``validate(module) -> dict`` of scores, the first of which says what is best; empty without them.
    tasks : object
        ``begin()`` and ``end() -> stop`` are called around each epoch.

    Returns
    -------
    dict
        Snapshot of the state to go on from.
    """
    plan = plan._replace(**_on_device(plan))
    begins_at, folder = training.epoch, plan.checkpoint
    has_ended = folder is not None and folder.resume(training)
    n_left = 0 if has_ended else plan.n_epochs - (training.epoch - begins_at)
    good, interrupted = training.snapshot(), False
    try:
        if plan.scores_untrained and training.epoch == 0:
            training.untrained = validate(training.kept)
            _keep_best(training, training.untrained)
        for left in range(n_left, 0, -1):
            tasks.begin()
            row = run_epoch(training, plan)
            if not (math.isfinite(row["loss"]) and _is_sound(training, plan)):
                training.restore(good)
                training.stopped = True
                _warn_of_divergence(row["epoch"])
                tasks.end()
                _keep_in(folder, training, good, ended=True)
                break
            scores = validate(training.kept)
            training.schedule.end_epoch(row | scores)
            good = training.snapshot()
            training.history.append(row | scores)
            _keep_best(training, scores)
            training.stopped = plan.group.on_first(tasks.end)
            ends = training.stopped or _waited_enough(training, plan.patience)
            _keep_in(folder, training, good, ended=ends or left == 1)
            if ends:
                break
    except KeyboardInterrupt as error:
        if plan.group.size > 1 or goes_through(error):  # processes would end at different batches
            raise
        interrupted = training.stopped = True
        _settle(training, plan, good)
        _warn_of_interrupt(training)
    finally:
        plan.samples.close()
    last = training.snapshot() if interrupted else good
    if training.best is not None:
        training.module.load_state_dict(training.best["module"])
    elif training.average is not None:
        training.module.load_state_dict(training.average.module.state_dict())
    training.module.eval()  # whoever calls the module itself next, uses it
    return last


def run_epoch(training, plan):
    """Forward, loss, backward, step, for each batch of an epoch; the row of the history that comes of it."""
    start, number = time.perf_counter(), training.epoch + 1
    so_far, folder = EpochSoFar(plan.device), plan.checkpoint
    training.module.train()
    plan.batches.set_epoch(training.epoch)
    group, batches = plan.group, list(plan.batches)
    divergence = Divergence(plan.device)
    seed = seed_of(training.seed, number, *([group.rank] if group.rank else []))
    shares = [group.share(rows) for rows in batches]
    with seeded(seed) as turn, held_still(plan.thawing, number), without_waiting() as epoch:
        if folder is not None:
            folder.resume_epoch(training, so_far, number)
        first = so_far.n_batches
        descent = Descent(training, plan, len(batches), first)
        served = plan.samples.served(shares[first:], seed, first)
        for batch, (rows, samples) in zip(batches[first:], served, strict=True):
            samples, labels = _batch(plan, rows, samples)
            epoch.begin_batch(None if group.size > 1 else labels_of(plan.codes_on_host, rows, len(labels)))
            value, embeddings, labels = descent.take(samples, labels, len(batch))
            so_far.add(value, embeddings, labels, getattr(training.loss, "active_share_", None))
            if so_far.n_batches % _LOOK_EVERY == 0 and not group.all(divergence.looks_sound(so_far.total)):
                break
            turn.pause()
            if folder is not None and folder.is_due(descent):
                folder.save_epoch(training, so_far, number)
    total, n_done = so_far.total, so_far.n_batches
    group.average([total])  # which a loss that draws its own random numbers makes differ
    group.even_out(training.module)
    if training.average is not None:
        group.even_out(training.average.module)
    row = {"epoch": number, "loss": (total / n_done).item(), "active_share": so_far.active_share}
    return row | plan.statistics(so_far.recent) | {"seconds": time.perf_counter() - start}


# Batches


def _batch(plan, rows, samples):
    samples = to_float(to_device(samples, plan.device, non_blocking=True))
    codes = plan.codes[rows.to(plan.device, non_blocking=True)]
    return (samples, codes) if plan.augment is None else _augmented(plan.augment, samples, codes)


def _augmented(augment, samples, codes):
    """A batch and its classes after augmentation, which may give several views of it, one after the other."""
    views = augment(samples)
    if not isinstance(samples, torch.Tensor):  # nested: the network tells how many there are
        return views, codes
    if len(views) == 0 or len(views) % len(samples):
        raise ValueError(
            f"augment made {len(views)} samples of a batch of {len(samples)}: it must keep their number, or "
            "give whole views of the batch one after the other"
        )
    return views, codes.repeat(len(views) // len(samples))


def _on_device(plan):
    """Labels, and samples that fit, go to the device once."""
    codes = plan.codes.to(plan.device)
    return {"samples": plan.samples.to(plan.device), "codes": codes, "codes_on_host": plan.codes.to("cpu")}


# After an epoch


def _is_sound(training, plan):
    """Whether the network as it is now gives numbers: the loss of the last step came before that step."""
    with evaluating(training.module), torch.no_grad():
        probed = plan.samples.rows(range(min(_PROBED, len(plan.samples))))
        embeddings = training.run(to_float(to_device(probed, plan.device)))
    kept = [embeddings, *trainable(training.loss)]
    return plan.group.all(all(bool(torch.isfinite(tensor).all()) for tensor in kept))


def _keep_in(folder, training, good, *, ended):
    """Write a checkpoint, if that is asked."""
    if folder is not None:
        folder.save(training, good, ended=bool(ended))


def _warn_of_divergence(number):
    kept = "the untrained network" if number == 1 else f"the state after epoch {number - 1}"
    warn(
        f"training diverged: NaN or infinity in epoch {number}. Training stopped and {kept} was kept. Try a "
        "lower learning_rate, clip_norm=1.0, scaled features, or precision='fp32'",
        DivergenceWarning,
    )


def _warn_of_interrupt(training: Training) -> None:
    n_done = training.epoch
    kept = (
        "as it stands"
        if training.best is None
        else f"with the weights of epoch {training.best['epoch']}, the best"
    )
    warn(
        f"Training interrupted in epoch {n_done + 1}: the network is usable {kept}, after "
        f"{n_done} whole epoch{'' if n_done == 1 else 's'}. `fit` returns, and what called it goes on, such "
        "as a loop or a grid search: press Ctrl-C once more within 10 seconds to stop that too"
    )


def _settle(training, plan, good):
    """After an interrupt: weights as they stand, unless a step was leading nowhere."""
    if not _is_sound(training, plan):
        training.restore(good)


def _keep_best(training, scores):
    if not scores:
        return
    score = next(iter(scores.values()))
    if training.best is None or score > training.best["score"] or math.isnan(training.best["score"]):
        weights = copy.deepcopy(training.kept.state_dict())
        training.best = {"epoch": training.epoch, "score": score, "module": weights}


def _waited_enough(training, patience):
    if patience is None or training.best is None:
        return False
    return training.epoch - training.best["epoch"] >= patience
