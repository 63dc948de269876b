"""DistanceHistogramDisplay: how far the same class, other classes and strangers are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array, check_random_state, column_or_1d

from skmetric._checks import as_array, check_finite_rows, check_labels
from skmetric._embedding import Distance, distance_of, embed
from skmetric.retrieval import nearest

from ._style import BLACK, BLUE, GREY, RED, axes_of, finish, legend_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOOKS = {
    "same": ("same class", BLUE, "///", "-"),
    "other": ("other class", RED, "...", "--"),
    "strangers": ("strangers", GREY, "", ":"),
}


class DistanceHistogramDisplay:
    """Histograms of distances between samples of one class, of two classes, and of strangers.

    Make one with :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    same : ndarray of shape (n_same,)
        Distances within classes.
    other : ndarray of shape (n_other,)
        Distances between classes.
    strangers : ndarray of shape (n_strangers,), default=None
        Distances of samples of no known class.
    cutpoint : float, default=None
        Largest distance that is accepted. That of a search whose matcher compares another quantity, such as
        "center" and "ratio", is not drawn.
    xlabel : str, default="distance"
        What the distances are of.

    Attributes
    ----------
    ax_ : matplotlib Axes
        After `plot`.
    figure_ : matplotlib Figure
        After `plot`.

    See Also
    --------
    ThresholdDisplay : Rates over the same distances.
    skmetric.metrics.verification_report : The figures.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmetric import MetricLearner
    >>> from skmetric.inspection import DistanceHistogramDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> learner = MetricLearner(random_state=0).fit(X[y < 5], y[y < 5])
    >>> display = DistanceHistogramDisplay.from_estimator(learner, X[y >= 5], y[y >= 5])
    >>> round(float(display.same.mean()), 2), round(float(display.other.mean()), 2)
    (1.02, 1.4)
    """

    def __init__(
        self,
        same: np.ndarray,
        other: np.ndarray,
        strangers: np.ndarray | None = None,
        cutpoint: Any = None,
        xlabel: str = "distance",
    ) -> None:
        self.same = same
        self.other = other
        self.strangers = strangers
        self.cutpoint = cutpoint
        self.xlabel = xlabel

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike | None,
        *,
        X_unknown: Any = None,
        max_pairs: int = 200_000,
        random_state: int | np.random.RandomState | None = 0,
        ax: Axes | None = None,
    ) -> Self:
        """Draw distances in the space of a learner, or between queries and the gallery of a search.

        Parameters
        ----------
        estimator : transformer, pipeline or SimilaritySearch
            Fitted. Of a learner the distances between rows of `X` are drawn; of a search the distance of each
            query to the nearest item of its class and to the nearest of another, with the cutpoint in use.
        X : array-like of shape (n_samples, ...)
            Samples, best of classes that were never trained on.
        y : array-like of shape (n_samples,)
            Their labels.
        X_unknown : array-like of shape (n_unknown, ...), default=None
            Samples of no known class.
        max_pairs : int, default=200_000
            Pairs of rows of `X` that are looked at, drawn at random; a search looks at all its queries.
        random_state : int, RandomState instance or None, default=0
            Of that draw.
        ax : matplotlib Axes, default=None
            Where; None makes a figure.

        Returns
        -------
        DistanceHistogramDisplay
            Drawn.
        """
        if hasattr(estimator, "kneighbors") and hasattr(estimator, "index_"):
            distances = _of_search(estimator, X, y, X_unknown)
            label = "distance to the nearest item of the gallery"
        else:
            distances = _of_pairs(estimator, X, y, X_unknown, max_pairs, check_random_state(random_state))
            label = "distance between two samples"
        same, other, strangers, cutpoint = distances
        return cls(same, other, strangers, cutpoint, label).plot(ax=ax)

    @classmethod
    def from_predictions(
        cls,
        same: ArrayLike,
        other: ArrayLike,
        *,
        strangers: ArrayLike | None = None,
        cutpoint: ArrayLike | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw distances that are known already.

        Parameters
        ----------
        same : array-like of shape (n_same,)
            Distances within classes.
        other : array-like of shape (n_other,)
            Distances between classes.
        strangers : array-like of shape (n_strangers,), default=None
            Distances of samples of no known class.
        cutpoint : float, default=None
            Largest distance that is accepted.
        ax : matplotlib Axes, default=None
            Where; None makes a figure.

        Returns
        -------
        DistanceHistogramDisplay
            Drawn.
        """
        same, other = _checked(same, "same"), _checked(other, "other")
        strangers = None if strangers is None else _checked(strangers, "strangers")
        return cls(same, other, strangers, cutpoint).plot(ax=ax)

    def plot(self, ax: Axes | None = None, *, n_bins: int = 50) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where; None makes a figure.
        n_bins : int, default=50
            Bins between the smallest and the largest distance.

        Returns
        -------
        DistanceHistogramDisplay
            The same.
        """
        ax = axes_of(ax)
        drawn = {name: getattr(self, name) for name in _LOOKS if getattr(self, name) is not None}
        every = np.concatenate(list(drawn.values()))
        if not len(every):
            raise ValueError("there is no distance to draw: same, other and strangers are empty")
        bins = _bins(every, n_bins)
        for name, distances in drawn.items():
            label, color, hatch, dash = _LOOKS[name]
            weights = np.full(len(distances), 1 / max(len(distances), 1))
            look: dict[str, Any] = {
                "linestyle": dash,
                "linewidth": 1.5,
                "hatch": hatch,
            }
            look |= {"facecolor": (*_rgb(color), 0.25), "edgecolor": color}
            count = f"{label} ({len(distances):,})"
            ax.hist(distances, bins.tolist(), weights=weights, histtype="stepfilled", label=count, **look)
        if self.cutpoint is not None:
            ax.axvline(self.cutpoint, color=BLACK, linewidth=1.2, label=f"cutpoint {self.cutpoint:.3g}")
        legend_beside(ax)
        finish(ax, xlabel=self.xlabel, ylabel="share in the bin")
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _checked(distances: Any, name: str) -> np.ndarray:
    """Distances as a finite array of one dimension, maybe empty."""
    look = {"ensure_2d": False, "ensure_min_samples": 0, "ensure_all_finite": False, "input_name": name}
    distances = column_or_1d(check_array(as_array(distances), dtype=np.float64, **look))
    check_finite_rows(distances, name)
    return distances


def _bins(distances, n_bins):
    """Edges of bins of equal width; where the values have no width, bins over a width of 1 or more."""
    low, high = float(distances.min()), float(distances.max())
    if (high - low) / n_bins <= np.finfo(float).tiny + abs(high) * np.finfo(float).eps:
        low, high = low - max(0.5, abs(low) / 2), low + max(0.5, abs(low) / 2)
    return np.linspace(low, high, n_bins + 1)


def _rgb(color):
    return tuple(int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))


def _of_pairs(estimator, X, y, X_unknown, max_pairs, rng):
    """Distances of pairs drawn at random: same class, other class, stranger to a row of `X`."""
    distance, embeddings = distance_of(estimator), embed(estimator, X)
    y = check_labels(y, len(embeddings))
    first, second = (
        np.triu_indices(len(y), k=1) if len(y) <= 2000 else rng.randint(len(y), size=(2, max_pairs))
    )
    differ = first != second
    first, second = first[differ], second[differ]
    same = y[first] == y[second]
    strangers = None
    if X_unknown is not None:
        unknown = embed(estimator, X_unknown)
        pairs = rng.randint(len(unknown), size=max_pairs), rng.randint(len(y), size=max_pairs)
        strangers = _distances(distance, unknown, pairs[0], embeddings, pairs[1])
    kinds = (_drawn(np.flatnonzero(mask), max_pairs // 2, rng) for mask in (same, ~same))
    alike, apart = (_distances(distance, embeddings, first[at], embeddings, second[at]) for at in kinds)
    return alike, apart, strangers, None


def _drawn(rows, n, rng):
    return rows if len(rows) <= n else rng.choice(rows, n, replace=False)


def _distances(distance: Distance, A, a, B, b):
    """Distances between rows `a` of `A` and rows `b` of `B`, in blocks."""
    starts = range(0, max(len(a), 1), 4096)
    return np.concatenate([distance(A[a[at : at + 4096]], B[b[at : at + 4096]]) for at in starts])


def _of_search(search, X, y, X_unknown):
    """Distances of queries to the nearest item of their class, of another; of strangers to the nearest.

    A query that is an item of the gallery, at distance 0 from one of its class, is compared with the others.
    """
    queries = embed(search, X)
    y = check_labels(y, len(queries))
    gallery, labels = search.index_.vectors(), search.labels_
    if labels is None:
        raise ValueError("the gallery has no labels, by which distances are told apart: fit with y")
    same, other = np.full(len(y), np.nan), np.full(len(y), np.nan)
    for label in np.unique(y):
        asked, own = y == label, labels == label
        if own.any():
            near = nearest(queries[asked], gallery[own], min(2, int(own.sum()))).distances
            near = np.pad(near, ((0, 0), (0, 1)), constant_values=np.nan)  # where there is no other item
            same[asked] = np.where(near[:, 0] == 0, near[:, 1], near[:, 0])  # a query that is an item
        if not own.all():
            other[asked] = nearest(queries[asked], gallery[~own]).distances[:, 0]
    strangers = None if X_unknown is None else nearest(embed(search, X_unknown), gallery).distances[:, 0]
    name = search._item_cutpoint()
    cutpoint = None if name is None else search.calibration_.cutpoints[name]["distance"]
    return same[~np.isnan(same)], other[~np.isnan(other)], strangers, cutpoint
