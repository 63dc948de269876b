"""Training on class labels: batches of some classes, and retrieval scores of classes held out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray
from torch import nn

from skmetric._checks import join_labels, read_labels
from skmetric._input._weights import read_weights_of
from skmetric._sklearn import BaseEstimator
from skmetric._torch import seeded
from skmetric.deep._ball import ball_of, distances_on, rankings_on
from skmetric.deep._data._held_out import AUTO
from skmetric.deep._data._labelled import Data, after_known, prepare, prepare_label_free, read_labelled
from skmetric.deep._data._stream import (
    Labels,
    StreamBatches,
    StreamData,
    is_stream,
    length_of_epoch,
    read_stream,
)
from skmetric.deep._recipe._defaults import resolve_parameters, retrains
from skmetric.deep._training._batches import make_batches
from skmetric.deep._training._loss._criterion import (
    bind,
    is_pairwise,
    knows_classes,
    refuse_own_relevance,
    resolve_loss,
)
from skmetric.deep._training._loss._diagnosis import batch_statistics
from skmetric.deep.augment._two_views import TwoViews
from skmetric.metrics import RetrievalScorer
from skmetric.retrieval import Ranking, iter_rankings

if TYPE_CHECKING:
    from skmetric.deep._learner import DeepMetricLearner
    from skmetric.deep._training._session import Call, Session

_PROBE_WIDTH = 512  # of embeddings, for a look at what a loss owns before the network's width is known


class LabelTask:
    """Samples and their labels, as given to a call.

    Parameters
    ----------
    estimator : DeepMetricLearner
        Its parameters are read, and its fitted state if the call goes on.
    X, y : array-like
        As given.
    classes : array-like, default=None
        All labels to come, for a loss with proxies.
    sample_weight : array-like, default=None
        How often samples are drawn.
    call : Call
        What is asked.
    """

    scores_untrained = True
    _everything: Callable[[], Data] | None = None

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
        self.estimator, self.X, self.y, self.classes = estimator, X, y, classes
        self.sample_weight = sample_weight
        self.settings = resolve_parameters(estimator, X, goes_on=call.goes_on, single=call.single)
        self.retrains = retrains(estimator) and not (call.goes_on or call.single)
        self.score = make_scorer(estimator.scoring)

    def make_loss(self) -> Any:
        """The loss that the parameters ask for."""
        loss = resolve_loss(self.settings.loss, self.estimator.margin, self.estimator.distance)
        refuse_own_relevance(loss)
        return loss

    def bound_before(self, loss: Any) -> Any:
        """The loss of the last call, with what it learned."""
        return self.estimator.loss_

    def read(
        self, call: Call, seed: int, loss: Any, augment: Any, *, loss_goes_on: bool
    ) -> Data | StreamData:
        """Check samples and labels, and divide them."""
        estimator, self.adds = self.estimator, call.goes_on and call.single
        label_free = self.label_free = isinstance(augment, TwoViews)
        if is_stream(self.X):
            return self._read_stream(call, seed, loss, loss_goes_on=loss_goes_on)
        samples, y = read_labelled(estimator, self.X, self.y, reset=not call.goes_on, label_free=label_free)
        if y is not None:
            self._with_earlier(y)  # which refuses labels of another type
        weights = read_weights_of(self.sample_weight, len(samples), "samples")
        if weights is not None and not weights.all():
            kept = np.flatnonzero(weights)
            samples, y, weights = samples[kept], y if y is None else y[kept], weights[kept]
        width = estimator.n_components or _PROBE_WIDTH
        fraction = estimator.validation_fraction
        if fraction == AUTO and (estimator.warm_start or label_free):
            fraction = None
        how: dict[str, Any] = {
            "fraction": 0.0 if call.single else fraction,
            "early_stopping": estimator.early_stopping and not call.single,
            "seed": seed,
            "weights": weights,
        }
        if label_free:
            if knows_classes(loss, width):
                raise ValueError(
                    f"augment='two_views' trains without classes, and the loss {type(loss).__name__} learns "
                    "something of each class: take 'sim_clr', 'vicreg', 'barlow_twins' or another loss of "
                    "pairs"
                )
            return prepare_label_free(samples, y, **how)
        with seeded(seed):
            pairwise = is_pairwise(bind(loss, width, n_classes=2))
        classes = self._labels_by_code(y, pairwise, loss_goes_on)
        data = prepare(samples, y, classes=classes, pairwise=pairwise, **how)
        if self.retrains and len(data.held_out):
            how = {"classes": classes, "pairwise": pairwise, "weights": weights}
            self._everything = partial(prepare, samples, y, quiet=True, **how)
        return data

    def _read_stream(self, call: Call, seed: int, loss: Any, *, loss_goes_on: bool) -> StreamData:
        """Look at the first items of a stream; nothing of it is held out."""
        estimator = self.estimator
        self._refuse_for_streams(call)
        with seeded(seed):
            pairwise = is_pairwise(bind(loss, estimator.n_components or _PROBE_WIDTH, n_classes=2))
        if not pairwise and self.classes is None and not loss_goes_on:
            raise ValueError(
                f"the loss {type(loss).__name__} learns something of each class, and a stream does not "
                "tell its classes before: use a loss of pairs, or partial_fit with classes="
            )
        known = self._labels_by_code(np.zeros(0, dtype=int), pairwise, loss_goes_on)
        labels = None if self.label_free else Labels(known, is_open=pairwise)
        stream = read_stream(estimator, self.X, labels, self._size_of_batch(), reset=not call.goes_on)
        nothing = np.zeros(0, dtype=int)
        return StreamData(stream, labels, nothing, nothing)

    def _refuse_for_streams(self, call: Call) -> None:
        """Refuse what needs all samples, or samples again."""
        estimator, name = self.estimator, type(self.X).__name__
        if estimator.distributed is not None:
            raise ValueError(
                f"distributed is given, and X is {name}, a stream, which each process would read as a whole: "
                "use distributed=None"
            )
        if self.sample_weight is not None:
            raise ValueError(
                f"sample_weight is given, and X is {name}, a stream, whose items are served as they come: "
                "let the stream repeat items"
            )
        if self.y is not None:
            raise ValueError(f"y is given, and X is {name}, a stream, whose items carry labels: leave y out")
        if estimator.early_stopping or estimator.validation_fraction not in (AUTO, None, 0):
            raise ValueError(
                f"X is {name}, a stream, of which no classes are held out: use validation_fraction=None and "
                "early_stopping=False, and score on other samples"
            )
        if estimator.checkpoint is not None and not call.single:
            raise ValueError(
                f"checkpoint is given, and X is {name}, a stream, which does not go back to where it was: "
                "use checkpoint=None"
            )
        if estimator.head is not None or self.settings.fine_tuning.proxies == "class_means":
            raise ValueError(
                f"X is {name}, a stream, whose samples come once: use head=None and proxies='random'"
            )

    def _size_of_batch(self) -> int:
        """Items of a batch of a stream."""
        n_classes, n_each = self.estimator.classes_per_batch, self.estimator.samples_per_class
        default, size = self.settings.default_batch
        if self.label_free:
            return n_classes or size
        if n_classes is None and n_each is None:
            return size
        return (n_classes or default) * (n_each or size // default)

    def rows_to_start_from(self, data: Data) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """Rows that are trained on, if their closed form is where the network starts."""
        if self.settings.init != "closed_form":
            return None
        return cast("NDArray[Any]", data.samples), data.codes

    def undivided(self, data: Data) -> Data | None:
        """All samples to train on, if classes were held out and the network will be trained again."""
        return None if self._everything is None else self._everything()

    def _labels_by_code(self, y: NDArray[Any], pairwise: bool, loss_goes_on: bool) -> NDArray[Any] | None:
        """Labels in the order of the proxies, or of what the loss remembers; None: by the training data."""
        if loss_goes_on:
            known = self.estimator._trained
            return known if not pairwise else after_known(known, y) if len(known) else None
        if pairwise or self.classes is None:
            return None
        classes = read_labels(self.classes, "classes")
        return np.unique(join_labels(classes, y) if len(y) else classes)

    def _with_earlier(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Labels of this call, in `partial_fit` also those of earlier calls."""
        earlier = self.estimator.classes_ if self.adds else labels[:0]
        if not len(earlier) or not len(labels):
            return labels if len(labels) else earlier
        return np.unique(join_labels(earlier, labels, "y and the labels of earlier calls"))

    def same_codes(self, data: Data | StreamData) -> bool:
        """Whether codes are of classes, in this call and in the last one; else they number samples."""
        return not self.label_free and len(self.estimator._trained) > 0

    def n_classes(self, data: Data) -> int:
        """Number of classes trained on, or to come; a stream has not told all."""
        return max(2, len(data.trained)) if isinstance(data, StreamData) else len(data.trained)

    def batches(self, data: Data | StreamData, seed: int) -> tuple[Any, int]:
        """Batches that hold some samples of some classes."""
        estimator = self.estimator
        if isinstance(data, StreamData):
            size = self._size_of_batch()
            batches = StreamBatches(length_of_epoch(self.X, estimator.steps_per_epoch, size), size)
            return batches, len(batches)
        asked = (estimator.classes_per_batch, estimator.samples_per_class, estimator.steps_per_epoch)
        how: dict[str, Any] = {"label_free": self.label_free, "weights": data.weights}
        how |= {"default": self.settings.default_batch, "fewest_steps": self.settings.fewest_steps}
        return make_batches(data.codes, *asked, seed, **how)

    def same_held_out(self, data: Data) -> bool:
        """Whether the classes held out are those of the last call."""
        return np.array_equal(np.unique(data.held_out_labels), self.estimator.validation_classes_)

    def statistics(self, module: nn.Module) -> Callable:
        """Mean distances of positives and negatives, on the ball where embeddings lie in one."""
        return partial(batch_statistics, distances=distances_on(ball_of(module)))

    def scores(self, data: Data, embedding: Callable, module: nn.Module) -> dict[str, float]:
        """Retrieval scores of the classes held out."""
        embedder = Embedder(partial(embedding, module), rankings_on(ball_of(module)))
        return self.score(embedder, data.held_out, data.held_out_labels)

    def state(self, session: Session) -> dict[str, Any]:
        """Labels that were seen, held out, and trained on."""
        data = session.data
        return {
            "classes_": self._with_earlier(data.classes),
            "validation_classes_": np.unique(data.held_out_labels),
            "_trained": data.trained[:0] if self.label_free else data.trained,
        }


# Validation


def make_scorer(scoring: Any, relevance: Any = None) -> Callable[..., dict[str, float]]:
    """Scorer ``(estimator, X, y) -> dict`` from names of retrieval scores or from a scorer."""
    if callable(scoring):
        return partial(_as_dict, scoring, "score")
    names = [scoring] if isinstance(scoring, str) else list(scoring)
    return partial(_as_dict, RetrievalScorer(*names, relevance=relevance), names[0])


def _as_dict(scorer, name, estimator, X, y):
    scores = scorer(estimator, X, y)
    scores = scores if isinstance(scores, dict) else {name: scores}
    return {f"validation_{name}": float(score) for name, score in scores.items()}


class Embedder(BaseEstimator):
    """What a scorer sees while training goes on: a transformer around the network as it is now."""

    def __init__(self, embed: Callable, rankings: Callable = iter_rankings) -> None:
        self.embed = embed
        self.rankings = rankings

    def _iter_rankings(self, *sides: Any, **settings: Any) -> Iterator[tuple[NDArray[Any], Ranking]]:
        """How embeddings are ranked."""
        return self.rankings(*sides, **settings)

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Embeddings of samples."""
        return self.embed(X)
