"""What every metric learner shares: transform, pair distance, retrieval score."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array, diags_array, issparse, vstack
from sklearn.utils.validation import check_is_fitted, validate_data

from skmetric._checks import as_array, canonical_rows, check_finite_rows, said_of_raw
from skmetric._documented import DocumentedMixin
from skmetric._sklearn import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from skmetric.metrics import RetrievalScorer

__all__ = ["MahalanobisMixin", "MetricLearnerMixin"]


class MetricLearnerMixin(DocumentedMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, ABC):
    """A transformer whose embedding is the metric: the learned distance is Euclidean after ``transform``.

    A subclass writes ``fit`` (which sets ``n_components_``) and ``_embed(X)``.

    See Also
    --------
    MahalanobisMixin : For embeddings that are linear.
    skmetric.metrics.RetrievalScorer : Scores what is derived from it.

    Examples
    --------
    >>> from sklearn.base import BaseEstimator
    >>> from sklearn.utils.validation import validate_data
    >>> from skmetric.base import MetricLearnerMixin
    >>> class FirstFeature(MetricLearnerMixin, BaseEstimator):
    ...     def fit(self, X, y):
    ...         X, y = validate_data(self, X, y)
    ...         self.n_components_ = 1
    ...         return self
    ...
    ...     def _embed(self, X):
    ...         return X[:, :1]
    >>> learner = FirstFeature().fit([[0, 5], [3, 1]], ["a", "b"])
    >>> learner.pair_distance([[0, 5]], [[3, 1]])
    array([3.])
    """

    n_components_: int
    _takes_sparse = False  # whether `fit` and `_embed` take scipy's CSR arrays

    @abstractmethod
    def _embed(self, X: Any) -> NDArray[np.floating]:
        """Map validated rows to embeddings of shape (n_samples, n_components)."""

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def transform(self, X: Any) -> NDArray[np.floating]:
        """Map samples into the learned space, where the Euclidean distance is the learned one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples; also a sparse matrix, for learners whose `fit` takes one.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            In float32 for float32 input, else float64.
        """
        check_is_fitted(self)
        with said_of_raw(X):
            X = validate_data(
                self,
                as_array(X),
                accept_sparse="csr" if self._takes_sparse else False,
                reset=False,
                dtype=[np.float64, np.float32],
                ensure_all_finite=False,
            )
        check_finite_rows(X)
        return self._embed(canonical_rows(X))

    def pair_distance(self, A: Any, B: Any = None) -> NDArray[np.float64]:
        """Learned distance between the rows of `A` and the rows of `B`, pair by pair.

        Parameters
        ----------
        A : array-like of shape (n_pairs, n_features), or (n_pairs, 2, n_features) without `B`
            First member of each pair; or the pairs themselves.
        B : array-like of shape (n_pairs, n_features), default=None
            Second member of each pair.

        Returns
        -------
        ndarray of shape (n_pairs,)
            From 0; smaller is nearer.

        Raises
        ------
        ValueError
            If `A` and `B` differ in their number of rows, or if `A` alone does not hold pairs.
        """
        if B is None:
            A, B = _members(A)
        first, second = self.transform(A), self.transform(B)
        if len(first) != len(second):
            raise ValueError(f"A and B must pair up row by row; A has {len(first)} rows, B has {len(second)}")
        return self._between(np.asarray(first, float), np.asarray(second, float))

    def get_metric(self) -> Callable[[ArrayLike, ArrayLike], float]:
        """Learned distance as a function of two samples, for what takes a callable `metric`.

        A pipeline of the learner and what follows is many times faster, and the distance is the same.

        Returns
        -------
        callable
            From two arrays of shape (n_features,), or two sparse rows of shape (1, n_features), to a float.
            It can be pickled.
        """
        check_is_fitted(self)
        return partial(_distance, self)

    def score(self, X: Any, y: ArrayLike) -> float:
        """MAP@R of searching each row among the others, after ``transform``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples, best of classes that `fit` never saw.
        y : array-like of shape (n_samples,)
            Their labels.

        Returns
        -------
        float
            In [0, 1]; see :func:`skmetric.metrics.map_at_r`.
        """
        return float(RetrievalScorer("map_at_r")(self, X, y))  # type: ignore[arg-type]  # a single score

    def _between(self, first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distance between embeddings row by row, which a learner may replace by another than the Euclidean.

        It then also has `_iter_rankings`, which ranks by it as :func:`skmetric.retrieval.iter_rankings` does
        by the Euclidean one; where that depends on a parameter, `_distance_name` is "euclidean" or another.
        """
        distances: NDArray[np.float64] = np.linalg.norm(first - second, axis=1)
        return distances  # (n_pairs,)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.sparse = self._takes_sparse
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class MahalanobisMixin(MetricLearnerMixin):
    """A metric learner whose embedding is linear: ``(x - mean_) @ components_.T``.

    A subclass sets ``components_`` and ``n_components_`` in ``fit``, ``mean_`` if it centres, ``normalize_``
    if rows may be scaled to unit length before and after the map, and ``power_`` if features may be raised to
    a power before anything else.

    See Also
    --------
    MetricLearnerMixin : For embeddings that are not linear.
    skmetric.MetricLearner : The learner that derives from it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.base import BaseEstimator
    >>> from sklearn.utils.validation import validate_data
    >>> from skmetric.base import MahalanobisMixin
    >>> class Scale(MahalanobisMixin, BaseEstimator):
    ...     def fit(self, X, y):
    ...         X, y = validate_data(self, X, y)
    ...         self.components_ = np.diag(1 / X.std(axis=0))
    ...         self.n_components_ = X.shape[1]
    ...         return self
    >>> learner = Scale().fit([[0, 0], [4, 20]], ["a", "b"])
    >>> learner.transform([[0, 0], [4, 20]])
    array([[0., 0.],
           [2., 2.]])
    """

    components_: NDArray[np.floating]
    mean_: NDArray[np.floating]
    normalize_: bool
    power_: float

    def get_mahalanobis_matrix(self) -> NDArray[np.float64]:
        """Matrix M of the learned distance, ``sqrt((a - b) @ M @ (a - b))``.

        Returns
        -------
        ndarray of shape (n_features, n_features)
            ``components_.T @ components_`` in float64: symmetric, no negative eigenvalue. If `normalize_` is
            true, `a` and `b` are rows of unit length and the mapped rows are scaled to unit length again, so
            M alone does not give the learned distance: use `pair_distance`.
        """
        check_is_fitted(self)
        components = self.components_.astype(np.float64)
        return components.T @ components

    def _embed(self, X: Any) -> NDArray[np.floating]:
        components = self.components_.astype(X.dtype, copy=False)
        if issparse(X):  # these would not stay sparse without their mean
            embeddings = centred_map(self._prepare(X), self._mean(X.dtype), components)
        else:
            embeddings = self._center(X) @ components.T  # (n_samples, n_components)
        return unit_rows(embeddings) if getattr(self, "normalize_", False) else embeddings

    def _center(self, X: NDArray[np.floating]) -> NDArray[np.floating]:
        """Rows as the map takes them."""
        X, mean = self._prepare(X), self._mean(X.dtype)
        return X if mean is None else X - mean

    def _prepare(self, X: Any) -> Any:
        """Rows before the mean is subtracted; sparse ones stay sparse."""
        X = signed_power(X, getattr(self, "power_", 1.0))
        return unit_rows(X) if getattr(self, "normalize_", False) else X

    def _mean(self, dtype: Any) -> NDArray[np.floating] | None:
        mean = getattr(self, "mean_", None)
        return None if mean is None else mean.astype(dtype, copy=False)


def _members(pairs: Any) -> tuple[Any, Any]:
    """First and second members of pairs in one array."""
    pairs = as_array(pairs)
    shape = pairs.shape if issparse(pairs) else np.shape(pairs)
    if len(shape) < 3 or shape[1] != 2:
        raise ValueError(
            "without B, A must hold pairs, (n_pairs, 2, n_features); got shape "
            f"{tuple(shape)}: give the second members as B"
        )
    pairs = np.asarray(pairs)
    return pairs[:, 0], pairs[:, 1]


def _distance(learner: MetricLearnerMixin, a: ArrayLike, b: ArrayLike) -> float:
    """Learned distance of two samples."""
    pair: Any = canonical_rows(vstack([a, b])) if issparse(a) else np.asarray([a, b])
    embeddings = learner._embed(pair if pair.dtype.kind == "f" else pair.astype(float)).astype(float)
    return float(learner._between(embeddings[:1], embeddings[1:])[0])


def centred_map(
    X: Any, mean: NDArray[np.floating] | None, components: NDArray[np.floating]
) -> NDArray[np.floating]:
    """``(X - mean) @ components.T``; sparse rows are mapped as they are, and the mean apart."""
    if issparse(X):
        embeddings: NDArray[np.floating] = X @ components.T  # (n_samples, n_components)
        return embeddings if mean is None else embeddings - components @ mean
    return (X if mean is None else X - mean) @ components.T


def unit_rows(X: Any) -> Any:
    """Scale rows, of an array or a CSR array, to length 1; zero rows stay."""
    if issparse(X):
        return unit_sparse_rows(X)
    norms = np.sqrt(np.einsum("ij,ij->i", X, X))[:, None]
    limits = np.finfo(X.dtype)
    is_lost = (norms[:, 0] <= np.sqrt(limits.tiny) / limits.eps) | (norms[:, 0] == np.inf)
    if is_lost.any():  # squares that overflowed or vanished
        largest = np.abs(X[is_lost]).max(axis=1, keepdims=True, initial=0)
        X = X.copy()
        X[is_lost] /= np.where(largest > 0, largest, 1)
        norms[is_lost] = np.linalg.norm(X[is_lost], axis=1, keepdims=True)
    return X / np.where(norms > 0, norms, 1)


def signed_power(X: Any, power: float) -> Any:
    """Raise the absolute values to a power and keep the signs; `X` itself where the power is 1.

    Tukey's ladder: a power below 1 draws in the long tail of features that count or that were rectified.
    Sparse rows stay sparse, since 0 stays 0.
    """
    if power == 1:
        return X
    if issparse(X):
        return csr_array((signed_power(X.data, power), X.indices, X.indptr), shape=X.shape)
    raised = np.abs(X)
    if power == 0.5:
        np.sqrt(raised, out=raised)
    else:
        np.power(raised, X.dtype.type(power), out=raised)
    return np.copysign(raised, X, out=raised)


def unit_sparse_rows(X: csr_array) -> csr_array:
    """Scale rows of a sparse matrix to length 1; zero rows stay."""
    largest = abs(X).max(axis=1).toarray().ravel()
    X = csr_array(diags_array(1 / np.where(largest > 0, largest, 1)) @ X)  # so that squares do not overflow
    norms = np.sqrt(X.multiply(X).sum(axis=1))
    return csr_array(diags_array(1 / np.where(norms > 0, norms, 1)) @ X).astype(X.dtype)
