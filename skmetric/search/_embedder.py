"""The embedder of a search: used as it is if it is fitted, otherwise a fitted copy."""

from __future__ import annotations

from typing import Any

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skmetric.exceptions import NoEmbeddingError
from skmetric.metrics._scorer import transformers_of


def fitted_embedder(embedder: Any, X: Any = None, y: Any = None) -> Any:
    """Return the embedder if it is fitted, otherwise a clone that is fitted on samples.

    NotFittedError without samples, where a gallery is there already; NoEmbeddingError if nothing in it
    transforms.
    """
    try:
        _check_all_fitted(embedder)
    except NotFittedError:
        if X is None:
            raise NotFittedError(
                f"embedder={type(embedder).__name__} is not fitted: give the one that made the "
                "embeddings of the gallery, the search's embedder_"
            ) from None
        fitted = clone(embedder)
        fitted = fitted.fit(X) if y is None else fitted.fit(X, y)
    else:
        fitted = embedder
    if not transformers_of(fitted):
        raise NoEmbeddingError(
            f"embedder={type(fitted).__name__} has no transform: use a transformer, a Pipeline in which "
            "one comes before the last step, or a search over these that was fitted with refit"
        )
    if getattr(transformers_of(fitted)[-1], "distance", None) == "poincare":
        raise ValueError(
            f"embedder={type(fitted).__name__} learned the distance of the Poincaré ball, "
            "and a search uses Euclidean distance: train it with distance='euclidean'"
        )
    return fitted


def _check_all_fitted(embedder: Any) -> None:
    """Raise unless every step is fitted: a pipeline asks its last alone, which may have nothing to fit."""
    if not isinstance(embedder, Pipeline):
        check_is_fitted(embedder)
        return
    for _, step in embedder.steps:
        if step not in (None, "passthrough"):
            _check_all_fitted(step)
