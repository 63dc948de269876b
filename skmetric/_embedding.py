"""The one door to an embedder: its steps, its embeddings and its distance, however it is wrapped.

An embedder is whatever maps samples to embeddings: a transformer, a Pipeline whose last step may predict, a
fitted search over one of these, a ``FrozenEstimator`` around one, a ``SimilaritySearch`` that has one, to any
depth. Learners are known by their methods: this file stands below their base classes.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.validation import check_is_fitted

from skmetric._checks import check_matrix
from skmetric.exceptions import NoEmbeddingError
from skmetric.retrieval import iter_rankings

__all__ = [
    "Distance",
    "check_embeds",
    "check_euclidean",
    "check_steps_fitted",
    "distance_of",
    "embed",
    "rankings_of",
    "steps_of",
]


@dataclass(frozen=True)
class Distance:
    """Distance between embeddings: its name, and the function of two arrays of rows, pair by pair."""

    name: str
    between: Callable[[NDArray, NDArray], NDArray]

    @property
    def is_euclidean(self) -> bool:
        return self.name == "euclidean"

    def __call__(self, first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
        return self.between(np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64))


def steps_of(estimator: Any) -> list:
    """Fitted transformers that make the embeddings, in the order in which they are applied.

    Wrappers are taken off, and steps that change nothing ("passthrough") or that predict are left out.

    Parameters
    ----------
    estimator : estimator
        An embedder.

    Returns
    -------
    list of transformer
        Empty if `estimator` has none.
    """
    inner = _unwrapped(estimator)
    if inner is not estimator:
        return steps_of(inner)
    if isinstance(estimator, Pipeline):
        return [part for _, step in estimator.steps for part in steps_of(step)]
    return [estimator] if not _is_passthrough(estimator) and hasattr(estimator, "transform") else []


def embed(estimator: Any, X: Any) -> NDArray[np.floating]:
    """Embeddings of samples.

    Parameters
    ----------
    estimator : estimator
        A fitted embedder.
    X : array-like of shape (n_samples, ...)
        Samples as `estimator` takes them.

    Returns
    -------
    ndarray of shape (n_samples, n_components)
        Finite, in float32 or float64.

    Raises
    ------
    NoEmbeddingError
        If nothing in `estimator` transforms.
    ValueError
        If there is not one finite embedding for each sample.
    """
    embeddings = X
    for transformer in check_embeds(estimator):
        embeddings = transformer.transform(embeddings)
    n_samples, n_given = _count(X), _count(embeddings)  # before the check, which refuses none at all
    if n_samples is not None and n_given is not None and n_samples != n_given:
        names = " -> ".join(type(step).__name__ for step in steps_of(estimator))
        raise ValueError(
            f"{names} gave {n_given} embeddings for {n_samples} samples: an embedder must give one "
            "for each sample, in their order, or labels and ids would go to the wrong samples. Leave out "
            "samples that it cannot embed before they get here, or let it raise an error that names them"
        )
    return check_matrix(embeddings, "embeddings")


def distance_of(estimator: Any) -> Distance:
    """Distance that an embedder learned: Euclidean, or the one that its learner names.

    Parameters
    ----------
    estimator : estimator
        An embedder.

    Returns
    -------
    Distance
        Of embeddings of `estimator`.

    Raises
    ------
    ValueError
        If a learner whose distance is not Euclidean is in `estimator`, and its embeddings are changed or
        joined with others afterwards.
    """
    learner = _namer_of(estimator)
    name = _distance_name(learner)
    return Distance(name, _euclidean if name == "euclidean" else learner._between)


def rankings_of(estimator: Any) -> Callable:
    """What ranks the embeddings of an embedder: it is called as :func:`skmetric.retrieval.iter_rankings`.

    Parameters
    ----------
    estimator : estimator
        An embedder.

    Returns
    -------
    callable
        It ranks by the distance of :func:`distance_of`.

    Raises
    ------
    ValueError
        As :func:`distance_of`.
    """
    return getattr(_namer_of(estimator), "_iter_rankings", iter_rankings)


def check_embeds(estimator: Any, name: str | None = None) -> list:
    """Return what to call `transform` of, in turn; raise a NoEmbeddingError if there is nothing.

    Parameters
    ----------
    estimator : estimator
        An embedder, or not.
    name : str, default=None
        What the error message calls it; None takes the name of its class, without wrappers.
    """
    parts = _parts_of(estimator)
    if parts is None:
        raise NoEmbeddingError(
            f"embeddings are needed, and {name or type(_inmost(estimator)).__name__} has no transform: use a "
            "metric learner or another transformer, a Pipeline in which one comes before the last step, or a "
            "search over these that was fitted with refit"
        )
    return parts


def check_euclidean(estimator: Any, user: str, name: str | None = None) -> None:
    """Refuse an embedder whose learned distance is not Euclidean.

    Parameters
    ----------
    estimator : estimator
        An embedder.
    user : str
        What cannot serve another distance: the message says that it uses Euclidean distance.
    name : str, default=None
        What the error message calls `estimator`; None takes the name of its class.
    """
    distance = distance_of(estimator)
    if not distance.is_euclidean:
        learner, name = type(_namer_of(estimator)).__name__, name or type(estimator).__name__
        by = "" if name.endswith(learner) else f" (its {learner})"
        raise ValueError(
            f"{name}{by} learned {_learned(distance.name)}, and {user} uses Euclidean distance: "
            "train it with distance='euclidean'"
        )


def check_steps_fitted(estimator: Any) -> None:
    """Raise a NotFittedError unless every step is fitted: a pipeline asks only its last, which may be a k-NN.

    Parameters
    ----------
    estimator : estimator
        An embedder.
    """
    inner = _unwrapped(estimator)
    if inner is not estimator:
        check_steps_fitted(inner)
    elif isinstance(estimator, Pipeline):
        for _, step in estimator.steps:
            check_steps_fitted(step)
    elif not _is_passthrough(estimator):
        check_is_fitted(estimator)


def _unwrapped(estimator: Any) -> Any:
    """What makes the embeddings in the place of a wrapper; the same object if it is none."""
    if isinstance(estimator, FrozenEstimator):
        return estimator.estimator
    if hasattr(estimator, "best_estimator_"):
        return estimator.best_estimator_
    if hasattr(estimator, "embedder_") and not hasattr(estimator, "transform"):  # of a SimilaritySearch
        return estimator.embedder_
    return estimator


def _inmost(estimator: Any) -> Any:
    inner = _unwrapped(estimator)
    return estimator if inner is estimator else _inmost(inner)


def _is_passthrough(step: Any) -> bool:
    return step is None or (isinstance(step, str) and step == "passthrough")


def _parts_of(estimator: Any) -> list | None:
    """What to call `transform` of, in turn, pipelines as they are; None where nothing transforms."""
    inner = _unwrapped(estimator)
    if inner is not estimator:
        return _parts_of(inner)
    if _is_passthrough(estimator):
        return []
    if hasattr(estimator, "transform"):
        return [estimator]
    if not isinstance(estimator, Pipeline):
        return None
    first = [estimator[:-1]] if len(estimator) > 1 else []
    last = _parts_of(estimator[-1])
    return None if last is None and not first else first + (last or [])


def _namer_of(estimator: Any) -> Any:
    """The step whose distance is that of the embeddings; None if no step has a name for it."""
    namer = None
    for step in steps_of(estimator):
        if isinstance(step, FunctionTransformer) and step.func is None:
            continue
        joined = _joined(step)
        namers = [found for found in map(_namer_of, joined) if found is not None]
        if namers and len(joined) > 1:
            raise ValueError(_refusal(namers[0], step))
        if namer is not None and not hasattr(step, "pair_distance"):
            raise ValueError(_refusal(namer, step))
        found = namers[0] if namers else step
        namer = None if _distance_name(found) == "euclidean" else found
    return namer


def _refusal(learner: Any, step: Any) -> str:
    return (
        f"{type(learner).__name__} learned {_learned(_distance_name(learner))}, which says nothing of what "
        f"{type(step).__name__} makes of its embeddings: let it be the last step that transforms, with "
        "nothing beside it, or train it with distance='euclidean'"
    )


def _learned(name: str) -> str:
    return "the distance of the Poincaré ball" if name == "poincare" else "a distance that is not Euclidean"


def _joined(step: Any) -> list:
    """Transformers whose outputs a FeatureUnion or a ColumnTransformer puts side by side."""
    if hasattr(step, "transformer_list"):
        every: Iterable = (inner for _, inner in step.transformer_list)
    else:
        every = (inner for _, inner, *_ in getattr(step, "transformers_", []))
    return [inner for inner in every if not (isinstance(inner, str) and inner == "drop")]


def _distance_name(step: Any) -> str:
    """Name of the distance between outputs of a step."""
    own = "own" if hasattr(step, "_iter_rankings") else "euclidean"
    return getattr(step, "_distance_name", own)


def _euclidean(first: NDArray, second: NDArray) -> NDArray:
    return np.linalg.norm(first - second, axis=1)


def _count(X: Any) -> int | None:
    """Number of samples, where it can be known without reading them."""
    shape = getattr(X, "shape", ())
    if shape:
        return shape[0]
    has_length = hasattr(X, "__len__") and hasattr(X, "__getitem__") and not isinstance(X, Mapping | str)
    return len(X) if has_length and not hasattr(X, "shape") else None
