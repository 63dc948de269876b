"""What linear learners of tuples share: input, distances of tuples, steps announced to callbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from skmetric._input._tuples import Tuples, read_tuples
from skmetric._params import FitTasks
from skmetric._sklearn import BaseEstimator, CallbackSupportMixin
from skmetric._warning import warn
from skmetric.base import MahalanobisMixin
from skmetric.linear._statistics._moments import check_squares

_ENTRIES = 1 << 21  # of the embeddings of sparse rows that are held at a time
_CHUNK = 4096  # tuples whose differences are held at a time


class LinearTupleLearner(MahalanobisMixin, CallbackSupportMixin, BaseEstimator):
    """A linear map from tuples; a subclass names its parameters and writes `fit` and `predict`."""

    n_iter_: int
    objective_: float
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]
    _n_members: int
    _takes_sparse = True

    def _read(self, X: ArrayLike, index: ArrayLike | None) -> Tuples:
        """Tuples to fit on."""
        tuples = read_tuples(self, X, index, self._n_members, reset=True, distinct=True)
        check_squares(tuples.rows)
        return tuples

    def _tuple_distances(
        self, X: ArrayLike, index: ArrayLike | None, columns: list[list[int]]
    ) -> NDArray[np.float64]:
        """Learned distances between two members, for each pair of places, (n_tuples, n_columns)."""
        check_is_fitted(self)
        rows, index = read_tuples(self, X, index, self._n_members, reset=False)
        return self._distances(rows, index, columns)

    def _distances(self, rows: Any, index: NDArray[np.intp], columns: list[list[int]]) -> NDArray[np.float64]:
        """The same of rows that are checked; of sparse rows, a block of embeddings is held at a time."""
        if not issparse(rows):
            return distances_of(self._embed(rows), index, columns)
        step = max(1, _ENTRIES // (self.n_components_ * self._n_members))
        parts = [index[start : start + step] for start in range(0, len(index), step)]
        out = []
        for part in parts:
            used, places = np.unique(part, return_inverse=True)
            out.append(distances_of(self._embed(rows[used]), places.reshape(part.shape), columns))
        return np.concatenate(out)

    def _set_map(self, components: NDArray[np.float64], dtype: np.dtype[Any]) -> None:
        self.components_ = components.astype(dtype)
        self.n_components_ = len(components)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        return tags


class Steps:
    """Iterations of a solver, announced to scikit-learn's callbacks.

    Parameters
    ----------
    estimator : estimator
        Being fitted.
    X, y : array-like
        As given to `fit`.
    max_iter : int
        Iterations at most.
    state_of : callable
        From what an iteration is announced with, such as its components, to attributes that make the
        estimator usable.
    """

    def __init__(
        self,
        estimator: Any,
        X: Any,
        y: Any,
        max_iter: int,
        state_of: Callable[[NDArray[np.float64]], dict[str, Any]],
    ) -> None:
        self.estimator = estimator
        self.tasks, self.state_of = FitTasks(estimator, X, y, max_iter, name="iteration"), state_of
        self.asked_to_stop = False

    def __call__(self, reached: NDArray[np.float64]) -> bool:
        """Announce one iteration; whether a callback asks to stop."""
        self.tasks.fitted = lambda: self.state_of(reached)
        self.tasks.begin()
        self.asked_to_stop = bool(self.tasks.end())
        return self.asked_to_stop

    def close(self, converged: bool) -> None:
        """The fit ended; warn if it should have gone on, unless a callback stopped it."""
        if not (converged or self.asked_to_stop):
            warn(
                f"{type(self.estimator).__name__} did not converge within {self.estimator.max_iter} "
                "iterations: raise max_iter or tol",
                ConvergenceWarning,
            )
        self.tasks.close()


def map_state(components: NDArray[np.float64], *, dtype: np.dtype[Any]) -> dict[str, Any]:
    """Attributes that make a learner usable while it is fitted."""
    return {
        "components_": components.astype(dtype),
        "n_components_": len(components),
        "n_features_in_": components.shape[1],
    }


def distances_of(
    embeddings: NDArray[np.floating], index: NDArray[np.intp], columns: list[list[int]]
) -> NDArray[np.float64]:
    """Euclidean distances (n_tuples, n_columns) between the members of tuples at pairs of places."""
    out = np.empty((len(index), len(columns)))
    for start in range(0, len(index), _CHUNK):
        part = index[start : start + _CHUNK]
        for column, (first, second) in enumerate(columns):
            gap = embeddings[part[:, first]].astype(np.float64) - embeddings[part[:, second]]
            out[start : start + _CHUNK, column] = np.linalg.norm(gap, axis=1)
    return out
