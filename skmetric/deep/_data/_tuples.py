"""Pairs and triplets as they come in: checked, flattened to samples, divided, served in batches."""

import math
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skmetric._checks import as_array, check_labels

from ._input import as_float32, read_images
from ._labelled import normalises, remember_scale
from ._scale import check_scale

_NAMES = {2: ("pairs", "(n_pairs, 2, ...)"), 3: ("triplets", "(n_triplets, 3, ...)")}


class Tuples(NamedTuple):
    """Tuples to train on and tuples held out, as flat samples: the members of a tuple one after the other."""

    samples: np.ndarray  # (n * n_members, ...)
    codes: np.ndarray  # (n * n_members,): for pairs 1 if similar, else 0; for triplets 0
    held_out: np.ndarray  # (n_held_out * n_members, ...)
    held_out_codes: np.ndarray  # (n_held_out,)
    disjoint: bool  # whether no sample of a tuple held out is trained on


def read_tuples(estimator, X, n_members, *, reset, trains=False):
    """Checked samples (n * n_members, ...) of tuples (n, n_members, ...): features or images."""
    name, shape = _NAMES[n_members]
    try:
        X = np.asarray(as_array(X))
    except ValueError:
        raise ValueError(f"X must hold {name}, {shape}, of samples of one size; got several") from None
    if X.ndim < 3 or X.shape[1] != n_members or len(X) == 0:
        raise ValueError(
            f"X must hold {name}, {shape} of features or images; got shape {X.shape}"
            + (". One sample after the other becomes tuples by X[indices]" if X.ndim == 2 else "")
        )
    if X.dtype.kind not in "fiub":
        raise ValueError(f"X has dtype {X.dtype}: {name} hold numbers")
    _check_finite(X)
    flat = X.reshape(-1, *X.shape[2:])
    expected = None if reset else estimator.input_shape_
    if expected is not None and (flat.ndim > 2) != (len(expected) == 3):
        raise ValueError(f"X holds samples of shape {flat.shape[1:]}; fit saw {expected}")
    if flat.ndim > 2:
        any_range = not normalises(estimator, fitted=not reset)
        flat = read_images(flat, estimator.channel_axis, expected, any_range=any_range)
        if any_range and not reset:
            check_scale(flat, estimator._scale)
        if trains:
            remember_scale(estimator, flat, reset=reset)
        return flat
    flat = check_array(flat, dtype=[np.float64, np.float32], ensure_all_finite=False)
    return as_float32(validate_data(estimator, flat, reset=reset, skip_check_array=True))


def read_similarity(y, n_pairs):
    """Which pairs are similar, and the two labels in order: (0, 1), (-1, 1) or (False, True)."""
    if y is None:
        raise ValueError("SiameseLearner requires y to be passed, but the target y is None")
    y = check_labels(y, n_pairs)
    values = np.unique(y)
    if values.tolist() not in ([0, 1], [-1, 1]):
        raise ValueError(
            f"y must say of each pair whether it is similar (1) or not (0, or -1), and both must occur; got "
            f"the values {values[:5].tolist()}"
        )
    return y == values[1], values


def divide(samples, similar, n_members, fraction, seed):
    """Hold tuples out.

    Tuples that have samples in common, directly or over others, stay on one side if there are enough
    such groups; else tuples are drawn one by one.

    Parameters
    ----------
    samples : ndarray of n * n_members rows
        Flat.
    similar : ndarray of shape (n,), bool
        Of pairs; kinds are held out in their proportion.
    n_members : int
        Rows of a tuple.
    fraction : float
        Share of the tuples to hold out; 0 holds none out.
    seed : int
        Of the draw.

    Returns
    -------
    Tuples
        With at least one of each kind on each side.
    """
    held_out, disjoint = _hold_out(samples, similar, n_members, fraction, np.random.RandomState(seed))
    rows = np.repeat(held_out, n_members)
    train = slice(None) if not held_out.any() else ~rows  # spares a copy of the samples
    return Tuples(
        samples[train],
        np.repeat(similar[~held_out], n_members).astype(np.int64),
        samples[rows],
        similar[held_out].astype(np.int64),
        disjoint,
    )


class TupleBatches:
    """Lists of row numbers, the members of a tuple one after the other; every tuple once an epoch.

    Parameters
    ----------
    n_tuples, n_members, batch_size : int
        A batch holds `batch_size` tuples; the last one what is left.
    seed : int
        With the number of the epoch it gives the order.
    """

    def __init__(self, n_tuples, n_members, batch_size, seed):
        self.n_tuples, self.n_members, self.batch_size, self.seed = n_tuples, n_members, batch_size, seed
        self.epoch = 0

    def set_epoch(self, epoch):
        """Choose the order."""
        self.epoch = epoch

    def __len__(self):
        return math.ceil(self.n_tuples / self.batch_size)

    def __iter__(self):
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.n_tuples)
        for start in range(0, self.n_tuples, self.batch_size):
            first = self.n_members * order[start : start + self.batch_size, None]
            yield (first + np.arange(self.n_members)).ravel().tolist()


def _check_finite(X):
    """Name the tuple and the member with NaN or infinity."""
    if X.dtype.kind != "f" or np.isfinite(X.sum(dtype=np.float64)):
        return
    bad = np.argwhere(~np.isfinite(X).reshape(*X.shape[:2], -1).all(axis=2))
    if len(bad):
        raise ValueError(
            f"Input X contains NaN or infinity in row {bad[0, 0]}, member {bad[0, 1]}"
            f"{f' and {len(bad) - 1} other samples' if len(bad) > 1 else ''}: drop or impute these"
        )


def _groups(samples, n_members):
    """Number of the group of each tuple: tuples with a sample in common are in one group."""
    flat = np.ascontiguousarray(samples).reshape(len(samples), -1)
    keys = flat.view(np.dtype((np.void, flat.dtype.itemsize * flat.shape[1]))).ravel()
    sample = np.unique(keys, return_inverse=True)[1].reshape(-1)
    tuples = np.repeat(np.arange(len(samples) // n_members), n_members)
    n_tuples, n_all = tuples[-1] + 1, tuples[-1] + 2 + sample.max()
    links = coo_array((np.ones(len(sample)), (tuples, n_tuples + sample)), shape=(n_all, n_all))
    return connected_components(links, directed=False)[1][:n_tuples]


def _hold_out(samples, similar, n_members, fraction, rng):
    """Which tuples are held out, and whether they share no sample with the others."""
    if fraction == 0:
        return np.zeros(len(similar), dtype=bool), True
    in_groups = _draw(_groups(samples, n_members), similar, fraction, rng)
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


def _draw(groups, similar, fraction, rng):
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
