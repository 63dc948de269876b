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
    ClassScatter
    """
    n_features = X.shape[1]
    weights = np.bincount(codes, weights=sample_weight, minlength=n_classes)
    sums, products = np.zeros((n_classes, n_features)), np.zeros((n_features, n_features))
    # a point near each class: sums about it neither cancel, nor lose their digits far from the origin
    origins, is_new = np.zeros((n_classes, n_features), X.dtype), np.ones(n_classes, bool)
    for start in range(0, len(X), _CHUNK):
        rows = slice(start, start + _CHUNK)
        part = X[rows] if transform is None else transform(X[rows])
        weight = np.ones(len(part), X.dtype) if sample_weight is None else sample_weight[rows].astype(X.dtype)
        indicator = csr_array((weight, codes[rows], np.arange(len(part) + 1)), shape=(len(part), n_classes))
        met = np.flatnonzero(is_new & (np.bincount(codes[rows], minlength=n_classes) > 0))
        if len(met):
            first = indicator[:, met].T  # (n_met, n_part)
            origins[met], is_new[met] = (first @ part) / first.sum(axis=1)[:, None], False
        part = part - origins[codes[rows]]
        sums += indicator.T @ part
        if sample_weight is not None:
            part *= np.sqrt(weight)[:, None]
        products += part.T @ part  # one symmetric rank update
    means = sums / weights[:, None]
    within = products - (means * weights[:, None]).T @ means
    return ClassScatter(weights, means + origins, within)


def merge(first, second, n_classes, first_codes, second_codes):
    """Statistics of the union of two sets of samples, exactly.

    `first_codes` and `second_codes` place the classes of each among the `n_classes` of the union. The scatter
    of a class that both hold gains the spread of its two means (Chan, Golub, LeVeque, COMPSTAT 1982).
    """
    n_features = first.means.shape[1]
    weights, means = np.zeros((2, n_classes)), np.zeros((2, n_classes, n_features))
    for side, (part, codes) in enumerate([(first, first_codes), (second, second_codes)]):
        weights[side, codes], means[side, codes] = part.weights, part.means
    total = weights.sum(axis=0)
    gap = np.sqrt(weights[0] * weights[1] / total)[:, None] * (means[0] - means[1])  # (n_classes, n_features)
    merged = (weights[:, :, None] * means).sum(axis=0) / total[:, None]
    return ClassScatter(total, merged, first.within + second.within + gap.T @ gap)
