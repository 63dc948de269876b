"""What `predict` accepts: a limit on the score of a match."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ._class_factors import over_factors
from ._runner_up import counts_runner_up, scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skmetric.search._calibration._calibration import Calibration
    from skmetric.search._calibration._matchers import Matcher

EVERYTHING = float(np.finfo(np.float64).max)  # a query that found nothing is at infinity


class Rule(NamedTuple):
    """A match is accepted if its score is at most the limit."""

    limit: float = EVERYTHING
    weight: float = 0.0  # of the runner-up
    without: float = 0.0  # subtracted from the distance of a match where there is no runner-up
    factors: Mapping[Any, float] = {}  # over which distances to classes are taken, by label

    def scores(
        self, distances: NDArray[Any], names: NDArray[Any], runners_up: NDArray[Any] | None = None
    ) -> NDArray[np.float64]:
        """Scores of matches to classes `names`, (n_queries,); a weight needs `runners_up`."""
        distances = over_factors(distances, names, self.factors)
        if not self.weight or runners_up is None:
            return distances
        return scores(distances, runners_up, self.weight, self.without)

    def accepts(
        self, distances: NDArray[Any], names: NDArray[Any], runners_up: NDArray[Any] | None = None
    ) -> NDArray[np.bool_]:
        """Whether each match is accepted."""
        return self.scores(distances, names, runners_up) <= self.limit


def rule_of(calibration: Calibration, cutpoint: str, matcher: Matcher) -> Rule:
    """The rule of a cutpoint: that of the distance alone if the `matcher` has no runners-up (any more)."""
    cut, factors = calibration.cutpoints[cutpoint], calibration.class_factors
    weight = calibration.runner_up_weight if counts_runner_up(matcher) else 0.0
    if not weight:
        return Rule(cut["distance"], factors=factors)
    return Rule(cut["score"], weight, cut["distance"] - cut["score"], factors)
