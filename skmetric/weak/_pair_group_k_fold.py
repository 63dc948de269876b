"""Folds of tuples in which no sample is on both sides."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import check_random_state

from skmetric._checks import as_array, missing_rows, name_rows
from skmetric._input._tuples import groups_of, number_samples


class PairGroupKFold(BaseCrossValidator):
    """K folds of pairs, triplets or quadruplets: no sample is trained on and tested on.

    Samples are dealt to the folds, tuples follow. Tuples with a sample in common stay together where such
    groups are small. A group that is larger than a fold is cut: its samples are dealt one by one, and in each
    split the tuples with samples on both sides are left out.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, from 2.
    random_state : int, RandomState instance or None, default=None
        Deals the samples. An int gives the same folds in every call of `split`.

    See Also
    --------
    skmetric.model_selection.ClassDisjointKFold : Folds of labelled samples, without a class on both sides.
    sample_pairs : Draws pairs from labels.

    Notes
    -----
    Pairs that are drawn at random among all samples hang together as one group. With k folds, about 1 / k**2
    of them have both samples in the test fold, and (1 - 1 / k)**2 have both outside.

    Examples
    --------
    >>> from skmetric.weak import PairGroupKFold
    >>> pairs = [[0, 1], [1, 2], [3, 4], [5, 6]]
    >>> for train, test in PairGroupKFold(2, random_state=0).split(pairs):
    ...     print(sorted(train.tolist() + test.tolist()))
    [0, 1, 2, 3]
    [0, 1, 2, 3]
    """

    n_splits: int
    random_state: int | np.random.RandomState | None

    def __init__(self, n_splits: int = 5, *, random_state: int | np.random.RandomState | None = None) -> None:
        if not isinstance(n_splits, Integral) or isinstance(n_splits, bool):
            raise TypeError(f"n_splits must be a whole number from 2; got {n_splits!r}")
        if n_splits < 2:
            raise ValueError(f"n_splits must be from 2; got {n_splits!r}")
        self.n_splits = int(n_splits)
        self.random_state = random_state

    def split(
        self, X: Any, y: object = None, groups: ArrayLike | None = None
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Generate numbers of the training and test tuples.

        Parameters
        ----------
        X : array-like of shape (n_tuples, n_members) or (n_tuples, n_members, n_features)
            Row numbers, or the tuples themselves, in which equal samples are one.
        y : object, default=None
            Not used.
        groups : array-like of shape (n_tuples, n_members), default=None
            What must not be on both sides in place of single samples, for each member: its class or person.

        Yields
        ------
        train : ndarray
            Numbers of the tuples all of whose samples are outside the fold, ascending.
        test : ndarray
            Numbers of the tuples all of whose samples are in the fold, ascending.

        Raises
        ------
        ValueError
            If a side would have no tuple.
        """
        members = _numbered(X if groups is None else groups, "X" if groups is None else "groups")
        if groups is not None and len(members) != len(X):
            raise ValueError(f"groups has {len(members)} rows for {len(X)} tuples in X: they must be as many")
        fold = _deal(members, self.n_splits, check_random_state(self.random_state))[members]
        for number in range(self.n_splits):
            train = np.flatnonzero((fold != number).all(axis=1))
            test = np.flatnonzero((fold == number).all(axis=1))
            if not (len(train) and len(test)):
                raise ValueError(
                    f"fold {number} leaves {len(train)} tuples to train on and {len(test)} to test on, "
                    "without a sample on both sides: use fewer splits, or more tuples"
                )
            yield train, test

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """Return the number of splits.

        Parameters
        ----------
        X, y, groups : object, default=None
            Not used.

        Returns
        -------
        int
            The number of (train, test) pairs that `split` yields.
        """
        return self.n_splits


def _numbered(X: Any, name: str) -> NDArray[np.intp]:
    """Number of the sample at each place of each tuple, (n_tuples, n_members), from 0 without gaps."""
    X = np.asarray(as_array(X))
    if X.ndim < 2 or X.shape[1] < 2 or len(X) == 0:
        raise ValueError(
            f"{name} must hold tuples: an array (n_tuples, n_members) of row numbers, or one of samples "
            f"(n_tuples, n_members, n_features); got shape {X.shape}"
        )
    if X.ndim == 2:
        missing = np.unique(np.concatenate([missing_rows(column, name) for column in X.T]))
        if len(missing):
            raise ValueError(
                f"{name} has nothing in {name_rows(missing)}: give each unknown a name that no other has, or "
                "drop these tuples"
            )
        return np.unique(X, return_inverse=True)[1].reshape(X.shape)
    return number_samples(X.reshape(-1, *X.shape[2:])).reshape(X.shape[:2])


def _deal(members: NDArray[np.intp], n_splits: int, rng: np.random.RandomState) -> NDArray[np.intp]:
    """Fold of each sample, (n_samples,): whole groups, by size, to the fold with fewest samples."""
    group_of_tuple = groups_of(members)
    n_samples = members.max() + 1
    group = np.zeros(n_samples, np.intp)
    group[members.ravel()] = np.repeat(group_of_tuple, members.shape[1])
    sizes = np.bincount(group)
    is_cut = sizes > max(1, n_samples // n_splits)  # groups too large for a fold
    fold = np.empty(n_samples, np.intp)
    loose = rng.permutation(np.flatnonzero(is_cut[group]))
    fold[loose] = np.arange(len(loose)) % n_splits
    whole = rng.permutation(np.flatnonzero((sizes > 0) & ~is_cut))
    whole = whole[np.argsort(-sizes[whole], kind="stable")]
    place = np.arange(len(whole))  # dealt there and back, which evens out the sizes
    turn = place % (2 * n_splits)
    of_group = np.zeros(len(sizes), np.intp)
    of_group[whole] = np.minimum(turn, 2 * n_splits - 1 - turn)
    kept = ~is_cut[group]
    fold[kept] = of_group[group[kept]]
    return fold
