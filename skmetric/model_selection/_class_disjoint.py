"""Splits in which no class is on both sides: scikit-learn's splitters, applied to the classes."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import BaseCrossValidator, ShuffleSplit, StratifiedKFold
from sklearn.utils import indexable
from sklearn.utils.metadata_routing import MetadataRequest

from skmetric._checks import check_map
from skmetric._input._groups import check_groups
from skmetric._params import num_samples, safe_indexing
from skmetric._warning import warn

from ._labels import class_codes


class _ClassDisjointSplitter(BaseCrossValidator):
    """Rows follow their classes: a subclass writes ``__init__`` and ``_split_classes``."""

    n_splits: int
    relevance: str = "labels"  # of splitters that were pickled before
    group_disjoint: bool = False  # also of splitters that earlier versions pickled

    @abstractmethod
    def _split_classes(
        self, class_sizes: NDArray[np.intp]
    ) -> Iterable[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Yield (train, test), arrays of positions in `class_sizes` of shape (n_classes,)."""

    def split(
        self, X: Any, y: ArrayLike | None = None, groups: Any = None
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Generate indices of training and test rows that have no class in common.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples; only their number is used.
        y : array-like of shape (n_samples,)
            Their labels, numbers or strings. The default is there for scikit-learn's signature: without
            labels there is nothing to split.
        groups : array-like of shape (n_samples,), default=None
            With `group_disjoint`: group of each row, such as its session. Otherwise ignored, with a warning:
            the classes are what is split.

        Yields
        ------
        train : ndarray
            Row numbers of the training set, ascending.
        test : ndarray
            Row numbers of the test set, ascending.

        Raises
        ------
        ValueError
            If `y` is missing, continuous or has unlabelled rows, or if a side would have fewer than two
            classes: among one class every neighbour is right; if `group_disjoint` is set and `groups` are
            missing or do not fit.
        """
        group_of_row = self._groups(X, groups)
        codes = class_codes(X, y, self.relevance)
        class_sizes = np.bincount(codes)  # (n_classes,)
        if len(class_sizes) < 4:
            raise ValueError(
                f"y has {len(class_sizes)} classes; two to train on and two to test on are needed"
            )
        for train, test in self._split_classes(class_sizes):
            if min(len(train), len(test)) < 2:
                raise ValueError(
                    f"{self} leaves {len(train)} classes to train on and {len(test)} to test on; either side "
                    "needs two: among one class every neighbour is right"
                )
            is_train, is_test = np.isin(codes, train), np.isin(codes, test)
            if group_of_row is not None:
                is_train &= ~np.isin(group_of_row, group_of_row[is_test])
                self._check_left(codes[is_train])
            yield np.flatnonzero(is_train), np.flatnonzero(is_test)

    def _groups(self, X: Any, groups: Any) -> NDArray[Any] | None:
        """Groups of the rows, where no group may be on both sides."""
        if not self.group_disjoint:
            if groups is not None:
                warn(
                    f"The groups parameter is ignored by {type(self).__name__}: the classes in y are what is "
                    "split. Leave it out, pass the groups as y, or set group_disjoint=True to have no group "
                    "on both sides either"
                )
            return None
        if groups is None:
            raise ValueError(
                "group_disjoint=True needs groups: give split(X, y, groups), or fit(..., groups=)"
            )
        return check_groups(groups, num_samples(X))

    def _check_left(self, codes: NDArray[np.intp]) -> None:
        if len(np.unique(codes)) < 2:
            raise ValueError(
                f"{self} leaves {len(np.unique(codes))} classes to train on without the groups of the test "
                "classes: groups that many classes share, such as cameras, are on both sides of each split. "
                "Split by class alone, and give these groups to the scores instead"
            )

    def get_metadata_routing(self) -> MetadataRequest:
        """Tell scikit-learn that `split` needs groups, if it does.

        Returns
        -------
        MetadataRequest
            Of the method ``split``.
        """
        request = super().get_metadata_routing()
        if self.group_disjoint:
            request.split.add_request(param="groups", alias=True)
        return request

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """Return the number of splits.

        Parameters
        ----------
        X, y, groups : object, default=None
            Ignored; here for scikit-learn's signature.

        Returns
        -------
        int
            The number of (train, test) pairs that `split` yields.
        """
        return self.n_splits


class ClassDisjointKFold(_ClassDisjointSplitter):
    """K folds of classes: every class is tested once, by a model that never saw it.

    Stratified or plain folds put each class on both sides and so measure classes that are already known. Here
    the classes in `y` are dealt out whole. Their number comes first: two folds differ by one class at most,
    since a search among few classes is easier than one among many. Samples come second: classes of similar
    size go to different folds, so that two folds differ in samples by less than the largest class, or by less
    than two where `n_splits` does not divide the number of classes.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, from 2. `y` must have twice as many classes.
    shuffle : bool, default=False
        Whether chance decides which of the classes of similar size goes to which fold. Otherwise they go in
        sorted order.
    random_state : int, RandomState instance or None, default=None
        Seed of `shuffle`, to be left alone without it. An int gives the same folds in every call of `split`.
    relevance : {"labels", "hierarchy"}, default="labels"
        "hierarchy": `y` has one column for each level, from coarse to fine, and the classes of the coarsest
        level are split.
    group_disjoint : bool, default=False
        Whether no group is on both sides either, such as a session or a document that holds several classes:
        training rows of a group that the test set has are then left out. `split` needs ``groups``.

    See Also
    --------
    ClassDisjointShuffleSplit : Random halves, or other shares, of the classes, any number of times.
    class_disjoint_split : One such split of arrays.
    sklearn.model_selection.GroupKFold : Folds by `groups`, which balances samples or groups, not both.

    Notes
    -----
    The classes are sorted by size and cut into strata of `n_splits` classes.
    :class:`sklearn.model_selection.StratifiedKFold` deals those of each stratum to different folds.

    Examples
    --------
    >>> import numpy as np
    >>> from skmetric.model_selection import ClassDisjointKFold
    >>> X, y = np.zeros((7, 1)), np.array(["ant", "ant", "bee", "cat", "cat", "cat", "dog"])
    >>> for train, test in ClassDisjointKFold(n_splits=2).split(X, y):
    ...     print(y[train], y[test])
    ['cat' 'cat' 'cat' 'dog'] ['ant' 'ant' 'bee']
    ['ant' 'ant' 'bee'] ['cat' 'cat' 'cat' 'dog']
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        shuffle: bool = False,
        random_state: int | np.random.RandomState | None = None,
        relevance: str = "labels",
        group_disjoint: bool = False,
    ) -> None:
        self.n_splits = n_splits
        self.shuffle = shuffle
        self.random_state = random_state
        self.relevance = relevance
        self.group_disjoint = group_disjoint

    def _split_classes(
        self, class_sizes: NDArray[np.intp]
    ) -> Iterable[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        folds = StratifiedKFold(self.n_splits, shuffle=self.shuffle, random_state=self.random_state)
        n_classes = len(class_sizes)
        if n_classes < 2 * self.n_splits:
            raise ValueError(
                f"n_splits={self.n_splits} needs {2 * self.n_splits} classes, two in every fold; "
                f"y has {n_classes}, enough for n_splits={n_classes // 2}"
            )
        rank = np.empty(n_classes, dtype=int)
        rank[np.argsort(-class_sizes, kind="stable")] = np.arange(n_classes)
        # a stratum holds n_splits classes; the last and smallest ones join the stratum before
        stratum = np.minimum(rank // self.n_splits, n_classes // self.n_splits - 1)  # (n_classes,)
        return folds.split(stratum, stratum)


class ClassDisjointShuffleSplit(_ClassDisjointSplitter):
    """Random splits of the classes: a share to train on, others to test on, any number of times.

    The sizes count classes, not samples. Two test sets may share classes, unlike two folds of
    :class:`ClassDisjointKFold`.

    Parameters
    ----------
    n_splits : int, default=5
        Number of random splits.
    test_size : float or int, default=None
        Share of the classes to test on, in (0, 1), rounded up; or their number. If None, what `train_size`
        leaves, or half of the classes if that is None too: the custom in metric learning.
    train_size : float or int, default=None
        Share of the classes to train on, in (0, 1), rounded down; or their number. If None, what `test_size`
        leaves.
    random_state : int, RandomState instance or None, default=None
        Seed. An int gives the same splits in every call of `split`.
    relevance : {"labels", "hierarchy"}, default="labels"
        "hierarchy": `y` has one column for each level, from coarse to fine, and the classes of the coarsest
        level are split.
    group_disjoint : bool, default=False
        Whether no group is on both sides either: as for :class:`ClassDisjointKFold`.

    See Also
    --------
    ClassDisjointKFold : Folds that test every class once.
    class_disjoint_split : One such split of arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from skmetric.model_selection import ClassDisjointShuffleSplit
    >>> X, y = np.zeros((8, 1)), np.array([0, 0, 1, 1, 2, 2, 3, 3])
    >>> for train, test in ClassDisjointShuffleSplit(n_splits=2, random_state=0).split(X, y):
    ...     print(y[train], y[test])
    [0 0 1 1] [2 2 3 3]
    [1 1 3 3] [0 0 2 2]
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        test_size: float | None = None,
        train_size: float | None = None,
        random_state: int | np.random.RandomState | None = None,
        relevance: str = "labels",
        group_disjoint: bool = False,
    ) -> None:
        self.n_splits = n_splits
        self.test_size = test_size
        self.train_size = train_size
        self.random_state = random_state
        self.relevance = relevance
        self.group_disjoint = group_disjoint

    def _split_classes(
        self, class_sizes: NDArray[np.intp]
    ) -> Iterable[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        half = 0.5 if self.test_size is None and self.train_size is None else self.test_size
        splits = ShuffleSplit(
            self.n_splits, test_size=half, train_size=self.train_size, random_state=self.random_state
        )
        return splits.split(class_sizes)


def class_disjoint_split(
    X: Any,
    y: Any,
    *arrays: Any,
    groups: ArrayLike | None = None,
    test_size: float | None = None,
    train_size: float | None = None,
    random_state: int | np.random.RandomState | None = None,
    relevance: str = "labels",
) -> list[Any]:
    """Split arrays into training and test sets that have no class in common.

    :func:`sklearn.model_selection.train_test_split` for metric learning: the classes are split, and the rows
    follow in the order they had.

    Parameters
    ----------
    X : sequence, array, sparse matrix or dataframe with n_samples rows
        Samples: features, images, a list of paths.
    y : array-like of shape (n_samples,)
        Their labels, numbers or strings.
    *arrays : sequences, arrays, sparse matrices or dataframes with n_samples rows
        Other arrays that are split in the same way, such as sample weights.
    groups : array-like of shape (n_samples,), default=None
        Group of each row, such as its session: training rows of a group that the test set has are left out.
        Give them among `arrays` too to have them split.
    test_size : float or int, default=None
        Share of the classes to test on, in (0, 1), rounded up; or their number. If None, what `train_size`
        leaves, or half of the classes if that is None too.
    train_size : float or int, default=None
        Share of the classes to train on, in (0, 1), rounded down; or their number. If None, what `test_size`
        leaves.
    random_state : int, RandomState instance or None, default=None
        Seed of the choice of classes.
    relevance : {"labels", "hierarchy"}, default="labels"
        "hierarchy": `y` has one column for each level, from coarse to fine, and the classes of the coarsest
        level are split.

    Returns
    -------
    list of length 2 * (2 + len(arrays))
        ``X_train, X_test, y_train, y_test`` and so on, each of the type it came in.

    Raises
    ------
    ValueError
        If lengths differ, if `y` is continuous or has unlabelled rows, if a side would have fewer than two
        classes, or a row has no group.

    See Also
    --------
    query_gallery_split : Split inside the classes, to search one part in the other.
    ClassDisjointShuffleSplit : The same split for cross-validation.

    Examples
    --------
    >>> from skmetric.model_selection import class_disjoint_split
    >>> paths = ["a0.png", "a1.png", "b0.png", "c0.png", "c1.png", "d0.png"]
    >>> labels = ["a", "a", "b", "c", "c", "d"]
    >>> paths_train, paths_test, y_train, y_test = class_disjoint_split(paths, labels, random_state=0)
    >>> y_train, y_test
    (['a', 'a', 'b'], ['c', 'c', 'd'])
    >>> paths_test
    ['c0.png', 'c1.png', 'd0.png']
    """
    splitter = ClassDisjointShuffleSplit(
        1,
        test_size=test_size,
        train_size=train_size,
        random_state=random_state,
        relevance=relevance,
        group_disjoint=groups is not None,
    )
    everything = indexable(X, y, *arrays)
    for array in everything:
        if isinstance(array, np.ndarray):
            check_map(array, "an array to be split")
    sides = next(splitter.split(X, y, groups))
    return list(chain.from_iterable((safe_indexing(a, side) for side in sides) for a in everything))
