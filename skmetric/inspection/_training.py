"""TrainingDisplay: how the training of a network went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skmetric._embedding import steps_of

from ._style import BLACK, BLUE, CYCLE, DASHES, GREEN, RED, finish, legend_beside, panels_of

if TYPE_CHECKING:
    pass

_NO_SCORE = {
    "epoch",
    "loss",
    "active_share",
    "mean_positive_distance",
    "mean_negative_distance",
    "mean_norm",
    "effective_rank",
    "seconds",
}


_REFIT = "loss, all classes"


class TrainingDisplay:
    """Loss, scores of held-out classes, distances and effective rank over the epochs.

    Make one with :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    history : list of dict
        One for each epoch, with ``"epoch"``, ``"loss"`` and what else was noted.
    best_epoch : int, default=None
        The epoch whose weights were kept; 0 is the untrained network.
    untrained_scores : dict of str to float, default=None
        Scores of the untrained network, named as in `history`: drawn as epoch 0.
    refit_history : list of dict, default=None
        The same as `history`, of the run on all classes: its loss is drawn.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        After `plot`, one for each panel that has something to show.
    figure_ : matplotlib Figure
        After `plot`.

    See Also
    --------
    skmetric.deep.DeepMetricLearner : Has the history that is drawn.

    Examples
    --------
    >>> from skmetric import DeepMetricLearner
    >>> from skmetric.datasets import make_glyphs
    >>> from skmetric.inspection import TrainingDisplay
    >>> glyphs = make_glyphs(60, 8, image_size=16, random_state=0)
    >>> learner = DeepMetricLearner("conv4", max_epochs=3, validation_fraction=0.2, random_state=0)
    >>> display = TrainingDisplay.from_estimator(learner.fit(glyphs.images, glyphs.target))
    >>> [ax.get_ylabel() for ax in display.axes_]
    ['loss', 'score of held-out classes', 'mean distance']
    """

    def __init__(
        self,
        history: Sequence[Mapping[str, float]],
        best_epoch: int | None = None,
        *,
        untrained_scores: Mapping[str, float] | None = None,
        refit_history: Sequence[Mapping[str, float]] | None = None,
    ) -> None:
        self.history = history
        self.best_epoch = best_epoch
        self.untrained_scores = untrained_scores
        self.refit_history = refit_history

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Draw the history of a learner.

        Parameters
        ----------
        estimator : DeepMetricLearner
            Fitted; any estimator with a `history_`, or a pipeline or search that has one inside.
        ax : array of matplotlib Axes, default=None
            One for each panel; None makes a figure.

        Returns
        -------
        TrainingDisplay
            Drawn.
        """
        trained = [step for step in steps_of(estimator) if hasattr(step, "history_")]
        learner = trained[-1] if trained else estimator
        check_is_fitted(learner, "history_")
        return cls(
            learner.history_,
            getattr(learner, "best_epoch_", None),
            untrained_scores=getattr(learner, "untrained_scores_", None),
            refit_history=getattr(learner, "refit_history_", None),
        ).plot(ax=ax)

    @classmethod
    def from_predictions(
        cls,
        history: Sequence[Mapping[str, float]],
        *,
        best_epoch: int | None = None,
        untrained_scores: Mapping[str, float] | None = None,
        refit_history: Sequence[Mapping[str, float]] | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw a history.

        Parameters
        ----------
        history : list of dict
            One for each epoch, with ``"epoch"`` and ``"loss"``.
        best_epoch : int, default=None
            The epoch whose weights were kept.
        untrained_scores : dict of str to float, default=None
            Scores of the untrained network, named as in `history`.
        refit_history : list of dict, default=None
            The history of the run on all classes.
        ax : array of matplotlib Axes, default=None
            One for each panel; None makes a figure.

        Returns
        -------
        TrainingDisplay
            Drawn.
        """
        return cls(history, best_epoch, untrained_scores=untrained_scores, refit_history=refit_history).plot(
            ax=ax
        )

    def plot(self, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : array of matplotlib Axes, default=None
            One for each panel; None makes a figure.

        Returns
        -------
        TrainingDisplay
            The same.

        Raises
        ------
        ValueError
            If the history is empty, or the axes are not as many as the panels.
        """
        if not self.history:
            raise ValueError("history is empty: no epoch ended, so there is nothing to draw")
        panels = [panel for panel in self._panels() if panel[1]]
        axes = panels_of(ax, len(panels))
        for axis, (ylabel, lines) in zip(axes, panels, strict=True):
            for number, (label, color, name) in enumerate(lines):
                dash = DASHES[number % len(DASHES)]
                rows = self._rows_of(name)
                values = [row.get(name, np.nan) for row in rows]
                axis.plot(
                    [row["epoch"] for row in rows],
                    values,
                    color=color,
                    linestyle=dash,
                    marker=".",
                    label=label,
                )
            if ylabel == "loss" and self.refit_history:
                refit = [(row["epoch"], row.get("loss", np.nan)) for row in self.refit_history]
                axis.plot(*zip(*refit, strict=True), color=RED, linestyle="--", marker="x", label=_REFIT)
            if self.best_epoch is not None:
                axis.axvline(self.best_epoch, color=BLACK, linewidth=1, linestyle=":", label="epoch kept")
            legend_beside(axis)
            axis.xaxis.get_major_locator().set_params(integer=True)
            finish(axis, ylabel=ylabel)
        axes[-1].set_xlabel("epoch")
        self.axes_, self.figure_ = axes, axes[0].figure
        return self

    def _rows_of(self, name: str) -> list[Mapping[str, float]]:
        """Epochs that have a number of that name; the untrained network is epoch 0."""
        untrained = self.untrained_scores or {}
        first = [{"epoch": 0, **untrained}] if name in untrained else []
        return [*first, *self.history]

    def _panels(self):
        """What is drawn in each panel: (label, colour, name in the history)."""
        known = {name for row in self.history for name, value in row.items() if _is_number(value)}
        ordered = [name for name in {**self.history[0], **self.history[-1]} if name in known]
        scores = [name for name in ordered if name not in _NO_SCORE]
        loss = [("loss", BLUE, "loss"), ("share of tuples active", GREEN, "active_share")]
        distances = [
            ("same class", BLUE, "mean_positive_distance"),
            ("other class", RED, "mean_negative_distance"),
        ]
        return [
            ("loss", [line for line in loss if line[2] in known]),
            (
                "score of held-out classes",
                [(name, CYCLE[i % len(CYCLE)], name) for i, name in enumerate(scores)],
            ),
            ("mean distance", [line for line in distances if line[2] in known]),
        ]


def _is_number(value):
    return isinstance(value, int | float) and bool(np.isfinite(value))
