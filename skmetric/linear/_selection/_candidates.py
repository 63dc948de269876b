"""What can be chosen: shrinkages, normalisation, power and saturation, and which of them classes bear."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

WITHIN = (0.03, 0.1, 0.3, 0.5, 0.7, 0.9)
BETWEEN = (0.3, 0.5, 0.7, 0.85, 1.0)
POWERS = (1.0, 0.7, 0.5)
SATURATIONS = (0.0, 0.02, 0.05, 0.2)


class Candidate(NamedTuple):
    """What is chosen; the defaults change nothing.

    Attributes
    ----------
    normalize : bool
        Unit length before and after the map.
    center : bool
        Whether the mean is subtracted before the map.
    within, between : float
        Shrinkages of the covariance inside classes, and of psi.
    power : float
        Of the features, before all else.
    saturation : float
        How much the weights of directions with a large psi are reduced.
    """

    normalize: bool
    center: bool
    within: float
    between: float
    power: float = 1.0
    saturation: float = 0.0

    @property
    def is_unlearned(self) -> bool:
        """Whether labels have no part in the distance."""
        return self.within == self.between == 1 and not self.saturation

    def attributes(self) -> dict[str, Any]:
        """Fitted attributes that say what was chosen."""
        return {
            "normalize_": bool(self.normalize),
            "center_": bool(self.center),
            "shrinkage_": (float(self.within), float(self.between)),
            "power_": float(self.power),
            "saturation_": float(self.saturation),
        }


EUCLIDEAN, COSINE = Candidate(False, True, 1.0, 1.0), Candidate(True, False, 1.0, 1.0)


class Offered(NamedTuple):
    """Values that the parameters of the learner leave open."""

    weighting: str
    families: tuple[bool, ...] = (True, False)  # of `normalize`
    powers: tuple[float, ...] = POWERS
    saturations: tuple[float, ...] = SATURATIONS


def between_choices(n_classes: int) -> list[float]:
    """Shrinkages of psi that so many classes bear.

    Means of C classes span C - 1 directions, and without shrinkage all others count for nothing; yet classes
    to come spread along them too, the more so the fewer have been seen.
    """
    return [amount for amount in BETWEEN if amount >= 30 / (n_classes + 29)]


def default(offered: Offered, normalize: bool, n_classes: int, within: float = 0.5) -> Candidate:
    """Make the candidate that others must beat."""
    between = max(0.7, between_choices(n_classes)[0])
    return Candidate(normalize, True, within, between, offered.powers[0], offered.saturations[0])


def check_shrinkage(shrinkage: Any) -> tuple[float, float]:
    """Return the pair as floats, or say what is wrong with it."""
    try:
        within, between = (float(amount) for amount in shrinkage)
    except (TypeError, ValueError):
        within = between = np.nan
    if not (0 <= within <= 1 and 0 <= between <= 1):
        raise ValueError(
            "shrinkage must be 'cv' or a pair of numbers from 0 to 1, within and between classes; "
            f"got {shrinkage!r}"
        )
    return within, between
