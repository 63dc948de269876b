"""A fitted `MetricLearner` as it would be, had `partial_fit` not been given some of its samples."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skmetric.base import signed_power

from ._classes import unite
from ._closed_form._scatter import class_scatter, parted
from ._closed_form._solution import attributes_of, solve
from ._metric_learner import MetricLearner

_INSIDE = "X has samples of classes that the learner was not given"


def without_samples(
    learner: MetricLearner,
    X: NDArray[np.floating],
    y: NDArray[Any],
    shrinkage: tuple[float, float] | None = None,
) -> MetricLearner:
    """Take samples out of a fitted learner; shrinkage and all else that was chosen stay.

    Parameters
    ----------
    learner : MetricLearner
        Fitted, without `margin`; it stays as it is.
    X : ndarray of shape (n_samples, n_features)
        Samples that it was given without weights.
    y : ndarray of shape (n_samples,)
        Their classes.
    shrinkage : (float, float), default=None
        The shrinkages before these samples were given. None leaves those of now.

    Returns
    -------
    MetricLearner
        A shallow copy, solved anew in O(n_features^3).
    """
    recipe = learner._recipe()
    if shrinkage is not None:
        within, between = shrinkage
        recipe = recipe._replace(chosen=recipe.chosen._replace(within=within, between=between))
    classes, codes = np.unique(y, return_inverse=True)
    places, among, union = unite(learner.classes_, classes)
    if len(union) != len(places):
        raise ValueError(_INSIDE)
    rows = signed_power(X, recipe.chosen.power)
    part = class_scatter(rows, codes, len(classes), None, recipe.prepare)
    rest, kept = parted(learner.scatter_, part, among)
    made = copy(learner)
    solved = attributes_of(solve(rest, recipe), learner.components_.dtype)
    left = {"scatter_": rest, "classes_": learner.classes_[kept], "n_adapted_": 0}
    vars(made).update(recipe.chosen.attributes() | solved | left)
    return made
