"""Scatter inside classes and means of classes: all that the closed form needs, and sums that add up."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

_CHUNK = 8192  # rows held as a copy at a time


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
    """

    weights: np.ndarray
    means: np.ndarray
    within: np.ndarray

    @property
    def mean(self):
        """Mean of all samples, (n_features,)."""
        return self.weights @ self.means / self.weights.sum()

    def within_covariance(self):
        """Pooled within-class covariance; weights count as repeated rows."""
        freedom = self.weights.sum() - len(self.weights)
        return self.within / (freedom if freedom > 0 else self.weights.sum())

    def covariance(self):
        """Covariance of all samples about their mean, (n_features, n_features)."""
        total = self.weights.sum()
        spread = self.means - self.mean
        return (self.within + (spread.T * self.weights) @ spread) / total

    def is_resolved(self):
        """Whether samples of a class differ by more than rounding does, be it that of float32."""
        spread = self.weights @ np.square(self.means - self.mean).sum(axis=1)
        within = np.trace(self.within)
        return within > (8 * np.finfo(np.float32).eps) ** 2 * (within + spread)

    def mean_deviations(self):
        """Class means about their average, over sqrt(n_classes - 1): their Gram matrix is the covariance."""
        return (self.means - self.means.mean(axis=0)) / np.sqrt(max(len(self.means) - 1, 1))


def class_scatter(X, codes, n_classes, sample_weight=None, transform=None):
    """Statistics of samples, in one pass and with O(n_features^2) memory.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Samples.
    codes : ndarray of shape (n_samples,)
        Class of each, from 0.
    n_classes : int
        How many classes there are; each must have a sample.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weights above 0; None counts each row once.
    transform : callable, default=None
        Applied to each chunk of rows, such as a normalisation.

    Returns
    -------
    scatter : ClassScatter
    """
    scatter, shift = _empty(n_classes, X.shape[1]), None
    for start in range(0, len(X), _CHUNK):
        rows = slice(start, start + _CHUNK)
        part = X[rows] if transform is None else transform(X[rows])
        if shift is None:  # any point near the data will do: far from it float32 has no digits left
            shift = part.mean(axis=0, dtype=np.float64).astype(X.dtype)
        present, local = np.unique(codes[rows], return_inverse=True)
        weight = None if sample_weight is None else sample_weight[rows]
        _absorb(scatter, _chunk_scatter(part - shift, local, len(present), weight), present)
    return scatter._replace(means=scatter.means + shift.astype(np.float64))


def merge(first, second, n_classes, first_codes, second_codes):
    """Statistics of the union of two sets of samples, exactly.

    `first_codes` and `second_codes` place the classes of each among the `n_classes` of the union.
    """
    union = _empty(n_classes, first.means.shape[1])
    _absorb(union, first, first_codes)
    _absorb(union, second, second_codes)
    return union


def _empty(n_classes, n_features):
    return ClassScatter(
        np.zeros(n_classes), np.zeros((n_classes, n_features)), np.zeros((n_features, n_features))
    )


def _chunk_scatter(part, codes, n_classes, sample_weight):
    """Statistics of few rows, which are overwritten: about means of their own, so that nothing cancels."""
    weight = np.ones(len(part), part.dtype) if sample_weight is None else sample_weight.astype(part.dtype)
    indicator = csr_array((weight, codes, np.arange(len(part) + 1)), shape=(len(part), n_classes))
    weights = np.bincount(codes, weight, minlength=n_classes)
    means = (indicator.T @ part) / weights[:, None].astype(part.dtype)
    part -= means[codes]
    if sample_weight is not None:
        part *= np.sqrt(weight)[:, None]
    return ClassScatter(weights, means.astype(np.float64), part.T @ part)  # one symmetric rank update


def _absorb(total, part, codes):
    """Add `part` to `total`, in place; `codes` places its classes.

    The scatter of a class that both hold gains the spread of its two means (Chan, Golub, LeVeque, COMPSTAT
    1982).
    """
    before, gap = total.weights[codes], part.means - total.means[codes]  # (n_part_classes, n_features)
    share = part.weights / (before + part.weights)
    spread = (np.sqrt(before * share)[:, None] * gap)[before > 0].astype(part.within.dtype, copy=False)
    total.weights[codes] += part.weights
    total.means[codes] += share[:, None] * gap
    np.add(total.within, part.within, out=total.within)
    np.add(total.within, spread.T @ spread, out=total.within)
