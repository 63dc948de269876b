"""What is asked of a sampler: checked numbers, a seed, and whether labels allow it."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skmetric._warning import warn

from ._by_class import ByClass

_FOR_EACH_ROW, _AT_MOST = 10, 50_000  # tuples, where no number is given


def check_count(name: str, value: Any, least: int = 1) -> int | None:
    """Return a whole number from `least`, or None where it is None."""
    if value is None:
        return None
    if not isinstance(value, Integral) or isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be a whole number from {least}; got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be from {least}; got {value!r}")
    return int(value)


def check_share(name: str, value: Any) -> float:
    """Return a number from 0 to 1."""
    if not isinstance(value, Real) or isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be a number from 0 to 1; got {value!r}")
    share = float(value)
    if not 0 <= share <= 1:
        raise ValueError(f"{name} must be from 0 to 1; got {value!r}")
    return share


def default_count(n_labeled: int) -> int:
    """Number of tuples, where none is given."""
    return min(_FOR_EACH_ROW * n_labeled, _AT_MOST)


def generator(random_state: Any) -> np.random.Generator:
    """Generator from a seed as scikit-learn has it."""
    return np.random.default_rng(check_random_state(random_state).randint(2**31 - 1))


def check_classes(rows: ByClass, *, needs_partner: bool = True, needs_stranger: bool = True) -> None:
    """Refuse labels that allow no tuples."""
    if needs_stranger and len(rows.sizes) < 2:
        raise ValueError("y has 1 class; rows of two classes are needed to say what is dissimilar")
    if needs_partner and rows.sizes.max() < 2:
        raise ValueError(
            f"each of the {len(rows.sizes)} classes in y has one row; a class with two rows is needed to say "
            "what is similar"
        )


def warn_of_fewer(name: str, n: int, asked: int) -> None:
    """Say that there are fewer than were asked for."""
    if n < asked:
        warn(
            f"y has {n} {name}, and {asked} were asked for: these {n} are all. Ask for fewer, or add samples"
        )
