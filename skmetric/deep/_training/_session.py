"""One call of `fit`: data, network, loss, optimizer and plan, made from an estimator's parameters."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from sklearn.utils import check_random_state

from skmetric._checks import join_labels, read_labels
from skmetric._torch import resolve_device, seeded, to_tensor
from skmetric.deep._ball import ball_of, distances_on, rankings_on
from skmetric.deep._data._labelled import Data, prepare, prepare_label_free, read_labelled
from skmetric.deep._data._source import as_source, read_if_small
from skmetric.deep._network._compile import runner
from skmetric.deep._network._freeze import without_frozen
from skmetric.deep._network._layout import laid_out, takes_channels_last
from skmetric.deep.augment._two_views import TwoViews, resolve

from ._assembly import embed, go_on, start
from ._batches import make_batches
from ._criterion import bind, is_pairwise, knows_classes, resolve_loss
from ._diagnosis import batch_statistics
from ._loop import Plan, Training
from ._validation import Embedder, make_scorer

_PROBE_WIDTH = 512  # of embeddings, for a look at what a loss owns before the network's width is known


class Session(NamedTuple):
    """Everything that `train` needs, and the data it came from."""

    training: Training
    plan: Plan
    validate: Callable
    data: Data
    classes: np.ndarray  # all labels seen, those of earlier calls of `partial_fit` included


def open_session(estimator, X, y, *, n_epochs, goes_on=False, single=False, classes=None):
    """Check and read everything before any work starts.

    Parameters
    ----------
    estimator : DeepMetricLearner
        Its parameters are read, and its fitted state if it goes on.
    X, y : array-like
        As given to `fit`.
    n_epochs : int
        To train.
    goes_on : bool, default=False
        Whether to train further what the estimator holds.
    single : bool, default=False
        One epoch of `partial_fit`: no class is held out, the learning rate is constant.
    classes : array-like, default=None
        All labels to come, for a loss with proxies.

    Returns
    -------
    Session
        Ready to train.
    """
    if estimator.distance == "cosine" and not estimator.normalize:
        raise ValueError("distance='cosine' is that of the unit sphere, and normalize=False leaves it")
    device, score = resolve_device(estimator.device), make_scorer(estimator.scoring)
    if device.type == "cuda":
        torch.cuda.init()  # so that `seeded` sees the generators that it has to leave as they are
    seed = estimator._seed if goes_on else draw_seed(estimator.random_state)
    loss = resolve_loss(estimator.loss, estimator.margin, estimator.distance)
    augment = resolve(estimator.augment)
    label_free = isinstance(augment, TwoViews)
    data = _read(estimator, X, y, loss, seed, goes_on, single, classes, label_free)
    if hasattr(augment, "check"):
        augment.check(data.samples.shape[1:])
    batches, n_steps = make_batches(
        data.codes,
        estimator.classes_per_batch,
        estimator.samples_per_class,
        estimator.steps_per_epoch,
        seed,
        label_free=label_free,
    )
    schedule, n_all = None if single else estimator.schedule, n_epochs * n_steps
    if goes_on:
        training = go_on(estimator, device, n_all, schedule=schedule, validated=len(data.held_out) > 0)
    else:
        shape, n_classes = tuple(data.samples.shape[1:]), len(data.trained)
        training = start(estimator, loss, shape, n_classes, seed, device, n_all, schedule=schedule)
    samples, held_out = read_if_small(data.samples, data.held_out)  # last: nothing is refused from here on
    data, run = data._replace(samples=samples, held_out=held_out), training.module
    in_last = takes_channels_last(training.module, device)
    if estimator.augment is None and getattr(samples, "is_fixed", True):
        once = partial(embed, device=device, precision=estimator.precision, in_last=in_last)
        run, samples = without_frozen(run, samples, once)
    training.run = laid_out(runner(run, estimator.compile), in_last)
    ball = ball_of(training.module)
    plan = Plan(
        samples=as_source(samples),
        codes=to_tensor(data.codes),
        batches=batches,
        n_epochs=n_epochs,
        device=device,
        precision=estimator.precision,
        augment=augment,
        clip_norm=estimator.clip_norm,
        patience=estimator.patience if estimator.early_stopping else None,
        statistics=partial(batch_statistics, distances=distances_on(ball)),
    )
    embedding = partial(embed, device=device, precision=estimator.precision, compiled=estimator.compile)
    validate = partial(_validate, score, data, embedding)
    known = np.union1d(estimator.classes_, data.classes) if goes_on and single else data.classes
    return Session(training, plan, validate, data, known)


def draw_seed(random_state):
    """One number that all chance of an estimator comes from."""
    return int(check_random_state(random_state).randint(2**31 - 1))


def fitted_state(session):
    """Attributes that make an estimator usable, from a session at any time."""
    data = session.data
    return network_state(session.training, tuple(data.samples.shape[1:])) | {
        "classes_": session.classes,
        "validation_classes_": np.unique(data.held_out_labels),
        "_trained": data.trained,
    }


def network_state(training, input_shape):
    """The part of the fitted attributes that comes of training alone."""
    best = training.best or {"epoch": training.epoch}
    return {
        "module_": training.module,
        "loss_": training.loss,
        "history_": training.history,
        "best_epoch_": best["epoch"],
        "input_shape_": input_shape,
        "n_components_": training.n_components,
        "_seed": training.seed,
        "_checkpoint": None,
    }


def _read(estimator, X, y, loss, seed, goes_on, single, classes, label_free):
    """Check samples and labels, and divide them."""
    samples, y = read_labelled(estimator, X, y, reset=not goes_on, label_free=label_free)
    width = estimator.n_components or _PROBE_WIDTH
    how = {
        "fraction": 0.0 if single else estimator.validation_fraction,
        "early_stopping": estimator.early_stopping and not single,
        "seed": seed,
    }
    if label_free:
        if knows_classes(loss, width):
            raise ValueError(
                f"augment='two_views' trains without classes, and the loss {type(loss).__name__} learns "
                "something of each class: take 'sim_clr', 'vicreg', 'barlow_twins' or another loss of pairs"
            )
        return prepare_label_free(samples, y, **how)
    with seeded(seed):
        pairwise = is_pairwise(bind(loss, width, n_classes=2))
    classes = None if pairwise else _labels_of_proxies(estimator, y, classes, goes_on)
    return prepare(samples, y, classes=classes, pairwise=pairwise, **how)


def _labels_of_proxies(estimator, y, classes, goes_on):
    """Labels in the order of the proxies; None where those of the training data make them."""
    if goes_on:
        return estimator._trained
    return None if classes is None else np.unique(join_labels(read_labels(classes, "classes"), y))


def _validate(score, data, embedding, module):
    if len(data.held_out) == 0:
        return {}
    embedder = Embedder(partial(embedding, module), rankings_on(ball_of(module)))
    return score(embedder, data.held_out, data.held_out_labels)
