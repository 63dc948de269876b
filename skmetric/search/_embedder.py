"""The embedder of a search: used as it is if it is fitted, otherwise a fitted copy."""

from __future__ import annotations

from typing import Any

from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skmetric._embedding import check_embeds, check_euclidean, check_steps_fitted


def fitted_embedder(embedder: Any, X: Any = None, y: Any = None) -> Any:
    """Return the embedder if it is fitted, otherwise a clone that is fitted on samples.

    NotFittedError without samples, where a gallery is there already; an error too if nothing in it transforms
    or its distance is not Euclidean.
    """
    try:
        check_steps_fitted(embedder)
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
    name = f"embedder={type(fitted).__name__}"
    check_embeds(fitted, name)
    check_euclidean(fitted, "a search", name)
    return fitted
