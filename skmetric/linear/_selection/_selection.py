"""Choice of shrinkage, normalisation, power and saturation by retrieval of held-out classes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from skmetric._kernel._threads import map_blocks
from skmetric.base import signed_power
from skmetric.linear._closed_form._scatter import dense

from ._candidates import WITHIN, Candidate, Offered, between_choices, default
from ._results import Scores, results, surest
from ._scoring import (
    Family,
    Whitened,
    embedding_scores,
    make_family,
    preparation,
    score_learned,
    score_unlearned,
    tested,
)
from ._splits import ENOUGH_CLASSES, MAX_HELD_OUT, N_FOLDS, Split, class_splits, distinct_rows

Rows = Any  # an array or a CSR array, (n_samples, n_features)
Given = tuple[Rows, int | None]  # rows under a power, and the features of which they may be coordinates

FIRST_WITHIN = (0.1, 0.5)  # of the first stage, which compares families
MILD_WITHIN = 0.9  # of the reference of few classes


class Progress(Protocol):
    """What is told of the steps of the choice, and may ask to stop."""

    def begin(self) -> None: ...
    def end(self) -> bool: ...


class Choice:
    """What is searched, on which splits, and what has been scored so far.

    Parameters
    ----------
    X, codes, n_classes, sample_weight
        Training samples, as :func:`~skmetric.linear._closed_form._scatter.class_scatter` takes them.
    offered : Offered
        What is searched.
    rng : RandomState
        Draws the splits.
    rows_of : callable, default=None
        From a power to the rows of `X` under it, which may be coordinates in fewer dimensions, and the number
        of features, None where the rows have all.
    """

    def __init__(
        self,
        X: Rows,
        codes: NDArray[np.intp],
        n_classes: int,
        sample_weight: NDArray[np.floating] | None,
        offered: Offered,
        rng: np.random.RandomState,
        rows_of: Callable[[float], Given] | None = None,
    ) -> None:
        self.X, self.codes, self.n_classes, self.sample_weight = X, codes, n_classes, sample_weight
        self.offered, self.rng = offered, rng
        self.rows_of = rows_of or (lambda power: (signed_power(X, power), None))
        self.splits = class_splits(X, codes, n_classes, sample_weight, rng)
        self.tested = np.concatenate([tested(split) for split in self.splits] or [np.empty(0, np.intp)])
        self.scores: Scores = {}
        self._family: Family | None = None  # the one that was made last
        # few classes have many splits, of few rows each: what was whitened is worth keeping, and small
        self._whitened: defaultdict[tuple[bool, float], dict[tuple[int, float], Whitened]] | None = None
        if n_classes < ENOUGH_CLASSES:
            self._whitened = defaultdict(dict)

    def family(self, normalize: bool, power: float) -> Family:
        """Rows and scatters under a normalisation and a power."""
        if self._family is None or (self._family.normalize, self._family.power) != (normalize, power):
            self._family = None  # two would be twice the memory
            X, n_features = self.rows_of(power)
            weights, kept = self.sample_weight, self._whitened
            whitened = None if kept is None else kept[normalize, power]
            self._family = make_family(
                X, self.codes, self.n_classes, weights, self.splits, normalize, power, n_features, whitened
            )
        return self._family

    def add(self, score: Callable[[Split], dict[Candidate, NDArray[np.float64]]]) -> None:
        """Score candidates on all splits."""
        per_split = list(map_blocks(score, self.splits))
        for candidate in per_split[0]:
            self.scores[candidate] = [part[candidate] for part in per_split]

    def reference(self) -> Candidate:
        """What others must beat: the default, and one that hardly whitens where classes are few.

        A fold of few classes learns on much fewer than all, and so says too little for learning.
        """
        within = 0.5 if self.n_classes >= ENOUGH_CLASSES else MILD_WITHIN
        return default(self.offered, self.offered.families[0], self.n_classes, within)

    def best(self) -> Candidate:
        """The candidate that gains most for sure, of those scored so far."""
        return surest(self.scores, self.reference(), self.tested)


def select(choice: Choice, progress: Progress | None = None) -> tuple[Candidate, dict[str, Any] | None]:
    """Choose a candidate.

    Parameters
    ----------
    choice : Choice
        Samples and what is searched.
    progress : Progress, default=None
        Told of each of at most :func:`n_steps` steps.

    Returns
    -------
    chosen : Candidate
    results : dict or None
        One entry a candidate; None if classes, or their samples, are too few to hold any out.
    """
    offered, n_classes = choice.offered, choice.n_classes
    if not len(choice.tested):  # no class can be held out, or none that is has a pair
        return default(offered, _better_unlearned(choice), n_classes), None
    best = default(offered, offered.families[0], n_classes)
    for stage in (_families, _grid, _saturations):
        is_stopped = _run(stage(choice, best), progress)
        best = choice.best()
        if is_stopped:
            break
    return best, results(choice.scores, choice.reference(), choice.tested)


def n_steps(offered: Offered) -> int:
    """Steps of the choice, at most."""
    return len(offered.families) * len(offered.powers) + len(WITHIN) + 1


def _run(steps: Iterator[Callable[[], None]], progress: Progress | None) -> bool:
    """Take the steps of a stage; whether it was asked to stop."""
    for step in steps:
        if progress is None:
            step()
            continue
        progress.begin()
        step()
        if progress.end():
            return True
    return False


def _families(choice: Choice, best: Candidate) -> Iterator[Callable[[], None]]:
    """First stage: each normalisation and power at a few shrinkages, and unlearned."""
    offered = choice.offered
    others = [(best.between, best.saturation)]
    first: tuple[float, ...] = FIRST_WITHIN
    later: tuple[float, ...] = FIRST_WITHIN[1:]
    if choice.n_classes < ENOUGH_CLASSES:
        first, later = (*FIRST_WITHIN, MILD_WITHIN), (MILD_WITHIN,)

    def step(normalize: bool, power: float, withins: tuple[float, ...]) -> None:
        family = choice.family(normalize, power)
        choice.add(lambda split: score_unlearned(family, split))
        for within in withins:
            choice.add(partial(score_learned, family, within=within, others=others, offered=offered))

    for normalize in offered.families:
        for power in offered.powers:
            yield partial(step, normalize, power, first if power == offered.powers[0] else later)


def _grid(choice: Choice, best: Candidate) -> Iterator[Callable[[], None]]:
    """Second stage: the shrinkages, in the family that did best, at two saturations."""
    offered = choice.offered
    family = choice.family(best.normalize, best.power)
    saturations = dict.fromkeys([offered.saturations[0], offered.saturations[len(offered.saturations) // 2]])
    others = [(b, s) for b in between_choices(choice.n_classes) for s in saturations]
    for within in WITHIN:
        score = partial(score_learned, family, within=within, others=others, offered=offered)
        yield partial(choice.add, score)


def _saturations(choice: Choice, best: Candidate) -> Iterator[Callable[[], None]]:
    """Third stage: all saturations, at the shrinkage inside classes that did best."""
    offered = choice.offered
    others = [
        (between, saturation)
        for between in between_choices(choice.n_classes)
        for saturation in offered.saturations
        if best._replace(between=between, saturation=saturation) not in choice.scores
    ]
    if others and best.within in WITHIN:
        family = choice.family(best.normalize, best.power)
        yield partial(
            choice.add,
            partial(score_learned, family, within=best.within, others=others, offered=offered),
        )


def _better_unlearned(choice: Choice) -> bool:
    """Between raw and unit rows, only centred, what retrieves the training samples better.

    Nothing is learned from the labels here, so no class need be held out.
    """
    X, codes, sample_weight, rng = choice.X, choice.codes, choice.sample_weight, choice.rng
    weights = np.ones(X.shape[0], int) if sample_weight is None else sample_weight
    rows, weights = distinct_rows(X, codes, weights, np.arange(X.shape[0]))
    most = MAX_HELD_OUT // N_FOLDS
    if len(rows) > most:
        kept = np.sort(rng.choice(len(rows), most, replace=False))
        rows, weights = rows[kept], weights[kept]
    X = dense(choice.rows_of(choice.offered.powers[0])[0][rows])

    def score(normalize: bool) -> float:
        prepared = preparation(normalize)(X)
        embeddings = preparation(normalize)(prepared - prepared.mean(axis=0))
        means = embedding_scores(embeddings, codes[rows], weights)
        return float(means.mean()) if len(means) else 0.0

    return max(choice.offered.families, key=score)
