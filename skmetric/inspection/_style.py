"""What the displays share: axes, colours that colour-blind eyes tell apart, marks that need no colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skmetric._optional import import_optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette: told apart with each of the common colour-vision deficiencies
BLUE, ORANGE, GREEN, SKY, RED, PINK, YELLOW = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#56b4e9",
    "#d55e00",
    "#cc79a7",
    "#b9a900",
)
BLACK, GREY = "#000000", "#767676"
CYCLE = (BLUE, RED, GREEN, PINK, ORANGE, SKY, YELLOW, BLACK)
MARKERS = "os^DvP*X<>"
DASHES = ("-", "--", "-.", ":")
HIT, MISS, REFUSED = (
    (BLUE, "\N{CHECK MARK}"),
    (RED, "\N{BALLOT X}"),
    (GREY, "\N{WHITE CIRCLE}"),
)


def axes_of(ax: Axes | None, *, width: float = 6.4, height: float = 4.4) -> Axes:
    """The axes given, or new ones on a figure of this size in inches."""
    if ax is not None:
        return ax
    pyplot = import_optional("matplotlib.pyplot", extra="plot", purpose="Drawing a display")
    return pyplot.subplots(figsize=(width, height), layout="constrained")[1]


def panels_of(
    ax: Any, n_panels: int, *, width: float = 6.4, height: float = 2.4, side_by_side: bool = False
) -> np.ndarray:
    """Axes one below the other, sharing x, or side by side: those given, or new ones."""
    if ax is None:
        pyplot = import_optional("matplotlib.pyplot", extra="plot", purpose="Drawing a display")
        size = (width, height if side_by_side else height * n_panels)
        grid = {"ncols": n_panels} if side_by_side else {"nrows": n_panels, "sharex": True}
        ax = pyplot.subplots(**grid, squeeze=False, figsize=size, layout="constrained")[1]
    panels = np.asarray(ax, dtype=object).ravel()
    if len(panels) != n_panels:
        raise ValueError(f"ax must be {n_panels} axes for the {n_panels} panels; got {len(panels)}")
    return panels


def marker_and_color(i):
    """Look of class number `i`: pairs of colour and marker repeat after 40 classes."""
    return MARKERS[(i // len(CYCLE) + i) % len(MARKERS)], CYCLE[i % len(CYCLE)]


def finish(ax, **texts):
    """Set labels, and take away the two spines that carry nothing."""
    ax.set(**texts)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def legend_beside(ax: Axes, **look: Any) -> None:
    """Put the legend to the right of the axes, where it covers nothing that is drawn."""
    ax.legend(
        loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, frameon=False, fontsize="small", **look
    )
