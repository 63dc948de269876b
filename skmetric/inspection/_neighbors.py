"""NeighborsDisplay: queries and what was found for them, as pictures or text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skmetric._checks import as_array
from skmetric._params import safe_indexing

from ._items import are_pictures, as_column, as_items, check_items, pixels, wrapped
from ._style import BLACK, GREY, HIT, MISS, REFUSED, axes_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# inches
_PICTURE = 1.05  # the longer side
_LINE = 0.145  # of a caption
_GAP = 0.18  # between rows
_TITLES = 0.3


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
        self,
        queries: Sequence[Any] | np.ndarray,
        gallery: Sequence[Any] | np.ndarray,
        distances: np.ndarray,
        indices: np.ndarray,
        y: np.ndarray | None = None,
        y_gallery: np.ndarray | None = None,
        predictions: np.ndarray | None = None,
        cutpoint: Any = None,
        no_match_label: Any = None,
    ) -> None:
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
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike | None = None,
        *,
        queries: Any = None,
        gallery: Any = None,
        n_neighbors: int | None = None,
        worst: bool = False,
        ax: Axes | None = None,
    ) -> Self:
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
        gallery : sequence of n_gallery pictures or texts, default=None
            What the items of the gallery look like, in the order of the search's ``ids_``. None takes the
            files that the search knows: its column "path", which a search that was fitted on paths has.
        n_neighbors : int, default=None
            Neighbours of each query; None takes the search's own number.
        worst : bool, default=False
            Whether to draw the queries with the smallest MAP@R first; queries with nothing to find come last.
            Needs `y`.
        ax : matplotlib Axes, default=None
            Where; None makes a figure.

        Returns
        -------
        NeighborsDisplay
            Drawn.

        Raises
        ------
        ValueError
            If `gallery` is None and the search knows no paths, or `worst` is asked for without `y`.
        """
        check_is_fitted(estimator)
        if worst:
            if y is None:
                raise ValueError("worst=True sorts queries by how well their class is found: give y")
            found = estimator.evaluate(X, y, n_resamples=1, per_query=True).per_query["map_at_r"]
            order = np.argsort(found, kind="stable")  # NaN, of strangers, comes last
            X, y, queries = (None if part is None else safe_indexing(part, order) for part in (X, y, queries))
        distances, indices = estimator.kneighbors(X, n_neighbors)
        if gallery is None:
            gallery = _paths_of(estimator, indices)
        labels = estimator.labels_
        refuses = labels is not None and getattr(estimator, "cutpoint_", None) is not None
        cut = estimator._item_cutpoint(is_ranked=True) if refuses else None
        limit = None if cut is None else estimator.calibration_.cutpoints[cut]["distance"]
        if cut is not None:
            there = indices >= 0  # -1 at distance infinity is no item: an approximate index found fewer
            limit = np.full(indices.shape, np.nan)
            limit[there] = estimator.calibration_.class_thresholds(labels[indices[there]], cut)
        return cls.from_predictions(
            X if queries is None else queries, gallery, distances, indices, y=y, y_gallery=labels,
            predictions=estimator.predict(X) if refuses else None,
            cutpoint=limit,
            no_match_label=None if labels is None else estimator.no_match_label_, ax=ax,
        )  # fmt: skip

    @classmethod
    def from_predictions(
        cls,
        queries: Any,
        gallery: Any,
        distances: ArrayLike,
        indices: ArrayLike,
        *,
        y: ArrayLike | None = None,
        y_gallery: ArrayLike | None = None,
        predictions: ArrayLike | None = None,
        cutpoint: Any = None,
        no_match_label: Any = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw neighbours that are known already.

        Parameters
        ----------
        queries, gallery : sequence of n_queries and of n_gallery pictures or texts
            Pictures are arrays (H, W), (H, W, 3) or (3, H, W), PIL images, or paths of image files.
        distances, indices : array-like of shape (n_queries, n_neighbors)
            As of :func:`skmetric.retrieval.nearest`; row -1 is no item, and is left out.
        y, y_gallery : array-like of shape (n_queries,) and (n_gallery,), default=None
            Labels.
        predictions : array-like of shape (n_queries,), default=None
            What each query was taken for.
        cutpoint : float or ndarray of shape (n_queries, n_neighbors), default=None
            Largest distance that is accepted, of each neighbour where each class has its own threshold.
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
        distances, indices = np.asarray(as_array(distances), dtype=float), np.asarray(as_array(indices))
        if distances.ndim != 2 or distances.shape != indices.shape:
            raise ValueError(
                "distances and indices must both be (n_queries, n_neighbors); got "
                f"{distances.shape} and {indices.shape}"
            )
        queries, gallery = as_items(queries), as_items(gallery)
        check_items(queries, len(distances), "queries")
        if indices.size and indices.max() >= len(gallery):
            raise ValueError(f"indices has row {indices.max()}, and the gallery has {len(gallery)} items")
        y, y_gallery, predictions = (
            None if labels is None else as_column(labels) for labels in (y, y_gallery, predictions)
        )
        return cls(
            queries, gallery, distances, indices, y, y_gallery, predictions, cutpoint, no_match_label
        ).plot(ax=ax)

    def plot(self, ax: Axes | None = None, *, max_queries: int = 8) -> Self:
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
        cell = PICTURE if are_pictures(self.queries) else TEXT
        cells = [self._row(i, cell) for i in range(n_rows)]
        n_lines = max((drawn.caption.count("\n") + 1 for row in cells for drawn in row), default=1)
        width, height = cell.width * n_columns, cell.height + n_lines * _LINE + _GAP  # the height of a row
        ax = axes_of(ax, width=width, height=_TITLES + n_rows * height)
        for i, row in enumerate(cells):
            for j, drawn in enumerate(row):
                middle = (j + 0.5) * cell.width, i * height + cell.height / 2
                cell.draw(ax, drawn, *middle)
                below = i * height + cell.height + 0.04
                look = {"ha": "center", "va": "top", "fontsize": "small", "color": drawn.color}
                ax.text(middle[0], below, drawn.caption, **look)
        for j in range(n_columns):
            title = "query" if j == 0 else f"neighbour {j}"
            x = (j + 0.5) * cell.width
            ax.text(x, -0.08, title, ha="center", va="bottom", fontsize="small", color=GREY)
        ax.set(xlim=(0, width), ylim=(n_rows * height, -_TITLES), xticks=[], yticks=[])  # inches
        ax.spines[:].set_visible(False)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _row(self, i, cell):
        """What is drawn for a query: itself, then its neighbours."""
        row = [_Drawn(self.queries[i], BLACK, "-", self._asked(i, cell))]
        for j, (at, distance) in enumerate(zip(self.indices[i], self.distances[i], strict=True)):
            if at < 0:  # an approximate index, or a filter, found no more
                continue
            (color, mark), dash = self._look(i, j)
            caption = cell.caption(f"{mark} {self._label(at)}".strip(), f"{distance:#.3g}".rstrip("."))
            row.append(_Drawn(self.gallery[at], color, dash, caption))
        return row

    def _asked(self, i, cell):
        true = "" if self.y is None else str(self.y[i])
        if self.predictions is None:
            return wrapped(true, cell.n_letters, 3)
        taken = self.predictions[i]
        if self.no_match_label is not None and str(taken) == str(self.no_match_label):
            taken = f"no match ({self.no_match_label})"
        else:
            taken = (
                "recognised" if true and self.y is not None and taken == self.y[i] else f"taken for {taken}"
            )
        return "\n".join(wrapped(words, cell.n_letters, 3) for words in (true, taken) if words)

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


def _paths_of(search, indices):
    """Paths of the items that were found, at their rows of the gallery; None in the other rows."""
    ids = search.ids_
    rows = np.unique(indices[indices >= 0])
    items = search.items(ids[rows])
    if "path" not in list(items):
        raise ValueError(
            "gallery= is needed: what the items look like, in the order of ids_. Only a search that was "
            "fitted on paths of images, or with a column 'path' in metadata, knows it itself"
        )
    gallery = np.full(len(ids), None)
    gallery[rows] = np.asarray(items["path"])
    return gallery


class _Drawn(NamedTuple):
    """What stands in a cell."""

    item: object
    color: str
    dash: str
    caption: str


class _Cell(NamedTuple):
    """How items of a kind are drawn; lengths are in inches."""

    width: float
    height: float
    n_letters: int  # of a line of the caption
    draw: Callable

    def caption(self, label, distance):
        """Label and distance in as few lines as they fit."""
        if len(label) + 2 + len(distance) <= self.n_letters and self is TEXT:
            return f"{label}  {distance}".strip()
        return f"{wrapped(label, self.n_letters, 3)}\n{distance}".strip()


def _draw_picture(ax, drawn, x, y):
    """Put a picture into a square about a point, and a frame around it."""
    shown = pixels(drawn.item)
    height, width = shown.shape[:2]
    half = _PICTURE / 2 * np.array([width, height]) / max(width, height)
    extent = (x - half[0], x + half[0], y + half[1], y - half[1])
    ax.imshow(shown, cmap="gray", extent=extent, aspect="auto", interpolation="nearest")
    frame = {"fill": False, "edgecolor": drawn.color, "linestyle": drawn.dash, "linewidth": 2.5}
    ax.add_patch(_rectangle((extent[0], extent[3]), *(2 * half), **frame))


def _draw_text(ax, drawn, x, y):
    """Put a text into a frame about a point."""
    width, height = TEXT.width - 0.1, TEXT.height
    frame = {"fill": False, "edgecolor": drawn.color, "linestyle": drawn.dash, "linewidth": 1.5}
    ax.add_patch(_rectangle((x - width / 2, y - height / 2), width, height, **frame))
    text = wrapped(drawn.item, TEXT.n_letters - 1, 4)
    ax.text(x, y, text, ha="center", va="center", fontsize="small")


PICTURE = _Cell(1.17, _PICTURE, 16, _draw_picture)
TEXT = _Cell(1.75, 0.7, 22, _draw_text)


def _rectangle(corner, width, height, **look):
    from matplotlib.patches import Rectangle

    return Rectangle(corner, width, height, **look)
