"""A metric that is fitted to the gallery that it searches, and as it would be without some of the items."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import issparse
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from skmetric._checks import as_array, check_matrix
from skmetric._embedding import check_steps_fitted, steps_of
from skmetric.linear import MetricLearner
from skmetric.linear._without import without_samples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skmetric.search._gallery._memory import MemoryGallery

_LARGEST = 1 << 29  # numbers in the array of sparse samples


def check_refittable(embedder: Any, y: Any) -> None:
    """Raise an error unless `adapt_metric` can refit the last step of an embedder."""
    steps = [] if embedder is None else steps_of(embedder)
    last = steps[-1] if steps else None
    if not isinstance(last, MetricLearner) or last.margin is not None:
        found = "none is given" if embedder is None else f"embedder={type(embedder).__name__}"
        if isinstance(last, MetricLearner):
            found = f"it has margin={last.margin}"
        raise ValueError(
            "adapt_metric=True refits a MetricLearner without margin, as the embedder or as the last step of "
            f"one, and {found}: use such an embedder, or adapt_metric=False"
        )
    if y is None:
        raise ValueError("adapt_metric=True refits on the labels of the gallery: fit with y")
    try:
        check_steps_fitted(embedder)
    except NotFittedError:
        raise NotFittedError(
            f"adapt_metric=True goes on from a fitted embedder, and {type(embedder).__name__} is not fitted: "
            "fit it on other classes first. clone, and so a grid search, makes an embedder unfitted: wrap it "
            "in sklearn.frozen.FrozenEstimator to keep it"
        ) from None


def samples_of(embedder: Any, X: Any) -> NDArray[Any]:
    """What the last step of an embedder embeds, of what its first step takes; sparse rows as an array."""
    for step in steps_of(embedder)[:-1]:
        X = step.transform(X)
    return check_matrix(_dense(X) if issparse(X) else as_array(X))


def _dense(X: Any) -> NDArray[Any]:
    """Sparse samples as the array that the gallery keeps, or why it would be too large."""
    n_numbers = X.shape[0] * X.shape[1]
    if n_numbers > _LARGEST:
        raise ValueError(
            f"adapt_metric=True keeps the samples of the gallery as an array, and {X.shape[0]} sparse rows "
            f"of {X.shape[1]} features take {n_numbers * X.dtype.itemsize / 1e9:.0f} GB: fit an embedder "
            "that reduces them first, make_pipeline(TruncatedSVD(...), MetricLearner()), or call "
            "partial_fit(X, y, choose=True) of the learner before fit, with adapt_metric=False"
        )
    dense: NDArray[Any] = X.toarray()
    return dense


def refitted(embedder: Any, samples: NDArray[Any], y: Any) -> Any:
    """The embedder with a copy of its last step that has learned from the samples too."""
    *first, learner = steps_of(embedder)
    return _ending_in(deepcopy(learner).partial_fit(samples, y, choose=True), first)


def before_refit(embedder: Any, gallery: MemoryGallery, is_fitted: NDArray[np.bool_], shrinkage: Any) -> Any:
    """The embedder as it was, at these shrinkages, before its last step was fitted to some items.

    A folder has the refitted embedder alone, and the next fit is to go on from the one before it. What was
    learned from items that were removed since stays.
    """
    if not is_fitted.any():
        return embedder
    learner = embedder_without(embedder, gallery, shrinkage)(is_fitted)
    return _ending_in(learner, steps_of(embedder)[:-1])


def _ending_in(learner: Any, first: list[Any]) -> Any:
    return make_pipeline(*first, learner) if first else learner


def embedder_without(
    embedder: Any, gallery: MemoryGallery, shrinkage: Any = None
) -> Callable[[NDArray[Any]], Any]:
    """From a mask of items to the last step of an embedder as it would be without these."""
    learner = steps_of(embedder)[-1]
    assert gallery.samples is not None
    samples, labels = gallery.samples.values, gallery.labels.decode(gallery.labels.codes.values)

    def without(items: NDArray[np.bool_]) -> Any:
        return without_samples(learner, samples[items], labels[items], shrinkage)

    return without
