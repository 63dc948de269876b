"""Chance level of each score: its expected value when the gallery is in random order.

All are exact and take no simulation. `n` is the number of items that a query is searched among (an int, or an
array like `R`), `R` >= 1 (an array) how many of them are relevant. A cut-off `k` may be beyond `n` where
groups leave few items: the ranks beyond hold nothing.
"""

from typing import Any

import numpy as np
from scipy.special import digamma, gammaln


def recall_at_k(R: Any, n: Any, k: int) -> Any:
    """One minus the hypergeometric probability C(n - R, k) / C(n, k) of no hit."""
    misses = np.maximum(n - R - k, 0)
    log_miss = gammaln(n - R + 1) - gammaln(misses + 1) - gammaln(n + 1) + gammaln(np.maximum(n - k, 0) + 1)
    return np.where(n - R >= k, -np.expm1(log_miss), 1.0)


def precision_at_k(R: Any, n: Any, k: int) -> Any:
    """Every rank that there is is relevant with probability R / n."""
    return R / np.maximum(n, k)


def r_precision(R: Any, n: Any) -> Any:
    """Every rank is relevant with probability R / n."""
    return R / n


def map_at_r(R: Any, n: Any) -> Any:
    """The sum of :func:`average_precision` cut at rank R."""
    return _expected_precision_sum(R, n, R)


def average_precision(R: Any, n: Any) -> Any:
    """H_n / n + (R - 1)(n - H_n) / (n (n - 1)), see Bestgen, "Exact expected average precision", 2015."""
    return _expected_precision_sum(R, n, n)


def reciprocal_rank(R: Any, n: Any) -> Any:
    """R (H_n - H_{R-1}) / (n - R + 1).

    The first hit is at rank r with probability C(n - r, R - 1) / C(n, R), and the sum of C(n - r, R - 1) /
    r over r is C(n, R - 1) (H_n - H_{R-1}): Graham, Knuth, Patashnik, "Concrete mathematics", eq. 7.43.
    """
    return R / (n - R + 1) * (_harmonic(n) - _harmonic(R - 1))


def ndcg_at_k(R: Any, n: Any, k: int) -> Any:
    """Every discount is gained with probability R / n."""
    best = np.cumsum(1 / np.log2(np.arange(2, k + 2)))  # (k,)
    return R / n * best[np.minimum(n, k) - 1] / best[np.minimum(R, k) - 1]


def ir_recall_at_k(R: Any, n: Any, k: int) -> Any:
    """Every relevant item is among the first k with probability k / n."""
    return np.minimum(k / n, 1.0)


def f1_at_k(R: Any, n: Any, k: int) -> Any:
    """Twice the expected k R / n hits, over k + R."""
    return 2 * R * np.minimum(k / n, 1.0) / (k + R)


def average_precision_at_k(R: Any, n: Any, k: int) -> Any:
    """The sum of :func:`average_precision` cut at rank k, over min(R, k)."""
    return _expected_precision_sum(R, n, np.minimum(n, k)) * R / np.minimum(R, k)


def _expected_precision_sum(R: Any, n: Any, depth: Any) -> Any:
    """Expected precision at the hits of the first `depth` ranks, summed, over R.

    Rank i is a hit with probability R / n, and each of the i - 1 before it then with (R - 1) / (n - 1), so
    that rank i adds R / n * (1 + (i - 1)(R - 1) / (n - 1)) / i.
    """
    others = (R - 1) / np.maximum(n - 1, 1)
    return (_harmonic(depth) + others * (depth - _harmonic(depth))) / n


def _harmonic(n: Any) -> Any:
    """H_n = 1 + 1/2 + ... + 1/n."""
    return digamma(np.asarray(n) + 1.0) + np.euler_gamma
