"""RecallAtKDisplay: recall@k of one or several models, with intervals and the level of chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skmetric._embedding import check_euclidean, embed
from skmetric.metrics import retrieval_report

from ._style import CYCLE, DASHES, GREY, MARKERS, axes_of, finish, legend_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class RecallAtKDisplay:
    """Recall at k over k: the share of queries with a hit among the k nearest.

    Make one with :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    k : sequence of int
        Cut-offs.
    recall : dict of str to ndarray of shape (n_k,)
        By model.
    intervals : dict of str to ndarray of shape (n_k, 2)
        Bootstrap intervals, by model.
    chance : ndarray of shape (n_k,)
        Expected recall of a gallery in random order.
    confidence_level : float, default=0.95
        Of the intervals.
    resample : {"classes", "queries"}, default="classes"
        What the intervals draw with replacement.

    Attributes
    ----------
    ax_ : matplotlib Axes
        After `plot`.
    figure_ : matplotlib Figure
        After `plot`.

    See Also
    --------
    skmetric.metrics.retrieval_report : The numbers.

    Examples
    --------
    >>> from skmetric import DeepMetricLearner
    >>> from skmetric.datasets import make_glyphs
    >>> from skmetric.inspection import RecallAtKDisplay
    >>> glyphs = make_glyphs(100, 8, image_size=16, random_state=0)
    >>> X, y = glyphs.images, glyphs.target
    >>> learner = DeepMetricLearner("conv4", max_epochs=3, random_state=0).fit(X[y < 60], y[y < 60])
    >>> unseen, labels = X[y >= 60], y[y >= 60]
    >>> models = {"pixels": unseen.reshape(320, 256), "learned": learner.transform(unseen)}
    >>> display = RecallAtKDisplay.from_predictions(models, labels, k=(1, 2, 4))
    >>> sorted(display.recall)
    ['learned', 'pixels']
    """

    def __init__(
        self,
        k: Sequence[int],
        recall: dict[str, np.ndarray],
        intervals: dict[str, np.ndarray],
        chance: np.ndarray,
        confidence_level: float = 0.95,
        resample: str = "classes",
    ) -> None:
        self.k = k
        self.recall = recall
        self.intervals = intervals
        self.chance = chance
        self.confidence_level = confidence_level
        self.resample = resample

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike | None,
        *,
        k: Sequence[int] = (1, 2, 4, 8, 16),
        gallery: Any = None,
        y_gallery: ArrayLike | None = None,
        name: str | None = None,
        ax: Axes | None = None,
        **options: Any,
    ) -> Self:
        """Score one fitted learner, or several.

        Parameters
        ----------
        estimator : transformer, pipeline, or dict of str to these
            Fitted; a dict gives each its name.
        X : array-like of shape (n_samples, ...)
            Queries, best of classes that were never trained on.
        y : array-like of shape (n_samples,)
            Their labels.
        k : sequence of int, default=(1, 2, 4, 8, 16)
            Cut-offs, below the size of the gallery.
        gallery : array-like of shape (n_gallery, ...), default=None
            Samples to search; None searches each row of `X` among the others.
        y_gallery : array-like of shape (n_gallery,), default=None
            Labels of the gallery.
        name : str, default=None
            Of a single estimator; None takes that of its class.
        ax : matplotlib Axes, default=None
            Where; None makes a figure.
        **options : dict
            As for `from_predictions`.

        Returns
        -------
        RecallAtKDisplay
            Drawn.
        """
        models = estimator if isinstance(estimator, dict) else {name or type(estimator).__name__: estimator}
        for label, model in models.items():
            check_euclidean(model, "recall@k", label)
        embeddings = {label: embed(model, X) for label, model in models.items()}
        galleries = None if gallery is None else {label: embed(m, gallery) for label, m in models.items()}
        sides: dict[str, Any] = {"gallery": galleries, "y_gallery": y_gallery}
        return cls.from_predictions(embeddings, y, k=k, **sides, ax=ax, **options)

    @classmethod
    def from_predictions(
        cls,
        embeddings: Any,
        y: Any,
        *,
        k: Sequence[int] = (1, 2, 4, 8, 16),
        gallery: Any = None,
        y_gallery: ArrayLike | None = None,
        ax: Axes | None = None,
        **options: Any,
    ) -> Self:
        """Score embeddings of one model, or of several.

        Parameters
        ----------
        embeddings : array-like of shape (n_samples, n_features), or dict of str to these
            Of the queries.
        y : array-like of shape (n_samples,)
            Their labels.
        k : sequence of int, default=(1, 2, 4, 8, 16)
            Cut-offs, below the size of the gallery.
        gallery : array-like of shape (n_gallery, n_features), or dict of str to these, default=None
            Rows to search; None searches each row among the others.
        y_gallery : array-like of shape (n_gallery,), default=None
            Labels of the gallery.
        ax : matplotlib Axes, default=None
            Where; None makes a figure.
        **options : dict
            Of :func:`skmetric.metrics.retrieval_report`: `groups`, `groups_gallery`, `relevance`,
            `confidence_level`, `n_resamples`, `resample`, `random_state`.

        Returns
        -------
        RecallAtKDisplay
            Drawn.

        Raises
        ------
        ValueError
            If a cut-off is not below the size of the gallery.
        """
        by_model = embeddings if isinstance(embeddings, dict) else {"embeddings": embeddings}
        recall: dict[str, np.ndarray] = {}
        intervals: dict[str, np.ndarray] = {}
        scores = [f"recall_at_{cut}" for cut in k]
        for name, rows in by_model.items():
            side = gallery[name] if isinstance(gallery, dict) else gallery
            report = retrieval_report(rows, y, gallery=side, y_gallery=y_gallery, scores=scores, **options)
            recall[name] = np.array([report.scores[score] for score in scores])
            intervals[name] = np.array([report.intervals[score] for score in scores])
            chance = np.array([report.chance[score] for score in scores])
        return cls(tuple(k), recall, intervals, chance, report.confidence_level, report.resample).plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where; None makes a figure.

        Returns
        -------
        RecallAtKDisplay
            The same.
        """
        ax = axes_of(ax)
        positions = np.arange(len(self.k))
        spread = np.linspace(-0.5, 0.5, len(self.recall) + 2)[1:-1] * 0.25  # bars stand side by side
        for i, (name, recall) in enumerate(self.recall.items()):
            ends = np.abs(self.intervals[name].T - recall)  # (2, n_k)
            ax.errorbar(
                positions + spread[i], recall, ends, label=name, color=CYCLE[i % len(CYCLE)], capsize=3,
                marker=MARKERS[i % len(MARKERS)], linestyle=DASHES[i % len(DASHES)], markersize=5,
            )  # fmt: skip
        ax.plot(positions, self.chance, color=GREY, linestyle=":", marker="_", label="chance")
        ax.set_xticks(positions, [str(cut) for cut in self.k])
        title = f"bars: {100 * self.confidence_level:g}% over {self.resample}"
        legend_beside(ax, title=title, title_fontsize="small", alignment="left")
        finish(ax, xlabel="k", ylabel="recall@k: share of queries with a hit", ylim=(0, 1.02))
        self.ax_, self.figure_ = ax, ax.figure
        return self
