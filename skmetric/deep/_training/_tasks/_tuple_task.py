"""Training on pairs or triplets that are given: each tuple once an epoch, and scores of tuples held out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import nn

from skmetric._input._tuples import KINDS
from skmetric._input._weights import check_both_kinds, read_weights_of
from skmetric.deep._data._division import Tuples, divide
from skmetric.deep._data._tuple_batches import TupleBatches
from skmetric.deep._data._tuples import ABSENT, read_tuples
from skmetric.deep._recipe._defaults import without_recipe
from skmetric.deep._training._loss._diagnosis import effective_rank
from skmetric.deep._training._loss._tuple_loss import TupleLoss, make_tuple_loss
from skmetric.deep.augment._two_views import TwoViews

if TYPE_CHECKING:
    from skmetric.deep._training._session import Call, Session
    from skmetric.deep._tuple_learner import TupleLearner

_HELD_OUT = 0.2  # share of the tuples, where nothing else is said


class TupleTask:
    """Tuples as given to a call.

    Parameters
    ----------
    estimator : SiameseLearner or TripletLearner
        Its parameters are read, and its fitted state if the call goes on.
    X, index, sample_weight : array-like
        As given: samples, or tuples if `index` is None.
    similar_of : callable
        From the number of tuples to which of them are similar, (n_tuples,) bool; for triplets all False.
    further_state : callable
        From a session to fitted attributes of this learner alone.
    call : Call
        What is asked.
    """

    scores_untrained = False

    def __init__(
        self,
        estimator: TupleLearner,
        X: Any,
        index: Any,
        sample_weight: Any,
        similar_of: Callable[[int], NDArray[np.bool_]],
        further_state: Callable[[Session], dict[str, Any]],
        *,
        call: Call,
    ) -> None:
        self.settings = without_recipe(estimator)
        self.estimator, self.X, self.index, self.sample_weight = estimator, X, index, sample_weight
        self.similar_of, self.further_state = similar_of, further_state
        self.n_members = estimator._n_members  # more with further negatives, once tuples are read

    def make_loss(self) -> TupleLoss:
        """The loss that the parameters ask for."""
        return make_tuple_loss(self.estimator.loss, self.estimator.margin, self.n_members)

    def bound_before(self, loss: TupleLoss) -> TupleLoss:
        """The loss itself: it learns nothing."""
        return loss

    def read(self, call: Call, seed: int, loss: Any, augment: Any, *, loss_goes_on: bool) -> Tuples:
        """Check tuples, and hold some out."""
        kind = self.estimator._n_members
        tuples = read_tuples(self.estimator, self.X, self.index, kind, reset=not call.goes_on, trains=True)
        n_tuples, self.n_members = tuples.present.shape
        loss.n_members = self.n_members
        similar = self.similar_of(n_tuples)
        weights = read_weights_of(self.sample_weight, n_tuples, KINDS[kind])
        if kind == 2:
            check_both_kinds(similar, weights)
        fraction = 0.0 if call.single else self._fraction()
        if isinstance(augment, TwoViews):
            raise ValueError(
                "augment='two_views' is for training without labels: tuples say what goes together"
            )
        return divide(tuples, similar, fraction, seed, weights)

    def _fraction(self) -> float:
        """Share of the tuples held out."""
        fraction, stops = self.estimator.validation_fraction, self.estimator.early_stopping
        if fraction == 0 and stops:
            raise ValueError("early_stopping=True needs tuples to score on: validation_fraction is 0")
        if not isinstance(fraction, float | int):
            return _HELD_OUT if stops or self.n_members == 2 else 0.0
        return fraction

    def n_classes(self, data: Tuples) -> int:
        """Similar and not."""
        return 2

    def batches(self, data: Tuples, seed: int) -> tuple[TupleBatches, int]:
        """Batches in which every tuple comes once an epoch, or as often as its weight says."""
        n_tuples, size = len(data.codes) // self.n_members, self.estimator.batch_size
        batches = TupleBatches(n_tuples, self.n_members, size, seed, data.weights)
        return batches, len(batches)

    def rows_to_start_from(self, data: Tuples) -> None:
        """None: the network starts at random."""

    def undivided(self, data: Tuples) -> None:
        """None: what was held out is not trained on."""

    def same_held_out(self, data: Tuples) -> bool:
        """Whether as many tuples are held out as in the last call."""
        return len(data.held_out_codes) // self.n_members == self.estimator._n_held_out

    def same_codes(self, data: Tuples) -> bool:
        """Yes: 1 for similar."""
        return True

    def statistics(self, module: nn.Module) -> Callable:
        """Mean distances of the tuples given."""
        return partial(tuple_statistics, self.n_members)

    def scores(self, data: Tuples, embedding: Callable, module: nn.Module) -> dict[str, float]:
        """Area under the ROC curve of pairs held out, or share of triplets in order."""
        name = "validation_auc" if self.n_members == 2 else "validation_accuracy"
        codes = data.held_out_codes.reshape(-1, self.n_members)
        distances = distances_of(embedding(module, data.held_out), codes != ABSENT)
        return {name: similarity_score(distances, codes[:, 0], data.held_out_weights)}

    def state(self, session: Session) -> dict[str, Any]:
        """The loss by itself, and how tuples were held out."""
        return {
            "loss_": session.training.loss.loss,
            "validation_disjoint_": session.data.disjoint,
            "_n_held_out": len(session.data.held_out_codes) // self.n_members,
        } | self.further_state(session)


def tuple_statistics(n_members: int, batches: list[tuple[torch.Tensor, torch.Tensor]]) -> dict[str, float]:
    """Statistics of an epoch's last batches, of the pairs that were given."""
    near, far = [], []
    for embeddings, labels in batches:
        members = embeddings.unflatten(0, (-1, n_members))
        distances = (members[:, :1] - members[:, 1:]).norm(dim=2)  # (n_tuples, n_members - 1)
        codes = labels.unflatten(0, (-1, n_members))
        similar = codes[:, 0] == 1
        near.append(distances[similar, 0] if n_members == 2 else distances[:, 0])
        far.append(distances[~similar, 0] if n_members == 2 else distances[:, 1:][codes[:, 2:] != ABSENT])
    embeddings = torch.cat([embeddings for embeddings, _ in batches])
    return {
        "mean_positive_distance": torch.cat(near).mean().item(),
        "mean_negative_distance": torch.cat(far).mean().item(),
        "mean_norm": embeddings.norm(dim=1).mean().item(),
        "effective_rank": effective_rank(embeddings),
    }


def distances_of(embeddings: NDArray[Any], present: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Distances (n_tuples, n_members - 1) from the first member to the others, of flat embeddings.

    Infinite to a negative that is not `present`, (n_tuples, n_members).
    """
    members = embeddings.astype(float).reshape(*present.shape, embeddings.shape[1])
    distances = np.linalg.norm(members[:, :1] - members[:, 1:], axis=2)
    return np.where(present[:, 1:], distances, np.inf)


def similarity_score(
    distances: NDArray[np.float64], similar: NDArray[Any] | None, weights: NDArray[np.float64] | None = None
) -> float:
    """Area under the ROC curve by distance, of pairs (n, 1); or share of triplets in order."""
    if distances.shape[1] == 1:
        return float(roc_auc_score(similar, -distances[:, 0], sample_weight=weights))
    return float(np.average(distances[:, 0] < distances[:, 1:].min(axis=1), weights=weights))
