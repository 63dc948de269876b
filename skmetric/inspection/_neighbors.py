"""NeighborsDisplay: queries and what was found for them, as pictures or text."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._items import are_pictures, check_items, pixels, wrapped
from ._style import BLACK, GREY, HIT, MISS, REFUSED, axes_of


class NeighborsDisplay:
    """Queries, one a row, and their nearest neighbours, as pictures or text, with distances.

    Hits have a blue frame and a check mark, misses a red one and a cross; what a threshold refuses is grey
    and dashed, with a circle. Make one with :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    queries, gallery : sequence of n_queries and of n_gallery pictures or texts
        Pictures are arrays (H, W), (H, W, 3) or (3, H, W), PIL images, or paths of image files.
    distances, indices : ndarray of shape (n_queries, n_neighbors)
        Neighbours of each query: rows of the gallery, nearest first.
    y, y_gallery : ndarray of shape (n_queries,) and (n_gallery,), default=None
        Labels.
    predictions : ndarray of shape (n_queries,), default=None
        What each query was taken for.
    cutpoint : float or ndarray of shape (n_queries, n_neighbors), default=None
        Largest distance that is accepted.
    no_match_label : label, default=None
        What queries are taken for that are farther than that.

    Attributes
    ----------
    ax_ : matplotlib Axes
        After `plot`.
    figure_ : matplotlib Figure
        After `plot`.

    See Also
    --------
    skmetric.SimilaritySearch.lookup : The same as a table.
    embedding_map : Neighbours by a click.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmetric.inspection import NeighborsDisplay
    >>> from skmetric.search import SimilaritySearch
    >>> digits = load_digits()
    >>> X, y, images = digits.data, digits.target, digits.images
    >>> search = SimilaritySearch().fit(X[:500], y[:500])
    >>> display = NeighborsDisplay.from_estimator(
    ...     search, X[500:504], y[500:504], queries=images[500:504], gallery=images[:500]
    ... )
    >>> display.indices.shape
    (4, 5)
    """

    def __init__(
        self, queries, gallery, distances, indices, y=None, y_gallery=None, predictions=None, cutpoint=None,
        no_match_label=None,
    ):  # fmt: skip
        self.queries = queries
        self.gallery = gallery
        self.distances = distances
        self.indices = indices
        self.y = y
        self.y_gallery = y_gallery
        self.predictions = predictions
        self.cutpoint = cutpoint
        self.no_match_label = no_match_label

    @classmethod
    def from_estimator(cls, estimator, X, y=None, *, queries=None, gallery, n_neighbors=None, ax=None):
        """Look queries up and draw what is found.

        Parameters
        ----------
        estimator : SimilaritySearch
            Fitted.
        X : array-like of shape (n_queries, ...)
            Queries, as the search takes them.
        y : array-like of shape (n_queries,), default=None
            Their true labels; what has none of the gallery's labels is a stranger.
        queries : sequence of n_queries pictures or texts, default=None
            What the queries look like; None shows `X` itself.
        gallery : sequence of n_gallery pictures or texts
            What the items of the gallery look like, in the order of the search's ``ids_``.
        n_neighbors : int, default=None
            Neighbours of each query; None takes the search's own number.
        ax : matplotlib Axes, default=None
            Where; None makes a figure.

        Returns
        -------
        NeighborsDisplay
            Drawn.
        """
        check_is_fitted(estimator)
        distances, indices = estimator.kneighbors(X, n_neighbors)
        labels = estimator.labels_
        cut = getattr(estimator, "cutpoint_", None)
        limit = None if cut is None else estimator.calibration_.cutpoints[cut]["distance"]
        if labels is not None and cut is not None:
            found = labels[indices]
            limit = estimator.calibration_.class_thresholds(found, cut).reshape(found.shape)
        return cls.from_predictions(
            X if queries is None else queries, gallery, distances, indices, y=y, y_gallery=labels,
            predictions=None if labels is None or cut is None else estimator.predict(X),
            cutpoint=limit,
            no_match_label=None if labels is None else estimator.no_match_label_, ax=ax,
        )  # fmt: skip

    @classmethod
    def from_predictions(
        cls, queries, gallery, distances, indices, *, y=None, y_gallery=None, predictions=None,
        cutpoint=None, no_match_label=None, ax=None,
    ):  # fmt: skip
        """Draw neighbours that are known already.

        Parameters
        ----------
        queries, gallery : sequence of n_queries and of n_gallery pictures or texts
            Pictures are arrays (H, W), (H, W, 3) or (3, H, W), PIL images, or paths of image files.
        distances, indices : array-like of shape (n_queries, n_neighbors)
            As of :func:`skmetric.retrieval.nearest`.
        y, y_gallery : array-like of shape (n_queries,) and (n_gallery,), default=None
            Labels.
        predictions : array-like of shape (n_queries,), default=None
            What each query was taken for.
        cutpoint : float or ndarray of shape (n_queries, n_neighbors), default=None
            Largest distance that is accepted, of each neighbour where classes have thresholds of their own.
        no_match_label : label, default=None
            What queries are taken for that are farther than that.
        ax : matplotlib Axes, default=None
            Where; None makes a figure.

        Returns
        -------
        NeighborsDisplay
            Drawn.

        Raises
        ------
        ValueError
            If the queries, distances, indices and labels do not go together.
        """
        distances, indices = np.asarray(distances, dtype=float), np.asarray(indices)
        if distances.ndim != 2 or distances.shape != indices.shape:
            raise ValueError(
                "distances and indices must both be (n_queries, n_neighbors); got "
                f"{distances.shape} and {indices.shape}"
            )
        check_items(queries, len(distances), "queries")
        if indices.size and indices.max() >= len(gallery):
            raise ValueError(f"indices has row {indices.max()}, and the gallery has {len(gallery)} items")
        y, y_gallery, predictions = (
            None if labels is None else np.asarray(labels) for labels in (y, y_gallery, predictions)
        )
        return cls(
            queries, gallery, distances, indices, y, y_gallery, predictions, cutpoint, no_match_label
        ).plot(ax=ax)

    def plot(self, ax=None, *, max_queries=8):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where; None makes a figure.
        max_queries : int, default=8
            Queries drawn, the first ones.

        Returns
        -------
        NeighborsDisplay
            The same.
        """
        n_rows, n_columns = min(max_queries, len(self.distances)), 1 + self.distances.shape[1]
        drawn_as = _Pictures if are_pictures(self.queries) else _Texts
        ax = axes_of(ax, width=drawn_as.width * n_columns, height=drawn_as.height * n_rows + 0.4)
        for i in range(n_rows):
            drawn_as.draw(ax, self.queries[i], 0, i, BLACK, "-", self._asked(i))
            for j in range(n_columns - 1):
                (color, mark), dash = self._look(i, j)
                caption = f"{mark} {self._label(self.indices[i, j])}\n{self.distances[i, j]:.3g}"
                drawn_as.draw(ax, self.gallery[self.indices[i, j]], j + 1, i, color, dash, caption)
        for j in range(n_columns):
            title = "query" if j == 0 else f"neighbour {j}"
            ax.text(j, -0.58, title, ha="center", va="bottom", fontsize="small", color=GREY)
        ax.set(xlim=(-0.55, n_columns - 0.45), ylim=(n_rows - 0.3, -0.8), xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _asked(self, i):
        true = "" if self.y is None else str(self.y[i])
        if self.predictions is None:
            return true
        refused = self.no_match_label is not None and str(self.predictions[i]) == str(self.no_match_label)
        taken = f"no match ({self.no_match_label})" if refused else f"taken for {self.predictions[i]}"
        return f"{true}\n{taken}" if true else taken

    def _label(self, row):
        return "" if self.y_gallery is None else str(self.y_gallery[row])

    def _look(self, i, j):
        """Colour and mark of a neighbour, and the line of its frame."""
        limit = np.inf if self.cutpoint is None else self.cutpoint
        if self.distances[i, j] > np.broadcast_to(limit, self.distances.shape)[i, j]:
            return REFUSED, "--"
        if self.y is None or self.y_gallery is None:
            return (BLACK, ""), "-"
        return (HIT if self.y_gallery[self.indices[i, j]] == self.y[i] else MISS), "-"


class _Pictures:
    width, height = 1.25, 1.65  # inches of a cell

    @staticmethod
    def draw(ax, item, column, row, color, dash, caption):
        """Put a picture and its caption into the cell; a cell is one unit wide and high."""
        shown = pixels(item)
        height, width = shown.shape[:2]
        half = 0.42 * np.array([width, height]) / max(width, height)  # of the cell's width
        half[1] *= _Pictures.width / _Pictures.height
        top = row - 0.14
        extent = (column - half[0], column + half[0], top + half[1], top - half[1])
        ax.imshow(shown, cmap="gray", extent=extent, aspect="auto", interpolation="nearest")
        frame = {"fill": False, "edgecolor": color, "linestyle": dash, "linewidth": 2.5}
        ax.add_patch(_rectangle((extent[0], extent[3]), 2 * half[0], 2 * half[1], **frame))
        ax.text(column, row + 0.21, caption, ha="center", va="top", fontsize="small", color=color)


class _Texts:
    width, height = 2.1, 1.3

    @staticmethod
    def draw(ax, item, column, row, color, dash, caption):
        """Put a text and its caption into the cell."""
        frame = {"fill": False, "edgecolor": color, "linestyle": dash, "linewidth": 1.5}
        ax.add_patch(_rectangle((column - 0.47, row - 0.48), 0.94, 0.66, **frame))
        ax.text(column, row - 0.15, wrapped(item), ha="center", va="center", fontsize="small")
        ax.text(
            column,
            row + 0.23,
            caption.replace("\n", "  "),
            ha="center",
            va="top",
            fontsize="small",
            color=color,
        )


def _rectangle(corner, width, height, **look):
    from matplotlib.patches import Rectangle

    return Rectangle(corner, width, height, **look)
