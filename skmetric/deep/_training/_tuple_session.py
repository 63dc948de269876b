"""One call of `fit` on pairs or triplets: the same training as on labels, fed with tuples."""

from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from skmetric._torch import resolve_device, to_tensor
from skmetric.deep._data._source import as_source
from skmetric.deep._data._tuples import TupleBatches, Tuples, divide
from skmetric.deep.augment._two_views import TwoViews, resolve

from ._assembly import embed, go_on, start
from ._diagnosis import effective_rank
from ._loop import Plan, Training
from ._session import draw_seed, network_state
from ._tuple_loss import TupleLoss, make_tuple_loss


class TupleSession(NamedTuple):
    """Everything that `train` needs, and the tuples it came from."""

    training: Training
    plan: Plan
    validate: partial
    data: Tuples
    distances: partial  # from flat samples to the distances (n_tuples, n_members - 1) to the first member


def open_tuple_session(estimator, samples, similar, *, n_epochs, goes_on, single, fraction):
    """Set up the training of checked tuples.

    Parameters
    ----------
    estimator : SiameseLearner or TripletLearner
        Its parameters are read, and its fitted state if it goes on.
    samples : ndarray of n * n_members rows
        Flat.
    similar : ndarray of shape (n,), bool
        Of pairs; all False for triplets.
    n_epochs : int
        To train.
    goes_on : bool
        Whether to train further what the estimator holds.
    single : bool
        One epoch of `partial_fit`: no tuple is held out, the learning rate is constant.
    fraction : float
        Share of the tuples held out.

    Returns
    -------
    TupleSession
        Ready to train.
    """
    n_members, device = estimator._n_members, resolve_device(estimator.device)
    if device.type == "cuda":
        torch.cuda.init()  # so that `seeded` sees the generators that it has to leave as they are
    loss = make_tuple_loss(estimator.loss, estimator.margin, n_members)
    seed = estimator._seed if goes_on else draw_seed(estimator.random_state)
    data = divide(samples, similar, n_members, 0.0 if single else fraction, seed)
    batches = TupleBatches(len(data.codes) // n_members, n_members, estimator.batch_size, seed)
    schedule, n_steps = None if single else estimator.schedule, n_epochs * len(batches)
    if goes_on:
        training = go_on(estimator, device, n_steps, schedule=schedule, validated=len(data.held_out) > 0)
        training.loss = loss
    else:
        shape = tuple(samples.shape[1:])
        training = start(estimator, loss, shape, 2, seed, device, n_steps, schedule=schedule)
    plan = Plan(
        samples=as_source(data.samples),
        codes=to_tensor(data.codes),
        batches=batches,
        n_epochs=n_epochs,
        device=device,
        precision=estimator.precision,
        augment=_augmentation(estimator, samples.shape[1:]),
        clip_norm=estimator.clip_norm,
        patience=estimator.patience if estimator.early_stopping else None,
        statistics=partial(tuple_statistics, n_members),
    )
    distances = partial(_distances, n_members, device, estimator.precision)
    return TupleSession(training, plan, partial(_validate, data, distances), data, distances)


def _augmentation(estimator, input_shape):
    """What changes a batch of samples; each member of a tuple is changed for itself."""
    augment = resolve(estimator.augment)
    if isinstance(augment, TwoViews):
        raise ValueError("augment='two_views' is for training without labels: tuples say what goes together")
    if hasattr(augment, "check"):
        augment.check(input_shape)
    return augment


def tuple_state(session):
    """Attributes that make an estimator usable, from a session at any time."""
    state = network_state(session.training, tuple(session.data.samples.shape[1:]))
    loss = session.training.loss
    return state | {
        "loss_": loss.loss if isinstance(loss, TupleLoss) else loss,
        "validation_disjoint_": session.data.disjoint,
    }


def tuple_statistics(n_members, batches):
    """Statistics of an epoch's last batches, of the pairs that were given."""
    near, far = [], []
    for embeddings, labels in batches:
        members = embeddings.unflatten(0, (-1, n_members))
        distances = (members[:, :1] - members[:, 1:]).norm(dim=2)  # (n_tuples, n_members - 1)
        similar = labels[::n_members] == 1
        near.append(distances[similar, 0] if n_members == 2 else distances[:, 0])
        far.append(distances[~similar, 0] if n_members == 2 else distances[:, 1])
    embeddings = torch.cat([embeddings for embeddings, _ in batches])
    return {
        "mean_positive_distance": torch.cat(near).mean().item(),
        "mean_negative_distance": torch.cat(far).mean().item(),
        "mean_norm": embeddings.norm(dim=1).mean().item(),
        "effective_rank": effective_rank(embeddings),
    }


def similarity_score(distances, similar):
    """Area under the ROC curve of pairs by distance, (n, 1); or share of triplets in order, (n, 2)."""
    if distances.shape[1] == 1:
        return float(roc_auc_score(similar, -distances[:, 0]))
    return float(np.mean(distances[:, 0] < distances[:, 1]))


def _distances(n_members, device, precision, module, samples):
    embeddings = embed(module, samples, device, precision).astype(float)
    members = embeddings.reshape(-1, n_members, embeddings.shape[1])
    return np.linalg.norm(members[:, :1] - members[:, 1:], axis=2)


def _validate(data, distances, module):
    if len(data.held_out) == 0:
        return {}
    name = "validation_auc" if len(data.held_out) == 2 * len(data.held_out_codes) else "validation_accuracy"
    return {name: similarity_score(distances(module, data.held_out), data.held_out_codes)}
