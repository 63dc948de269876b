"""A loss of pairs or triplets that are given, not found in a batch by labels."""

import copy

import torch
from torch import nn

from skmetric._params import check_params
from skmetric.deep._data._tuples import ABSENT
from skmetric.deep.losses._base import full_precision, widen
from skmetric.deep.losses._named_distances import distances_in_tuples, similarities_in_tuples
from skmetric.deep.losses._pair import DistancePairLoss, SimilarityPairLoss

from ._criterion import refuse_own_relevance, resolve_loss

_PROBES = (0.05, 0.5, 0.95)  # distances and cosines at which a loss shows whether it learns at all


class TupleLoss:
    """A pair loss of rows that lie tuple by tuple: what the training loop calls.

    Parameters
    ----------
    loss : PairLoss
        Of distances or of similarities.
    n_members : int
        Rows of a tuple: 2 are a pair; 3 or more are an anchor, a positive and negatives.
    """

    def __init__(self, loss, n_members):
        self.loss, self.n_members = loss, n_members

    @property
    def margin(self):
        """That of the loss, or None."""
        return getattr(self.loss, "margin", None)

    @property
    def active_share_(self):
        """Share of active tuples in the last call, where the loss tells it."""
        return getattr(self.loss, "active_share_", None)

    def __call__(self, embeddings, labels):
        """Value for embeddings (n_tuples * n_members, n_components) and labels: of pairs 1 if similar.

        The label of a negative that a tuple does not have is ABSENT.
        """
        members = widen(embeddings).unflatten(0, (-1, self.n_members))  # (n_tuples, n_members, n_components)
        with full_precision(members):
            if self.n_members == 2:
                matrix = self._compare(members[:, :1], members[:, 1:])  # (n_tuples, 1)
                similar = labels[:: self.n_members, None] == 1
                return self.loss._of_pairs(matrix, similar, ~similar)
            matrix = self._compare(members[:, :1], members[:, 1:])  # (n_tuples, 1 + n_negatives)
            if self.swap:
                crossed = self._compare(members[:, 1:2], members[:, 2:])  # (n_tuples, n_negatives)
                matrix = torch.cat([matrix[:, :1], torch.minimum(matrix[:, 1:], crossed)], dim=1)
            near = torch.zeros(matrix.shape, dtype=torch.bool, device=matrix.device)
            near[:, 0] = True
            present = labels.unflatten(0, (-1, self.n_members))[:, 1:] != ABSENT
            plain = self._plain()
            value = plain._of_pairs(matrix, near, ~near & present)
            self.loss.active_share_ = plain.active_share_
            return value

    @property
    def swap(self):
        """Whether the negative is compared with the positive too."""
        return bool(getattr(self.loss, "swap", False))

    def _plain(self):
        """The loss; without its own swap, which wants a square matrix."""
        return copy.copy(self.loss).set_params(swap=False) if self.swap else self.loss

    def _compare(self, a, b):
        """Distances or similarities of one member with others of its tuple: (n_tuples, n_others)."""
        compare = similarities_in_tuples if isinstance(self.loss, SimilarityPairLoss) else distances_in_tuples
        return compare(self.loss.distance, a, b)


def make_tuple_loss(loss, margin, n_members):
    """Loss of tuples from the parameters of an estimator.

    Parameters
    ----------
    loss : str or PairLoss
        Of :mod:`skmetric.deep.losses`.
    margin : float or None
        None leaves the loss its own.
    n_members : {2, 3}
        Rows of a tuple.

    Returns
    -------
    TupleLoss
        The loss, with the margin given.

    Raises
    ------
    ValueError
        If the loss does not compare pairs one by one, and so learns nothing from such tuples.
    """
    resolved = resolve_loss(loss, margin)
    kind = {2: "pairs", 3: "triplets"}[n_members]
    named = repr(loss) if isinstance(loss, str) else type(loss).__name__
    if not isinstance(resolved, DistancePairLoss | SimilarityPairLoss):
        raise ValueError(
            f"loss={named} is no loss of {kind} that are given: use 'contrastive', 'triplet' or another that "
            "compares pairs by a distance or a cosine"
        )
    refuse_own_relevance(resolved)
    if getattr(resolved, "miner", None) is not None:
        raise ValueError(f"loss={named} has a miner, and {kind} that are given leave nothing to mine")
    if isinstance(resolved.distance, nn.Module) and any(True for _ in resolved.distance.parameters()):
        raise ValueError(
            f"loss={named} has a distance with weights, which learners of {kind} do not train: "
            "use a distance by name, or a function"
        )
    check_params(resolved)
    bound = TupleLoss(resolved, n_members)
    if not _learns(bound):
        raise ValueError(
            f"loss={named} compares a pair with others of its batch and learns nothing from single {kind}: "
            f"use {'contrastive' if n_members == 2 else 'triplet'!r}"
        )
    return bound


def _learns(loss):
    """Whether a tuple by itself gives a gradient, for both kinds of pairs."""
    if loss.n_members == 2:
        near = torch.tensor([[True], [False]])
        return all(_has_gradient(loss, near[i : i + 1], n_columns=1) for i in range(2))
    return _has_gradient(loss, torch.tensor([[True, False]]), n_columns=2)


def _has_gradient(loss, near, n_columns):
    margins = [getattr(loss.loss, name, None) or 0.0 for name in ("margin", "positive_margin")]
    for probe in (*_PROBES, margins[0] / 2, margins[1] + 1.0):
        matrix = torch.full((1, n_columns), probe, requires_grad=True)
        value = loss._plain()._of_pairs(matrix, near, ~near)
        if value.requires_grad and torch.autograd.grad(value, matrix)[0].any():
            return True
    return False
