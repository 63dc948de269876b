"""Thresholds of classes: the common one times a factor, by how near other classes come to each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmetric.search._calibration._gathering._evidence import Evidence

_LEAST = 2  # queries of a class, from which it gets a factor
_EXPONENT = 0.5
_FLOOR = 0.01  # quantile of the distances above 0 below which logarithms would run away


class Factors(NamedTuple):
    """Factors by class, and the factor for each query, which was estimated without that query."""

    by_class: dict[int, float]  # by code; other classes have 1
    known: NDArray  # (n_known,)
    strangers: NDArray  # (n_strangers,)
    seconds: NDArray  # (n_strangers,)


def class_factors(evidence: Evidence) -> Factors:
    """How large the threshold of each class is, as a share of the common one.

    A class with look-alikes needs a strict threshold, and a class far from all others can have a wide one:
    the radius of a class is set by how near other classes come, as in the extreme value machine [1]_ and in
    score normalisation by impostors [2]_. The scale of a class is the mean logarithm of the distances at
    which its queries are matched to other classes, their own hidden. Its deviation from the mean of all
    classes is shrunk by its reliability t / (t + s / n), with the variance t between classes, the variance s
    inside them and n queries: empirical Bayes [3]_, the variances by the method of moments. Half of it
    counts: the threshold is the geometric mean of the common one and that of the class, as in local scaling
    [4]_.

    A query is never judged by a mean that it is part of. A known query is left out of the mean of its class.
    For a stranger, items of the matched class whose own match was the class of the stranger take their second
    match. The mean of classes and the two variances are those of all.

    References
    ----------
    .. [1] E. Rudd, L. Jain, W. Scheirer, T. Boult, "The extreme value machine", PAMI 40, 2018.
    .. [2] R. Auckenthaler, M. Carey, H. Lloyd-Thomas, "Score normalization for text-independent speaker
       verification systems", Digital Signal Processing 10, 2000 (Z-norm).
    .. [3] B. Efron, C. Morris, "Data analysis using Stein's estimator and its generalizations",
       JASA 70, 1975.
    .. [4] L. Zelnik-Manor, P. Perona, "Self-tuning spectral clustering", NIPS 2004.
    """
    hidden = evidence.stranger_classes >= 0
    classes, matches = evidence.stranger_classes.astype(np.int64), evidence.stranger_matches.astype(np.int64)
    codes = classes[hidden]  # 64 bits, for the numbers of pairs below
    second_distances, second_matches = evidence.second_distances, evidence.second_matches
    if second_distances is None or second_matches is None:
        raise TypeError("evidence gathered without second matches")
    n_codes = int(max(codes.max(initial=-1), matches.max(), second_matches.max())) + 1
    if not hidden.any():  # strangers of other classes only, which say nothing of how near classes come
        rows, strangers = len(evidence.known_rows), len(evidence.stranger_distances)
        return Factors({}, np.ones(rows), np.ones(strangers), np.ones(strangers))
    log, log_second = _logarithms(evidence.stranger_distances, second_distances)
    groups = _Groups.of(log[hidden], codes, n_codes)
    enough = groups.counts >= _LEAST
    if not groups.between or not enough.any():
        return Factors({}, *(np.ones(len(a)) for a in (evidence.known_rows, log, log)))

    def factor(code, change=0.0, fewer=0):
        shift = groups.shrunk(groups.sums[code] + change, groups.counts[code] - fewer)
        return np.where(enough[code], np.exp(_EXPONENT * shift), 1.0)

    # what the sum of a class becomes where another is hidden too: its items then take their second match
    pairs, places = np.unique(codes * n_codes + matches[hidden], return_inverse=True)
    changes = np.append(np.bincount(places, (log_second - log)[hidden]), 0.0)

    def where_own_is_hidden(matched):
        asked = matched * n_codes + classes
        at = np.searchsorted(pairs, asked)
        found = (at < len(pairs)) & (pairs[np.minimum(at, len(pairs) - 1)] == asked)
        return factor(matched, changes[np.where(found & hidden, at, -1)])

    left_out = factor(evidence.known_classes, -log[evidence.known_rows], 1)
    return Factors(
        {int(code): float(factor(code)) for code in np.flatnonzero(enough)},
        np.where(evidence.known_right, left_out, factor(evidence.known_matches)),
        where_own_is_hidden(matches),
        where_own_is_hidden(second_matches.astype(np.int64)),
    )


def scaled(evidence: Evidence, factors: Factors) -> Evidence:
    """Evidence with each distance over the factor of the class that it leads to."""
    seconds = evidence.second_distances
    return evidence._replace(
        known_distances=evidence.known_distances / factors.known,
        stranger_distances=evidence.stranger_distances / factors.strangers,
        second_distances=None if seconds is None else seconds / factors.seconds,
    )


def with_factors(
    evidence: Evidence, decode: Callable[[NDArray], NDArray], matcher: object
) -> tuple[Evidence, dict[Any, float]]:
    """Evidence over the factors of classes, and the factors by label.

    `decode` gives the labels of codes; `matcher` is named in errors.
    """
    if evidence.second_distances is None:
        raise ValueError("per_class=True compares classes: the gallery must have three or more")
    if min(evidence.known_distances.min(initial=0), evidence.stranger_distances.min()) < 0:
        raise ValueError(f"per_class=True scales distances: matcher={matcher!r} gives some below 0")
    factors = class_factors(evidence)
    names = decode(np.fromiter(factors.by_class, dtype=int)).tolist()
    return scaled(evidence, factors), dict(zip(names, factors.by_class.values(), strict=True))


def over_factors(distances: NDArray, names: NDArray, factors: Mapping[Any, float]) -> NDArray:
    """Distances of matches to classes `names`, divided by their `factors`: comparable with one threshold."""
    if not factors:
        return distances
    return distances / np.array([factors.get(name, 1.0) for name in names.tolist()])


class _Groups(NamedTuple):
    """Sums and counts by group, and what one-way random effects say of them."""

    sums: NDArray
    counts: NDArray
    mean: float  # of groups
    between: float  # variance
    within: float

    @classmethod
    def of(cls, values, groups, n_groups):
        """Estimate by the method of moments; groups may be empty."""
        counts, sums = np.bincount(groups, minlength=n_groups), np.bincount(groups, values, n_groups)
        n, n_present = len(values), np.count_nonzero(counts)
        means = sums / np.maximum(counts, 1)
        within = ((values - means[groups]) ** 2).sum() / max(n - n_present, 1)
        scatter = (counts * (means - values.mean()) ** 2).sum()
        spare = n - (counts.astype(float) ** 2).sum() / n
        between = max((scatter - (n_present - 1) * within) / spare, 0.0) if spare > 0 else 0.0
        precision = _over(counts, counts * between + within) if between else counts
        return cls(
            sums, counts, float((precision * means).sum() / max(precision.sum(), 1e-300)), between, within
        )

    def shrunk(self, sums, counts):
        """Deviation of a group from the mean of groups, by its reliability."""
        return _over(self.between * (sums - counts * self.mean), counts * self.between + self.within)


def _over(a, b):
    """Their ratio; 0 for groups without a member, where both are 0."""
    return np.divide(a, b, out=np.zeros(np.shape(a)), where=b > 0)


def _logarithms(distances, second):
    """Logarithms of distances from a floor on, and of the second distances where there are some."""
    positive = distances[distances > 0]
    floor = np.quantile(positive, _FLOOR, method="lower") if len(positive) else 1.0
    log = np.log(np.maximum(distances, floor))
    return log, np.where(np.isfinite(second), np.log(np.maximum(second, floor)), log)
