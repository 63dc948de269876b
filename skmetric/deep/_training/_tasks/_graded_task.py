"""Training on grades: several labels for each sample, a hierarchy, a matrix or a function of labels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from skmetric._checks import read_labels
from skmetric._input._relevance import Overlap, Relevance, name_of, read_relevance
from skmetric._input._several_labels import coarsest, finest, label_names
from skmetric._params import safe_indexing
from skmetric.deep._ball import ball_of, distances_on, rankings_on
from skmetric.deep._data._held_out import AUTO, split_classes
from skmetric.deep._data._labelled import Data, read_rows
from skmetric.deep._data._stream import is_stream
from skmetric.deep._recipe._defaults import Resolved, resolve_parameters, retrains
from skmetric.deep._training._batches import make_batches
from skmetric.deep._training._loss._criterion import innermost, refuse_own_relevance, resolve_loss
from skmetric.deep._training._loss._diagnosis import batch_statistics
from skmetric.deep.augment._two_views import TwoViews
from skmetric.deep.losses._graded import GradedPairLoss, attach

from ._label_task import Embedder, make_scorer

if TYPE_CHECKING:
    from skmetric.deep._estimator import NetworkMixin
    from skmetric.deep._learner import DeepMetricLearner
    from skmetric.deep._training._session import Call, Session

_HELD_OUT = 0.2  # share of the samples, where there are no classes to hold out


class GradedTask:
    """Samples and what says how much they belong together, as given to a call.

    In the loop a sample has its number as its label: the loss asks for the grades of numbers.

    Parameters
    ----------
    estimator : DeepMetricLearner
        Its parameters are read, and its fitted state if the call goes on.
    X, y : array-like
        As given.
    classes : array-like, default=None
        Refused: losses of grades have no proxies.
    sample_weight : array-like, default=None
        Refused: batches are drawn by labels that not every relevance has.
    call : Call
        What is asked.
    """

    scores_untrained = True
    _relevance: Relevance
    _drawn: NDArray[np.intp]  # what batches are drawn by, of each sample
    _alone = False  # whether that is the sample itself
    _everything: Data | None = None

    def __init__(
        self,
        estimator: DeepMetricLearner,
        X: Any,
        y: Any,
        classes: Any = None,
        sample_weight: Any = None,
        *,
        call: Call,
    ) -> None:
        self.estimator, self.X, self.y, self.call = estimator, X, y, call
        named = name_of(estimator.relevance)
        if classes is not None:
            raise ValueError(
                f"classes is for losses with proxies, and relevance={named} has none: leave it out"
            )
        if sample_weight is not None:
            raise ValueError(
                f"sample_weight says how often samples of a class are drawn, and relevance={named} has no "
                "classes to draw from: leave it out, or leave out the rows of weight 0 yourself"
            )
        if estimator.head is not None:
            raise ValueError(
                f"head={estimator.head!r} is fitted on classes: with relevance={named} use head=None"
            )
        self._nested = isinstance(estimator.relevance, str) and estimator.relevance == "hierarchy"
        if estimator.init == "closed_form" and not self._nested:
            raise ValueError(
                f"init='closed_form' is fitted on classes: with relevance={named} use init='random'"
            )
        read = estimator if self._nested else cast("NetworkMixin", Resolved(estimator, init="random"))
        self.settings = resolve_parameters(read, X, goes_on=call.goes_on, single=call.single)
        self.retrains = retrains(estimator) and not (call.goes_on or call.single)
        make_scorer(estimator.scoring)  # which refuses unknown names

    def make_loss(self) -> Any:
        """The loss that the parameters ask for; one that compares classes is refused by name."""
        asked, named = self.estimator.loss, name_of(self.estimator.relevance)
        is_open = isinstance(asked, str) and asked == "auto"
        loss = resolve_loss("sup_con" if is_open else asked, self.estimator.margin, self.estimator.distance)
        inner = innermost(loss)
        if not isinstance(inner, GradedPairLoss):
            name = asked if isinstance(asked, str) else getattr(asked, "__name__", type(inner).__name__)
            raise ValueError(
                f"loss={name} compares classes, and relevance={named} gives grades: use 'sup_con', "
                "'log_ratio' or 'cosine_regression'"
            )
        refuse_own_relevance(loss, self.estimator.relevance)
        return loss

    def bound_before(self, loss: Any) -> Any:
        """The loss of the last call, with what it learned."""
        return self.estimator.loss_

    def read(self, call: Call, seed: int, loss: Any, augment: Any, *, loss_goes_on: bool) -> Data:
        """Check samples and labels, and divide them."""
        if isinstance(augment, TwoViews):
            raise ValueError("augment='two_views' trains without labels: leave relevance='labels'")
        if is_stream(self.X):
            raise ValueError(
                f"relevance={name_of(self.estimator.relevance)} takes the labels of all samples before "
                f"training, and X is {type(self.X).__name__}, a stream, whose items tell them as they come: "
                "use relevance='labels', or a Dataset or array"
            )
        samples = read_rows(self.estimator, self.X, reset=not call.goes_on)
        relevance = read_relevance(self.estimator.relevance, self.y, n_queries=len(samples))
        assert relevance is not None
        self._relevance = relevance
        self._drawn, self._alone = self._draw_by(len(samples))
        rows, held_out = self._divide(len(samples), call, seed)
        if len(rows) < 2:
            raise ValueError(f"X has {len(rows)} sample to train on: at least two are needed")
        if self.retrains and len(held_out):
            everything = np.arange(len(samples))
            self._everything = self._data(samples, everything, everything[:0])
        return self._data(samples, rows, held_out)

    def _data(self, samples: Any, rows: NDArray[np.intp], held_out: NDArray[np.intp]) -> Data:
        part = slice(None) if len(rows) == len(samples) else rows
        held = samples[held_out], held_out
        return Data(samples[part], rows, self._drawn, self._labels(), *held, relevance=self._relevance)

    def _draw_by(self, n_samples: int) -> tuple[NDArray[np.intp], bool]:
        """What batches draw several samples of, and whether it is single samples.

        The finest level, or the rarest label of each sample; those without labels go together.
        """
        if self._nested:
            return np.unique(finest(self.y), return_inverse=True)[1], False
        if isinstance(self._relevance, Overlap):
            tags = self._relevance.queries
            counts = np.asarray(tags.sum(axis=0)).ravel()  # (n_labels,)
            ends, codes = tags.indptr, np.full(n_samples, tags.shape[1])
            for row in np.flatnonzero(np.diff(ends)):
                labels = tags.indices[ends[row] : ends[row + 1]]
                codes[row] = labels[counts[labels].argmin()]
            return np.unique(codes, return_inverse=True)[1], False
        labels = self._labels_if_any(n_samples)
        if labels is None:
            return np.arange(n_samples), True
        return np.unique(labels, return_inverse=True)[1], False

    def _labels_if_any(self, n_samples: int) -> NDArray[Any] | None:
        """One label for each sample, where there is one beside a matrix or for a function."""
        try:
            labels = None if self.y is None else read_labels(self.y)
        except ValueError:
            return None
        return labels if labels is not None and len(labels) == n_samples else None

    def _labels(self) -> NDArray[Any]:
        """All labels: of the finest level, of the sets, or the classes that there are."""
        if self._nested:
            return np.unique(finest(self.y))
        if isinstance(self._relevance, Overlap):
            return label_names(self.y)
        labels = self._labels_if_any(self._relevance.shape[0])
        return np.zeros(0, dtype=int) if labels is None else np.unique(labels)

    def _divide(self, n: int, call: Call, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows to train on and rows to score: of other classes of the coarsest level, or drawn at random."""
        fraction, stops = self.estimator.validation_fraction, self.estimator.early_stopping
        if call.single:
            return np.arange(n), np.arange(0)
        if fraction == AUTO and self.estimator.warm_start:
            fraction = None
        if self._nested:
            codes = np.unique(coarsest(self.y), return_inverse=True)[1]
            return split_classes(codes, fraction, stops, seed)
        if fraction is None or fraction == AUTO:
            fraction = _HELD_OUT if stops else 0.0
        if fraction == 0 and stops:
            raise ValueError("early_stopping=True needs samples to score on: validation_fraction is 0")
        order = np.random.default_rng(seed).permutation(n)
        n_held_out = 0 if fraction == 0 else max(2, round(float(cast("float", fraction)) * n))
        return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])

    def attach(self, loss: Any) -> None:
        """Tell the loss the grades of the samples, which have their numbers as labels."""
        attach(loss, self._grades)

    def _grades(self, rows: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self._relevance.grades(rows.cpu().numpy(), others.cpu().numpy()))

    def rows_to_start_from(self, data: Data) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """Rows whose closed form, of the finest level, is where the network starts."""
        if self.settings.init != "closed_form":
            return None
        return cast("NDArray[Any]", data.samples), self._drawn[data.codes]

    def undivided(self, data: Data) -> Data | None:
        """All samples to train on, if some were held out and the network will be trained again."""
        return self._everything

    def n_classes(self, data: Data) -> int:
        """Two, of which no loss of grades makes anything."""
        return 2

    def batches(self, data: Data, seed: int) -> tuple[Any, int]:
        """Batches that hold some samples of some labels, or of the finest level."""
        estimator, codes = self.estimator, self._drawn[data.codes]
        asked = (estimator.classes_per_batch, estimator.samples_per_class, estimator.steps_per_epoch)
        how = {"default": self.settings.default_batch, "fewest_steps": self.settings.fewest_steps}
        if self._alone and estimator.samples_per_class not in (None, 1):
            raise ValueError(
                f"samples_per_class={estimator.samples_per_class}, but no label for each sample "
                "to draw samples of: leave it None; classes_per_batch is the size of a batch"
            )
        return make_batches(codes, *asked, seed, label_free=self._alone, **how)

    def same_held_out(self, data: Data) -> bool:
        """No: which samples are held out is drawn anew."""
        return False

    def same_codes(self, data: Data) -> bool:
        """No: they number the samples of this call."""
        return False

    def statistics(self, module: nn.Module) -> Callable:
        """Mean distances of samples with a grade above 0 and of others."""
        distances = distances_on(ball_of(module))
        return partial(batch_statistics, distances=distances, same=self._is_relevant)

    def _is_relevant(self, labels: torch.Tensor) -> torch.Tensor:
        return (self._grades(labels, labels) > 0).to(labels.device)

    def scores(self, data: Data, embedding: Callable, module: nn.Module) -> dict[str, float]:
        """Retrieval scores of the samples held out, by grades."""
        embedder = Embedder(partial(embedding, module), rankings_on(ball_of(module)))
        scoring = self.estimator.scoring
        if callable(scoring):
            y = data.held_out_labels if self.y is None else safe_indexing(self.y, data.held_out_labels)
            return make_scorer(scoring)(embedder, data.held_out, y)
        scorer = make_scorer(scoring, relevance=self._relevance.grades)
        return scorer(embedder, data.held_out, data.held_out_labels)

    def state(self, session: Session) -> dict[str, Any]:
        """Labels that were seen, and those held out."""
        labels, held_out = session.data.classes, np.zeros(0, dtype=int)
        if self._nested and len(session.data.held_out_labels):
            held_out = np.unique(coarsest(self.y)[session.data.held_out_labels])
        return {"classes_": labels, "validation_classes_": held_out, "_trained": labels[:0]}
