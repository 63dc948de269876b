"""Tuples held out, to score on, and tuples to train on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmetric._input._tuples import groups_of, number_samples

from ._gathered import Gathered
from ._tuples import ABSENT, TupleSamples


class Tuples(NamedTuple):
    """Tuples to train on and tuples held out, as flat samples: the members of a tuple one after the other."""

    samples: Gathered  # n * n_members
    codes: NDArray[np.int64]  # (n * n_members,): of pairs 1 if similar, else 0; of triplets 0, or ABSENT
    held_out: Gathered  # n_held_out * n_members
    held_out_codes: NDArray[np.int64]  # (n_held_out * n_members,)
    weights: NDArray[np.float64] | None  # (n,)
    held_out_weights: NDArray[np.float64] | None  # (n_held_out,)
    disjoint: bool  # whether no sample of a tuple held out is trained on


def divide(
    tuples: TupleSamples,
    similar: NDArray[np.bool_],
    fraction: float,
    seed: int,
    weights: NDArray[np.float64] | None = None,
) -> Tuples:
    """Hold tuples out.

    Tuples that have samples in common, directly or over others, stay on one side if there are enough
    such groups; else tuples are drawn one by one.

    Parameters
    ----------
    tuples : TupleSamples
        All of them.
    similar : ndarray of shape (n,), bool
        Of pairs; kinds are held out in their proportion.
    fraction : float
        Share of the tuples to hold out; 0 holds none out.
    seed : int
        Of the draw.
    weights : ndarray of shape (n,), default=None
        Tuples of weight 0 are left out.

    Returns
    -------
    Tuples
        With at least one of each kind on each side.
    """
    if weights is not None and not weights.all():
        kept = weights > 0
        tuples, similar, weights = tuples.only(kept), similar[kept], weights[kept]
    held_out, disjoint = _hold_out(tuples, similar, fraction, np.random.RandomState(seed))
    sides = [tuples.only(~held_out), tuples.only(held_out)]
    codes = [
        np.where(side.present, similar[mask, None], ABSENT).astype(np.int64).ravel()
        for side, mask in zip(sides, (~held_out, held_out), strict=True)
    ]
    of_train, of_held_out = (None if weights is None else weights[mask] for mask in (~held_out, held_out))
    train, scored = (side.samples for side in sides)
    return Tuples(train, codes[0], scored, codes[1], of_train, of_held_out, disjoint)


def _hold_out(
    tuples: TupleSamples, similar: NDArray[np.bool_], fraction: float, rng: np.random.RandomState
) -> tuple[NDArray[np.bool_], bool]:
    """Which tuples are held out, and whether they share no sample with the others."""
    if fraction == 0:
        return np.zeros(len(similar), dtype=bool), True
    in_groups = _draw(groups_of(_identities(tuples)), similar, fraction, rng)
    if in_groups is not None:
        return in_groups, True
    one_by_one = _draw(np.arange(len(similar)), similar, fraction, rng)
    if one_by_one is None:
        n_kind = np.bincount(similar)
        raise ValueError(
            f"X has {n_kind[n_kind > 0].min()} tuples of one kind: too few to hold some out; use "
            "validation_fraction=0"
        )
    return one_by_one, False


def _identities(tuples: TupleSamples) -> NDArray[np.intp]:
    """Number of the sample at each place, (n, n_members): rows in memory with equal values are one sample."""
    table, index = tuples.samples.table, tuples.samples.index.reshape(tuples.present.shape)
    return number_samples(table)[index] if isinstance(table, np.ndarray) else index


def _draw(
    groups: NDArray[np.intp], similar: NDArray[np.bool_], fraction: float, rng: np.random.RandomState
) -> NDArray[np.bool_] | None:
    """Tuples of groups drawn at random until each kind has its share held out; None if groups do not fit.

    A group that would hold out half as much again as was asked is passed over.
    """
    held_out = np.zeros(len(similar), dtype=bool)
    n_kind = np.bincount(similar, minlength=2)
    wanted = np.minimum(np.ceil(fraction * n_kind), n_kind - 1)
    members = np.split(np.argsort(groups, kind="stable"), np.cumsum(np.bincount(groups))[:-1])
    taken = np.zeros(2)
    for group in rng.permutation(len(members)):
        adds = np.bincount(similar[members[group]], minlength=2)
        if (taken < wanted)[adds > 0].any() and (taken + adds <= np.minimum(1.5 * wanted, n_kind - 1))[
            adds > 0
        ].all():
            held_out[members[group]] = True
            taken += adds
    return held_out if (taken >= wanted / 2).all() and (taken > 0)[n_kind > 0].all() else None
