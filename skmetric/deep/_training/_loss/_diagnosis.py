"""What an epoch's embeddings tell, and the warnings that follow from it."""

import math

import torch

from skmetric._warning import warn
from skmetric.exceptions import CollapseWarning, StuckLossWarning

_NEAR = 0.01  # mean distance between classes, as a share of the mean length, that counts as one point
_AT_MARGIN = 0.02  # how near the margin, as a share of it, a loss that learns nothing stays
_ALL = 0.9  # share of active tuples below which a loss at the margin is there by chance
_STILL = 1e-4  # relative movement of a loss that does not move
_EPOCHS = 3  # for which it does not


def batch_statistics(batches, distances=torch.cdist, same=None):
    """Mean distances and effective rank of some batches.

    Parameters
    ----------
    batches : list of (embeddings, labels)
        Tensors of shape (n_batch, n_components) and (n_batch,).
    distances : callable, default=torch.cdist
        Of two such Tensors.
    same : callable, default=None
        From labels to which pairs are positive, (n_batch, n_batch); None: those with equal labels.

    Returns
    -------
    dict of str to float
        ``mean_positive_distance`` and ``mean_negative_distance`` over the pairs inside batches (NaN without
        such pairs), ``mean_norm``, and ``effective_rank`` of the centred embeddings: the exponential of the
        entropy of their singular values [1]_, from 1 to n_components, 0 where all embeddings are equal.

    References
    ----------
    .. [1] O. Roy, M. Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO 2007.
    """
    means = torch.stack(
        [_pair_means(distances, embeddings.float(), labels, same) for embeddings, labels in batches]
    )
    positive, negative = means.nanmean(dim=0).tolist()
    embeddings = torch.cat([embeddings.float() for embeddings, _ in batches])  # (n, n_components)
    return {
        "mean_positive_distance": positive,
        "mean_negative_distance": negative,
        "mean_norm": embeddings.norm(dim=1).mean().item(),
        "effective_rank": effective_rank(embeddings),
    }


def effective_rank(embeddings):
    """Exponential of the entropy of the singular values of centred embeddings; NaN if they are not finite."""
    if not torch.isfinite(embeddings).all():
        return math.nan
    centred = embeddings.cpu().double()  # whose squares lose nothing that float32 holds
    centred = centred - centred.mean(dim=0)
    if len(centred) > centred.shape[1]:
        centred = centred.T
    # eigenvalues of the shorter side: singular values would take longer
    squares = torch.linalg.eigvalsh(centred @ centred.T)
    values = squares.clamp(min=0).sqrt()
    total = values.sum()
    if total <= embeddings.norm() * torch.finfo(torch.float32).eps:
        return 0.0
    return torch.special.entr(values / total).sum().exp().item()


def _pair_means(distances_of, embeddings, labels, same_of):
    """Mean distance of positive and of negative pairs in a batch: (2,), NaN where there is none."""
    distances = distances_of(embeddings, embeddings)  # (n_batch, n_batch)
    same = labels[:, None] == labels if same_of is None else same_of(labels)
    positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    return torch.stack([(distances * kept).sum() / kept.sum() for kept in (positive, ~same)])


def warn_of_failure(history, margin=None):
    """Warn by name if training ended in one point or never got going.

    Parameters
    ----------
    history : list of dict
        Rows of this run, one an epoch.
    margin : float, default=None
        Of the loss, if it has one.
    """
    if not history:
        return
    collapsed = is_collapsed(history[-1])
    if collapsed:
        warn(
            f"the embeddings collapsed: after epoch {history[-1]['epoch']} samples of different classes are "
            f"{history[-1]['mean_negative_distance']:.2g} apart on average, at a mean length of "
            f"{history[-1]['mean_norm']:.2g}. Try a lower learning_rate, a loss that does not mine the "
            "hardest negatives, more samples_per_class, or scaled features",
            CollapseWarning,
        )
    elif is_stuck(history, margin):
        warn(
            f"the loss does not move: {history[0]['loss']:.4g} in epoch {history[0]['epoch']}, "
            f"{history[-1]['loss']:.4g} in epoch {history[-1]['epoch']}{_beside(margin)}. Try another "
            "learning_rate, a smaller margin, easier triplets, or scaled features",
            StuckLossWarning,
        )


def is_collapsed(row):
    """Whether samples of different classes lie in one point, to a hundredth of their length."""
    return row["mean_negative_distance"] <= _NEAR * row["mean_norm"]  # False for NaN


def is_stuck(history, margin=None):
    """Whether the last epochs all stood at the margin, or did not move at all, and not at zero.

    At the margin a loss is stuck if all tuples cost about that much: the mean over the active ones alone lies
    there often enough while training goes well. A loss that does not tell its share is judged by its value.
    """
    last = history[-_EPOCHS:]
    losses = [row["loss"] for row in last]
    if len(losses) < _EPOCHS or max(map(abs, losses)) == 0:
        return False
    few = any(row.get("active_share", math.nan) < _ALL for row in last)  # False for NaN
    if margin and not few and all(abs(loss - margin) <= _AT_MARGIN * abs(margin) for loss in losses):
        return True
    return max(losses) - min(losses) <= _STILL * max(map(abs, losses))


def _beside(margin):
    return "" if margin is None else f", with a margin of {margin:g}"
