"""EmbeddingDisplay: embeddings in two dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from skmetric._checks import as_array, check_matrix
from skmetric._embedding import check_euclidean, embed
from skmetric._optional import import_optional

from ._items import as_column, coded
from ._style import BLACK, axes_of, finish, marker_and_color

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_METHODS = ("pca", "tsne", "umap")
_AXES = {"pca": "principal component", "tsne": "t-SNE", "umap": "UMAP"}
_MOST_LABELS = 60
_FEW_LABELS = 15  # more are written smaller
_LETTERS = 26  # of a name


class EmbeddingDisplay:
    """Embeddings drawn in the plane, classes by colour and mark, with their names where they lie.

    Make one with :meth:`from_estimator` or :meth:`from_predictions`. A plane shows neighbourhoods of many
    dimensions only in part: read scores from :func:`skmetric.metrics.retrieval_report`, not from the picture.

    Parameters
    ----------
    points : ndarray of shape (n_samples, 2)
        Positions.
    labels : ndarray of shape (n_samples,), default=None
        Classes.
    method : {"pca", "tsne", "umap"}, default="pca"
        Where the positions come from.
    explained : tuple of (float, float), default=None
        Shares of variance along the two axes of a PCA.

    Attributes
    ----------
    ax_ : matplotlib Axes
        After `plot`.
    figure_ : matplotlib Figure
        After `plot`.

    See Also
    --------
    embedding_map : A map to explore in the browser.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmetric import MetricLearner
    >>> from skmetric.inspection import EmbeddingDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> learner = MetricLearner(random_state=0).fit(X[y < 5], y[y < 5])
    >>> EmbeddingDisplay.from_estimator(learner, X[y >= 5], y[y >= 5]).points.shape
    (896, 2)
    """

    def __init__(
        self,
        points: np.ndarray,
        labels: np.ndarray | None = None,
        method: str = "pca",
        explained: np.ndarray | None = None,
    ) -> None:
        self.points = points
        self.labels = labels
        self.method = method
        self.explained = explained

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike | None = None,
        *,
        method: str = "pca",
        random_state: int | np.random.RandomState | None = 0,
        ax: Axes | None = None,
    ) -> Self:
        """Draw samples in the space of a learner.

        Parameters
        ----------
        estimator : transformer or pipeline
            Fitted.
        X : array-like of shape (n_samples, ...)
            Samples.
        y : array-like of shape (n_samples,), default=None
            Their labels.
        method : {"pca", "tsne", "umap"}, default="pca"
            How to come to two dimensions; "umap" needs umap-learn.
        random_state : int, default=0
            Of t-SNE and UMAP.
        ax : matplotlib Axes, default=None
            Where; None makes a figure.

        Returns
        -------
        EmbeddingDisplay
            Drawn.

        Raises
        ------
        ValueError
            If the learned distance is not Euclidean and the embeddings have more than two dimensions.
        """
        embeddings = embed(estimator, X)
        if embeddings.shape[1] > 2:  # two dimensions are drawn as they are
            check_euclidean(estimator, f"method={method!r}")
        return cls.from_predictions(embeddings, y, method=method, random_state=random_state, ax=ax)

    @classmethod
    def from_predictions(
        cls,
        embeddings: Any,
        y: ArrayLike | None = None,
        *,
        method: str = "pca",
        random_state: int | np.random.RandomState | None = 0,
        ax: Axes | None = None,
    ) -> Self:
        """Draw embeddings.

        Parameters
        ----------
        embeddings : array-like of shape (n_samples, n_features)
            Of two dimensions or more; two are drawn as they are.
        y : array-like of shape (n_samples,), default=None
            Labels.
        method : {"pca", "tsne", "umap"}, default="pca"
            How to come to two dimensions; "umap" needs umap-learn.
        random_state : int, default=0
            Of t-SNE and UMAP.
        ax : matplotlib Axes, default=None
            Where; None makes a figure.

        Returns
        -------
        EmbeddingDisplay
            Drawn.

        Raises
        ------
        ValueError
            If `method` is unknown, or rows and labels differ in number.
        """
        points, explained = project(embeddings, method, random_state)
        labels = None if y is None else as_column(y)
        if labels is not None and labels.shape != (len(points),):
            raise ValueError(f"y has shape {labels.shape}, and there are {len(points)} embeddings")
        return cls(points, labels, method, explained).plot(ax=ax)

    def plot(self, ax: Axes | None = None, *, size: int = 12, label_classes: bool = True) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where; None makes a figure.
        size : float, default=12
            Area of a point, in square points.
        label_classes : bool, default=True
            Write the name of each class at its middle, pushed aside where names would overlap; of more than
            60 classes none is written.

        Returns
        -------
        EmbeddingDisplay
            The same.
        """
        ax = axes_of(ax, width=6.4, height=5.2)
        labels = np.zeros(len(self.points), dtype=int) if self.labels is None else self.labels
        classes, codes = coded(labels)
        for i in range(len(classes)):
            marker, color = marker_and_color(i)
            x, y = self.points[codes == i].T
            ax.scatter(x, y, s=size, color=color, marker=marker, alpha=0.55, linewidths=0)
        names = axis_names(self.method, self.explained)
        finish(ax, xlabel=names[0], ylabel=names[1])
        if self.method != "pca":
            ax.set(xticks=[], yticks=[])  # their units mean nothing
        if self.labels is not None and label_classes and len(classes) <= _MOST_LABELS:
            middles = np.array([np.median(self.points[codes == i], axis=0) for i in range(len(classes))])
            colors = [marker_and_color(i)[1] for i in range(len(classes))]
            place_labels(ax, [str(label) for label in classes], middles, colors)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def axis_names(method, explained):
    """Names of the two axes, with the shares of variance of a PCA."""
    if explained is None:
        return f"{_AXES[method]} 1", f"{_AXES[method]} 2"
    return tuple(f"{_AXES[method]} {i + 1} ({share:.0%} of variance)" for i, share in enumerate(explained))


def project(embeddings, method, random_state):
    """Positions (n_samples, 2) of embeddings, and the shares of variance of a PCA."""
    if method not in _METHODS:
        raise ValueError(f"method must be one of {', '.join(map(repr, _METHODS))}; got {method!r}")
    embeddings = np.asarray(as_array(embeddings))
    if embeddings.ndim != 2 or embeddings.shape[1] < 2:
        raise ValueError(f"embeddings must be (n_samples, 2 or more); got shape {embeddings.shape}")
    embeddings = check_matrix(embeddings, "embeddings")
    if embeddings.shape[1] == 2:
        return embeddings, None
    if method == "pca":
        pca = PCA(2, random_state=random_state).fit(embeddings)
        return pca.transform(embeddings), tuple(pca.explained_variance_ratio_)
    if method == "tsne":
        perplexity = min(30.0, (len(embeddings) - 1) / 3)
        return TSNE(perplexity=perplexity, init="pca", random_state=random_state).fit_transform(
            embeddings
        ), None
    umap = import_optional("umap", extra="umap", purpose="method='umap'")
    return umap.UMAP(random_state=random_state, n_jobs=1).fit_transform(embeddings), None


def place_labels(ax, texts, positions, colors):
    """Write texts at positions, none over another; a line leads to where one was moved from."""
    figure = ax.figure
    look = {
        "textcoords": "offset points", "ha": "center", "va": "center", "fontweight": "bold",
        "fontsize": "small" if len(texts) <= _FEW_LABELS else "x-small",
        "bbox": {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
        "zorder": 4,
    }  # fmt: skip
    short = [shorten(text) for text in texts]
    drawn = [ax.annotate(text, at, xytext=(0, 0), **look) for text, at in zip(short, positions, strict=True)]
    renderer = figure.canvas.get_renderer() if hasattr(figure.canvas, "get_renderer") else None
    figure.draw_without_rendering()
    boxes = [text.get_bbox_patch().get_window_extent(renderer) for text in drawn]
    centers = np.array([[(b.x0 + b.x1) / 2, (b.y0 + b.y1) / 2] for b in boxes])
    sizes = np.array([[b.width, b.height] for b in boxes]) + 2
    moved = place_boxes(centers, sizes, ax.get_window_extent(renderer).get_points())
    for text, shift in zip(drawn, (moved - centers) * 72 / figure.dpi, strict=True):
        text.xyann = tuple(shift)
    to_data = ax.transData.inverted()
    for start, end, size, color in zip(centers, moved, sizes, colors, strict=True):
        if (np.abs(end - start) > size / 2).any():  # its box has left the place
            x, y = to_data.transform([start, end]).T
            ax.plot(x, y, color=color, linewidth=1, zorder=3)
            ax.plot(x[0], y[0], ".", color=BLACK, markersize=4, zorder=3)


def shorten(text):
    """At most 26 letters of a name, its middle left out."""
    return text if len(text) <= _LETTERS else f"{text[: _LETTERS // 2]}…{text[1 - _LETTERS // 2 :]}"


def place_boxes(centers, sizes, inside):
    """Centres (n, 2) of boxes, each as near to its own as it finds room among those placed before it.

    Boxes that have their place to themselves come first. One that finds no room stays where it is.

    Parameters
    ----------
    centers, sizes : ndarray of shape (n, 2)
        Where boxes want to be, and their sides.
    inside : ndarray of shape (2, 2)
        Corners of where they must be, lowest first.

    Returns
    -------
    ndarray of shape (n, 2)
        Costs O(n ** 2) with some thousand places tried for each.
    """
    low, high = inside[0] + sizes / 2, inside[1] - sizes / 2
    centers = np.clip(centers, np.minimum(low, high), np.maximum(low, high))
    placed = centers.copy()
    crowd = _overlap(centers[:, None], sizes[:, None], centers, sizes).sum(axis=1)
    done = np.zeros(len(centers), dtype=bool)
    for i in np.argsort(crowd, kind="stable"):
        tried = centers[i] + _shifts(sizes[i], inside[1] - inside[0])  # (n_tried, 2), nearest first
        tried = tried[((tried >= low[i]) & (tried <= high[i])).all(axis=1)]
        free = ~_overlap(tried[:, None], sizes[i], placed[done], sizes[done]).any(axis=1)
        if free.any():
            placed[i] = tried[free.argmax()]
        done[i] = True
    return placed


def _overlap(first, first_sizes, second, second_sizes):
    """Whether boxes about `first` (n, 1, 2) and about `second` (m, 2) overlap: (n, m)."""
    return (np.abs(first - second) < (first_sizes + second_sizes) / 2).all(axis=-1)


def _shifts(size, room):
    """Moves of a box, by halves of its height and eighths of its width, nearest first: (n, 2)."""
    steps = size / np.array([8, 2])
    counts = np.ceil(room / steps).astype(int)
    grid = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in counts), indexing="ij"), axis=-1)
    moves = grid.reshape(-1, 2) * steps
    return moves[np.argsort(np.square(moves).sum(axis=1), kind="stable")]
