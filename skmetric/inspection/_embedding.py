"""EmbeddingDisplay: embeddings in two dimensions."""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from skmetric._optional import import_optional
from skmetric.metrics._scorer import transformers_of

from ._style import axes_of, finish, marker_and_color

_METHODS = ("pca", "tsne", "umap")
_AXES = {"pca": "principal component", "tsne": "t-SNE", "umap": "UMAP"}
_MOST_LABELS = 60
_STEPS = 200  # of pushing labels apart


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

    def __init__(self, points, labels=None, method="pca", explained=None):
        self.points = points
        self.labels = labels
        self.method = method
        self.explained = explained

    @classmethod
    def from_estimator(cls, estimator, X, y=None, *, method="pca", random_state=0, ax=None):
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
        """
        for transformer in transformers_of(estimator) or [estimator]:
            X = transformer.transform(X)
        return cls.from_predictions(X, y, method=method, random_state=random_state, ax=ax)

    @classmethod
    def from_predictions(cls, embeddings, y=None, *, method="pca", random_state=0, ax=None):
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
        labels = None if y is None else np.asarray(y)
        if labels is not None and labels.shape != (len(points),):
            raise ValueError(f"y has shape {labels.shape}, and there are {len(points)} embeddings")
        return cls(points, labels, method, explained).plot(ax=ax)

    def plot(self, ax=None, *, size=12, label_classes=True):
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
        classes = np.unique(labels)
        for i, label in enumerate(classes):
            marker, color = marker_and_color(i)
            x, y = self.points[labels == label].T
            ax.scatter(x, y, s=size, color=color, marker=marker, alpha=0.55, linewidths=0)
        names = axis_names(self.method, self.explained)
        finish(ax, xlabel=names[0], ylabel=names[1])
        if self.method != "pca":
            ax.set(xticks=[], yticks=[])  # their units mean nothing
        if self.labels is not None and label_classes and len(classes) <= _MOST_LABELS:
            middles = np.array([np.median(self.points[labels == label], axis=0) for label in classes])
            place_labels(ax, [str(label) for label in classes], middles)
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
    embeddings = np.asarray(embeddings)
    if embeddings.ndim != 2 or embeddings.shape[1] < 2:
        raise ValueError(f"embeddings must be (n_samples, 2 or more); got shape {embeddings.shape}")
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
    umap = import_optional("umap", extra="plot", purpose="method='umap'")
    return umap.UMAP(random_state=random_state).fit_transform(embeddings), None


def place_labels(ax, texts, positions):
    """Write texts near positions, none over another: boxes push each other apart, along the shorter way."""
    figure = ax.figure
    drawn = [
        ax.annotate(
            text, position, xytext=(0, 0), textcoords="offset points", ha="center", va="center",
            fontsize="small", fontweight="bold",
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
        )
        for text, position in zip(texts, positions, strict=True)
    ]  # fmt: skip
    renderer = figure.canvas.get_renderer() if hasattr(figure.canvas, "get_renderer") else None
    figure.draw_without_rendering()
    boxes = [text.get_window_extent(renderer) for text in drawn]
    centers = np.array([[(b.x0 + b.x1) / 2, (b.y0 + b.y1) / 2] for b in boxes])
    sizes = np.array([[b.width, b.height] for b in boxes]) * 1.15 + 2
    moved = push_apart(centers, sizes)
    for text, shift in zip(drawn, (moved - centers) * 72 / figure.dpi, strict=True):
        text.xyann = tuple(shift)


def push_apart(centers, sizes):
    """Centres (n, 2) of boxes of these sizes, moved until none overlaps or patience ends."""
    centers = np.array(centers, float) + np.arange(len(centers))[:, None] * 1e-6  # no two coincide
    for _ in range(_STEPS):
        offset = centers[:, None] - centers[None]  # (n, n, 2)
        overlap = (sizes[:, None] + sizes[None]) / 2 - np.abs(offset)
        clash = (overlap > 0).all(axis=2) & ~np.eye(len(centers), dtype=bool)
        if not clash.any():
            break
        along = overlap.argmin(axis=2)[..., None] == np.arange(2)  # the shorter way
        push = np.where(along & clash[..., None], np.sign(offset) * overlap / 2, 0)
        centers += 0.7 * push.sum(axis=1) + 0.01 * np.sign(push.sum(axis=1))
    return centers
