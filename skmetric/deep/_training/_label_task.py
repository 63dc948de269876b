"""Training on class labels: batches of some classes, and retrieval scores of classes held out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray
from torch import nn

from skmetric._checks import join_labels, read_labels
from skmetric._sklearn import BaseEstimator
from skmetric._torch import seeded
from skmetric.deep._ball import ball_of, distances_on, rankings_on
from skmetric.deep._data._held_out import AUTO
from skmetric.deep._data._labelled import Data, prepare, prepare_label_free, read_labelled
from skmetric.deep._recipe._defaults import resolve_parameters, retrains
from skmetric.deep.augment._two_views import TwoViews
from skmetric.metrics import RetrievalScorer
from skmetric.retrieval import Ranking, iter_rankings

from ._batches import make_batches
from ._loss._criterion import bind, is_pairwise, knows_classes, resolve_loss
from ._loss._diagnosis import batch_statistics

if TYPE_CHECKING:
    from skmetric.deep._learner import DeepMetricLearner

    from ._session import Call, Session

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
    call : Call
        What is asked.
    """

    scores_untrained = True
    _everything: Callable[[], Data] | None = None

    def __init__(
        self, estimator: DeepMetricLearner, X: Any, y: Any, classes: Any = None, *, call: Call
    ) -> None:
        if estimator.distance == "cosine" and not estimator.normalize:
            raise ValueError("distance='cosine' is that of the unit sphere, and normalize=False leaves it")
        self.estimator, self.X, self.y, self.classes = estimator, X, y, classes
        self.settings = resolve_parameters(estimator, X, goes_on=call.goes_on, single=call.single)
        self.retrains = retrains(estimator) and not (call.goes_on or call.single)
        self.score = make_scorer(estimator.scoring)

    def make_loss(self) -> Any:
        """The loss that the parameters ask for."""
        return resolve_loss(self.settings.loss, self.estimator.margin, self.estimator.distance)

    def bound_before(self, loss: Any) -> Any:
        """The loss of the last call, with what it learned."""
        return self.estimator.loss_

    def read(self, call: Call, seed: int, loss: Any, augment: Any, *, loss_goes_on: bool) -> Data:
        """Check samples and labels, and divide them."""
        estimator, self.adds = self.estimator, call.goes_on and call.single
        label_free = self.label_free = isinstance(augment, TwoViews)
        samples, y = read_labelled(estimator, self.X, self.y, reset=not call.goes_on, label_free=label_free)
        width = estimator.n_components or _PROBE_WIDTH
        fraction = estimator.validation_fraction
        if fraction == AUTO and (estimator.warm_start or label_free):
            fraction = None
        how: dict[str, Any] = {
            "fraction": 0.0 if call.single else fraction,
            "early_stopping": estimator.early_stopping and not call.single,
            "seed": seed,
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
        classes = None if pairwise else self._labels_of_proxies(y, loss_goes_on)
        data = prepare(samples, y, classes=classes, pairwise=pairwise, **how)
        if self.retrains and len(data.held_out):
            self._everything = partial(prepare, samples, y, classes=classes, pairwise=pairwise, quiet=True)
        return data

    def rows_to_start_from(self, data: Data) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """Rows that are trained on, if their closed form is where the network starts."""
        if self.settings.init != "closed_form":
            return None
        return cast("NDArray[Any]", data.samples), data.codes

    def undivided(self, data: Data) -> Data | None:
        """All samples to train on, if classes were held out and the network is to be trained again."""
        return None if self._everything is None else self._everything()

    def _labels_of_proxies(self, y: NDArray[Any], loss_goes_on: bool) -> NDArray[Any] | None:
        """Labels in the order of the proxies; None where those of the training data make them."""
        if loss_goes_on:
            return self.estimator._trained
        if self.classes is None:
            return None
        return np.unique(join_labels(read_labels(self.classes, "classes"), y))

    def n_classes(self, data: Data) -> int:
        """Number of classes trained on, or to come."""
        return len(data.trained)

    def batches(self, data: Data, seed: int) -> tuple[Any, int]:
        """Batches that hold some samples of some classes."""
        estimator = self.estimator
        asked = (estimator.classes_per_batch, estimator.samples_per_class, estimator.steps_per_epoch)
        default = self.settings.default_batch
        return make_batches(data.codes, *asked, seed, label_free=self.label_free, default=default)

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
            "classes_": np.unique(join_labels(self.estimator.classes_, data.classes))
            if self.adds
            else data.classes,
            "validation_classes_": np.unique(data.held_out_labels),
            "_trained": data.trained,
        }


# Validation


def make_scorer(scoring: Any) -> Callable[..., dict[str, float]]:
    """Scorer ``(estimator, X, y) -> dict`` from names of retrieval scores or from a scorer."""
    if callable(scoring):
        return partial(_as_dict, scoring, "score")
    names = [scoring] if isinstance(scoring, str) else list(scoring)
    return partial(_as_dict, RetrievalScorer(*names), names[0])


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
