"""What fits the closed form on pairs in place of classes."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if

from skmetric._input._tuples import read_similarity, read_tuples
from skmetric._params import fit_context
from skmetric.base import signed_power
from skmetric.linear._closed_form._scatter import ClassScatter
from skmetric.linear._closed_form._solution import Recipe, attributes_of
from skmetric.linear._selection._candidates import Candidate, Offered

from ._pair_choice import choose
from ._pair_scatter import pair_scatter, solve_pairs

_OF_CLASSES = ("classes_", "scatter_")  # what pairs do not tell


def _solves_alone(learner: Any) -> bool:
    if learner.margin is None:
        return True
    raise AttributeError("fit_pairs solves the closed form, and margin refines on classes: use margin=None")


class FromPairsMixin:
    """`fit_pairs` of a learner that says what it offers, and what a candidate fixes."""

    weighting: str
    n_components: int | None
    random_state: int | np.random.RandomState | None

    @available_if(_solves_alone)
    @fit_context(prefer_skip_nested_validation=True)
    def fit_pairs(self, X: ArrayLike, y: ArrayLike, *, pairs: ArrayLike | None = None) -> Self:
        """Learn the map from pairs in place of classes: the closed form from their differences.

        The covariance inside classes is half the mean square of the differences of similar pairs, and the
        covariance of class means is what the differences of the other pairs have on top. With
        ``weighting="kissme"`` and a shrinkage of (0, 0) the squared distance is that of KISSME [1]_, a
        multiple of the difference of the two inverse covariances without its negative part.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or (n_pairs, 2, n_features) without `pairs`
            Samples, also a sparse matrix; or the pairs themselves. Rows in no pair count for the centre.
        y : array-like of shape (n_pairs,)
            1 for similar pairs; 0, or -1, for others. Both must occur.
        pairs : array-like of shape (n_pairs, 2), default=None
            Row numbers of `X`.

        Returns
        -------
        MetricLearner
            Fitted; without `classes_` and `scatter_`, so that `partial_fit` starts anew.

        Raises
        ------
        ValueError
            On pairs that cannot be learned from; the message says which and why.

        Notes
        -----
        ``shrinkage="cv"`` chooses by the area under the ROC curve of pairs held out. Rows that similar pairs
        link are of one class: these classes are held out whole. If pairs link fewer than four of them, as
        pairs from few classes and pairs that share no rows with each other do not, "cv" means (0.5, 1).

        References
        ----------
        .. [1] M. Köstinger et al., "Large scale metric learning from equivalence constraints", CVPR 2012.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skmetric import MetricLearner
        >>> from skmetric.weak import sample_pairs
        >>> X, y = load_digits(return_X_y=True)
        >>> pairs, y_pairs = sample_pairs(y[y < 5], 2000, random_state=0)
        >>> learner = MetricLearner(random_state=0).fit_pairs(X[y < 5], y_pairs, pairs=pairs)
        >>> print(f"{learner.score(X[y >= 5], y[y >= 5]):.2f}")
        0.62
        """
        tuples = read_tuples(self, X, pairs, 2, reset=True, distinct=True)
        rows, members = tuples
        similar, _ = read_similarity(y, len(members), self)
        if self.n_components is not None and self.n_components > rows.shape[1]:
            raise ValueError(
                f"n_components={self.n_components} is more than the {rows.shape[1]} features of X"
            )
        rng = check_random_state(self.random_state)
        chosen, found = self._fixed(), None
        if chosen is None:
            chosen, found = choose(rows, members, similar, self._offered(), rng)
        recipe = Recipe(chosen, self.weighting, self.n_components)
        prepared = recipe.prepare(signed_power(rows, chosen.power))
        scatter = pair_scatter(prepared, members, similar)
        solution = solve_pairs(scatter, recipe)
        for name in _OF_CLASSES:
            vars(self).pop(name, None)
        vars(self).update(attributes_of(solution, rows.dtype), **chosen.attributes(), cv_results_=found)
        vars(self).update(n_steps_=0, n_adapted_=0)
        self._warn_of_directions_without_spread(scatter.inside, rows.dtype)
        return self

    def _fixed(self) -> Candidate | None:
        raise NotImplementedError

    def _offered(self) -> Offered:
        raise NotImplementedError

    def _warn_of_directions_without_spread(self, scatter: ClassScatter, dtype: np.dtype[Any]) -> None:
        raise NotImplementedError
