"""Scatter inside classes and means of classes: all that the closed form needs, and sums that add up."""

from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from skmetric._documented import kept_as_dict

from ._sparse_moments import sparse_moments

_EPS = np.finfo(np.float64).eps
_MOST_COUNTS = 2.0**53  # beyond, float64 skips whole numbers
_LEAST = 1e-9  # share of the weight of a class that is none
TOO_LARGE = "X is too large: its squares overflow; divide it by a constant, or pass float64"
_FITTING = (1e-12, 1e15)  # largest entries whose squares, summed, float32 holds
_CHUNK = 8192  # rows held as a copy at a time
_DENSITY = 0.05  # share of entries that are not zero, above which blocks of dense rows are faster
_ENTRIES = 1 << 22  # of a block of sparse rows that is made dense


@kept_as_dict
class ClassScatter(NamedTuple):
    """Sufficient statistics of labelled samples; in float64.

    Attributes
    ----------
    weights : ndarray of shape (n_classes,)
        Sum of the sample weights of each class.
    means : ndarray of shape (n_classes, n_features)
        Mean of each class.
    within : ndarray of shape (n_features, n_features)
        Sum over samples of (x - class mean)(x - class mean)^T.
    squares : ndarray of shape (n_classes,), default=None
        Sum of the squared sample weights of each class, where a row of whole weight k counts as k rows of
        weight 1. None, as in pickles of earlier versions: the same as `weights`.
    n_features : int, default=None
        Features of the samples, where these statistics are those of their coordinates in fewer dimensions.
    """

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    within: NDArray[np.float64]
    squares: NDArray[np.float64] | None = None
    n_features: int | None = None

    @property
    def dimension(self) -> int:
        """Number of features."""
        return len(self.within) if self.n_features is None else self.n_features

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean of all samples, (n_features,)."""
        return self.weights @ self.means / self.weights.sum()

    def within_covariance(self) -> NDArray[np.float64]:
        """Pooled within-class covariance.

        Without bias for weights that are counts, and for others, of which only the proportions count: the
        freedom of a class is W - sum(w^2) / W, which is n - 1 for n rows of weight 1.
        """
        total = self.weights.sum()
        squares = self.weights if self.squares is None else self.squares
        freedom = total - (squares / self.weights).sum()
        return self.within / (freedom if freedom > len(self.within) * _EPS * total else total)

    def covariance(self) -> NDArray[np.float64]:
        """Covariance of all samples about their mean, (n_features, n_features)."""
        total = self.weights.sum()
        spread = self.means - self.mean
        return (self.within + (spread.T * self.weights) @ spread) / total

    def is_resolved(self) -> bool:
        """Whether samples of a class differ by more than rounding does, be it that of float32."""
        with np.errstate(over="ignore"):
            spread = self.weights @ np.square(self.means - self.mean).sum(axis=1)
            within = np.trace(self.within)
        if not np.isfinite(within + spread):
            raise ValueError(TOO_LARGE)
        return within > (8 * np.finfo(np.float32).eps) ** 2 * (within + spread)

    def mean_deviations(self) -> NDArray[np.float64]:
        """Class means about their average, over sqrt(n_classes - 1): their Gram matrix is the covariance."""
        return (self.means - self.means.mean(axis=0)) / np.sqrt(max(len(self.means) - 1, 1))


def class_scatter(
    X: Any,
    codes: NDArray,
    n_classes: int,
    sample_weight: NDArray | None = None,
    transform: Callable[[Any], Any] | None = None,
) -> ClassScatter:
    """Statistics of samples, in one pass and with O(n_features^2) memory.

    Parameters
    ----------
    X : ndarray or CSR array of shape (n_samples, n_features)
        Samples. Of sparse ones, at most a block is made dense.
    codes : ndarray of shape (n_samples,)
        Class of each, from 0.
    n_classes : int
        How many classes there are; each must have a sample.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weights above 0; None counts each row once. Of an integer array, as `as_weights` makes it, numbers are
        counts; of a float array, only the proportions count, also where its numbers are whole.
    transform : callable, default=None
        Applied to each chunk of rows, such as a normalisation.

    Returns
    -------
    ClassScatter
    """
    (n_samples, n_features), unit = X.shape, 1.0
    own_squares = None  # of weights that are no counts
    if sample_weight is not None and sample_weight.dtype.kind == "f":
        unit = float(sample_weight.max())  # so that small weights are not zeros in float32
        sample_weight = sample_weight / unit
        own_squares = np.bincount(codes, np.square(sample_weight), minlength=n_classes)
    weights = np.bincount(codes, weights=sample_weight, minlength=n_classes).astype(np.float64)
    squares = np.asarray(weights if own_squares is None else own_squares, np.float64)
    if issparse(X) and X.nnz < _DENSITY * n_samples * n_features:
        rows = X if transform is None else transform(X)
        weight = np.ones(n_samples) if sample_weight is None else sample_weight.astype(np.float64)
        means, within = sparse_moments(rows, codes, n_classes, weight)
        return ClassScatter(unit * weights, means, unit * within, np.asarray(unit**2 * squares))
    sums, products = np.zeros((n_classes, n_features)), np.zeros((n_features, n_features))
    # a point near each class: sums about it neither cancel, nor lose their digits far from the origin
    origins, is_new = np.zeros((n_classes, n_features), X.dtype), np.ones(n_classes, bool)
    step = min(_CHUNK, max(1, _ENTRIES // n_features)) if issparse(X) else _CHUNK
    for start in range(0, n_samples, step):
        rows = slice(start, start + step)
        part = dense(X[rows]) if transform is None else transform(dense(X[rows]))
        weight = np.ones(len(part), X.dtype) if sample_weight is None else sample_weight[rows].astype(X.dtype)
        indicator = csr_array((weight, codes[rows], np.arange(len(part) + 1)), shape=(len(part), n_classes))
        met = np.flatnonzero(is_new & (np.bincount(codes[rows], minlength=n_classes) > 0))
        if len(met):
            first = indicator[:, met].T  # (n_met, n_part)
            origins[met], is_new[met] = (first @ part) / first.sum(axis=1)[:, None], False
        part = _with_squares(part - origins[codes[rows]])
        sums += indicator.T @ part
        if sample_weight is not None:
            part *= np.sqrt(weight)[:, None]
        with np.errstate(over="ignore", invalid="ignore"):  # `TOO_LARGE` says it
            products += part.T @ part  # one symmetric rank update
    means = sums / weights[:, None]
    with np.errstate(over="ignore", invalid="ignore"):
        within = products - (means * weights[:, None]).T @ means
    if not np.isfinite(within).all():
        raise ValueError(TOO_LARGE)
    return ClassScatter(unit * weights, means + origins, unit * within, np.asarray(unit**2 * squares))


def _with_squares(part: NDArray[Any]) -> NDArray[Any]:
    """Rows as they are, in float64 if their squares would overflow or vanish in float32."""
    if part.dtype != np.float32 or not part.size:
        return part
    largest = max(float(part.max()), -float(part.min()))
    return part if largest == 0 or _FITTING[0] < largest < _FITTING[1] else part.astype(np.float64)


def dense(rows: Any) -> Any:
    """A block of sparse rows as an array; dense rows as they are."""
    return rows.toarray() if issparse(rows) else rows


def as_weights(sample_weight: NDArray[np.floating]) -> NDArray:
    """Whole weights, which say how often each row was seen, as integers; other weights unchanged.

    The type keeps what was decided on all rows: the weights of a fold may be whole by chance.
    """
    are_counts = (sample_weight == np.floor(sample_weight)).all() and sample_weight.sum() < _MOST_COUNTS
    return sample_weight.astype(np.int64) if are_counts else sample_weight


def merge(
    first: ClassScatter, second: ClassScatter, n_classes: int, first_codes: NDArray, second_codes: NDArray
) -> ClassScatter:
    """Statistics of the union of two sets of samples, exactly.

    `first_codes` and `second_codes` place the classes of each among the `n_classes` of the union. The scatter
    of a class that both hold gains the spread of its two means (Chan, Golub, LeVeque, COMPSTAT 1982).
    """
    n_features = first.means.shape[1]
    weights, means, squares = (
        np.zeros((2, n_classes)),
        np.zeros((2, n_classes, n_features)),
        np.zeros(n_classes),
    )
    for side, (part, codes) in enumerate([(first, first_codes), (second, second_codes)]):
        weights[side, codes], means[side, codes] = part.weights, part.means
        squares[codes] += part.weights if part.squares is None else part.squares
    total = weights.sum(axis=0)
    gap = np.sqrt(weights[0] * weights[1] / total)[:, None] * (means[0] - means[1])  # (n_classes, n_features)
    merged = (weights[:, :, None] * means).sum(axis=0) / total[:, None]
    return ClassScatter(total, merged, first.within + second.within + gap.T @ gap, squares)


def parted(whole: ClassScatter, part: ClassScatter, codes: NDArray) -> tuple[ClassScatter, NDArray[np.bool_]]:
    """Statistics of what is left of a set of samples without some of them: :func:`merge` undone.

    `codes` are the places of the classes of `part` among those of `whole`. A class that loses all of its
    weight is left out; the mask tells which classes stay.
    """
    weights, means = whole.weights.copy(), whole.means.copy()
    squares = (whole.weights if whole.squares is None else whole.squares).copy()
    weights[codes] -= part.weights
    squares[codes] -= part.weights if part.squares is None else part.squares
    left = weights[codes] > _LEAST * whole.weights[codes]  # classes of `part` that stay
    at, rest = codes[left], weights[codes[left]][:, None]
    means[at] = (
        whole.weights[at][:, None] * whole.means[at] - part.weights[left][:, None] * part.means[left]
    ) / rest
    share = np.sqrt(weights[at] * part.weights[left] / whole.weights[at])
    gap = share[:, None] * (means[at] - part.means[left])  # (n_left, n_features)
    kept = np.ones(len(weights), bool)
    kept[codes[~left]] = False
    within = whole.within - part.within - gap.T @ gap
    return ClassScatter(weights[kept], means[kept], within, squares[kept], whole.n_features), kept


def joined(parts: list[ClassScatter]) -> ClassScatter:
    """Statistics of samples of different classes, in the order of the parts."""
    return ClassScatter(
        np.concatenate([part.weights for part in parts]),
        np.concatenate([part.means for part in parts]),
        reduce(np.add, [part.within for part in parts]),
        np.concatenate([part.weights if part.squares is None else part.squares for part in parts]),
        parts[0].n_features,
    )
