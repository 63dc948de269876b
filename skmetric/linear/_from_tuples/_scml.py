"""SCML: a sparse combination of rank-one matrices that puts triplets in order."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, Literal, Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve
from sklearn.utils import check_random_state

from skmetric._checks import check_matrix
from skmetric._params import Interval, StrOptions, fit_context
from skmetric.linear._closed_form._scatter import dense

from ._forms._pair_forms import pair_forms
from ._prior import shrunk_to_diagonal
from ._solvers._weighing import SMOOTHINGS, compose, weigh
from ._triplet_learner import LinearTripletLearner
from ._tuple_learner import Steps, map_state

_Floats = NDArray[np.float64]
_FEWEST, _FOR_EACH_FEATURE = 200, 4  # directions of a basis
_SHRINKAGE = 0.1


@final
class SCML(LinearTripletLearner):
    """Sparse compositional metric learning: weights of given directions, from triplets.

    Minimises ``mean_i max(0, 1 + d(anchor, positive) - d(anchor, negative)) + beta * sum_k w_k`` over weights
    ``w >= 0``, with d the squared distance under ``A = sum_k w_k b_k b_k^T`` [1]_.

    Parameters
    ----------
    beta : float, default=1e-5
        Weight of the sum of the weights: larger is sparser.
    basis : "triplets" or array-like of shape (n_basis, n_features), default="triplets"
        The directions b. "triplets" takes differences of anchors and negatives, drawn at random, and gives
        each the direction that tells the two best apart where rows spread as anchors and positives do: the
        discriminant of the two. Its length is such that anchors and positives differ by 1 on average.
    n_basis : int, default=None
        Number of directions of "triplets". None: four times the number of features, at least 200.
    max_iter : int, default=200
        Iterations at most, for each of two approximations of the hinge.
    tol : float, default=1e-5
        Stop when an iteration changes the objective by less than this share.
    random_state : int, RandomState instance or None, default=None
        Draws the directions.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        The map L, with A = L^T L.
    basis_ : ndarray of shape (n_basis, n_features)
        The directions.
    weights_ : ndarray of shape (n_basis,)
        Their weights.
    objective_ : float
        Value of the objective at the end.
    n_iter_ : int
        Iterations taken.
    n_components_ : int
        Dimension of the embedding.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features, where `X` had string names.

    See Also
    --------
    skmetric.weak.sample_triplets : Draws triplets from labels.
    skmetric.weak.FromLabels : Fits it on class labels.

    Notes
    -----
    On classes never trained on, defaults retrieve worse than the Euclidean distance: MAP@R is 6% lower on
    average of six sets of frozen features, from -18% to +6% (``benchmarks/weak_supervision.py``).

    As in the published solver, how much each direction helps each triplet is kept, and an iteration costs
    O(n_triplets * n_basis), but only up to 8 million numbers (64 MB). With more triplets or directions, no
    array has an entry for each of both: an iteration costs O((n_rows + n_basis) * n_features^2 + n_triplets *
    n_features), and the gradient needs one (n_features, n_features) scatter of the triplets that violate.

    References
    ----------
    .. [1] Y. Shi, A. Bellet and F. Sha, "Sparse compositional metric learning", AAAI 2014.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skmetric.linear import SCML
    >>> from skmetric.weak import sample_triplets
    >>> X, y = load_iris(return_X_y=True)
    >>> triplets = sample_triplets(y, 500, random_state=0)
    >>> learner = SCML(random_state=0).fit(X, triplets=triplets)
    >>> print(f"{learner.score(X, triplets=triplets):.2f}")
    0.98
    """

    _parameter_constraints = {
        "beta": [Interval(Real, 0, None, closed="left")],
        "basis": [StrOptions({"triplets"}), "array-like"],
        "n_basis": [Interval(Integral, 1, None, closed="left"), None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    }

    basis_: NDArray[np.floating]
    weights_: _Floats

    def __init__(
        self,
        beta: float = 1e-5,
        *,
        basis: Literal["triplets"] | ArrayLike = "triplets",
        n_basis: int | None = None,
        max_iter: int = 200,
        tol: float = 1e-5,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.beta = beta
        self.basis = basis
        self.n_basis = n_basis
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: object = None, *, triplets: ArrayLike | None = None) -> Self:
        """Learn the map from triplets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or (n_triplets, 3, n_features) without `triplets`
            Samples, also a sparse matrix; or the triplets themselves: anchor, positive and negative.
        y : None
            Not used: the order of the members says all.
        triplets : array-like of shape (n_triplets, 3), default=None
            Row numbers of `X`.

        Returns
        -------
        SCML
            Fitted.

        Raises
        ------
        ValueError
            On triplets that cannot be learned from; the message says which and why.
        """
        tuples = self._read(X, triplets)
        members = tuples.members
        near, far = members[:, :2], members[:, ::2]
        basis = self._read_basis(tuples.rows, near, far)
        forms = pair_forms(tuples.rows, np.vstack([near, far]))

        def state(weights: _Floats) -> dict[str, Any]:
            return map_state(compose(basis, weights), dtype=tuples.rows.dtype)

        steps = Steps(self, X, y, len(SMOOTHINGS) * self.max_iter, state)
        weights, n_iter, converged = weigh(forms, basis, self.beta, self.max_iter, self.tol, steps)
        if not weights.any():
            raise ValueError(
                "no direction puts more triplets in order than out of order: all weights are 0. Check the "
                "order of the members (anchor, positive, negative), or lower beta"
            )
        self.weights_, self.basis_, self.n_iter_ = weights, basis.astype(tuples.rows.dtype), n_iter
        components = compose(basis, weights)
        squares = forms.squares(forms.under(components)).reshape(2, -1)
        self.objective_ = float(np.maximum(1 + squares[0] - squares[1], 0).mean() + self.beta * weights.sum())
        self._set_map(components, tuples.rows.dtype)
        steps.close(converged)
        return self

    def _read_basis(self, rows: Any, near: NDArray[np.intp], far: NDArray[np.intp]) -> _Floats:
        if isinstance(self.basis, str):
            n = self.n_basis or max(_FOR_EACH_FEATURE * rows.shape[1], _FEWEST)
            return discriminants(rows, near, far, n, check_random_state(self.random_state))
        basis = check_matrix(self.basis, "basis").astype(np.float64)
        if basis.shape[1] != rows.shape[1]:
            raise ValueError(f"basis has {basis.shape[1]} features, and X has {rows.shape[1]}")
        if self.n_basis is not None:
            raise ValueError("n_basis is for basis='triplets': a basis that is given has its own number")
        return basis


def discriminants(
    rows: Any,
    near: NDArray[np.intp],
    far: NDArray[np.intp],
    n: int,
    rng: np.random.RandomState,
) -> _Floats:
    """Discriminant of anchor and negative of at most `n` triplets, (n_basis, n_features)."""
    drawn = far[rng.permutation(len(far))[:n]]
    gaps = dense(rows[drawn[:, 0]]).astype(np.float64) - dense(rows[drawn[:, 1]])
    gaps = gaps[gaps.any(axis=1)]
    if not len(gaps):
        raise ValueError("anchor and negative are equal in each triplet: nothing tells them apart")
    scale = np.abs(gaps).max()
    scatter = shrunk_to_diagonal(pair_forms(rows, near).scaled(1 / scale), _SHRINKAGE)
    basis = cho_solve(cho_factor(scatter), gaps.T / scale).T
    return basis / np.sqrt(np.einsum("ij,ij->i", basis @ scatter, basis))[:, None] / scale
