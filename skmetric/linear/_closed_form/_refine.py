"""Large-margin refinement of a linear map: a triplet hinge, tethered to where it starts."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from skmetric._kernel._threads import map_blocks
from skmetric.base import unit_rows
from skmetric.linear._selection._results import standard_error
from skmetric.linear._selection._scoring import class_scores, same_rows
from skmetric.linear._selection._splits import Split, class_splits, distinct_rows

Rows = NDArray[np.floating]
Embed = Callable[[Rows], Rows]
Embedded = Callable[[NDArray[np.intp]], Rows]  # row numbers -> embeddings

_CLASSES_PER_BATCH, _SAMPLES_PER_CLASS = 32, 4
_N_TURNED = 256  # directions that are refined, those in which embeddings vary most
_LEARNING_RATE = 3e-4
_TETHER = 0.05  # pull back to the start, in units of the learning rate
_STEPS = (0, 20, 40, 80, 160, 320)  # where held-out classes are scored
_N_SPLITS = 4
_AT_ONCE = 1024  # rows whose embeddings are measured at a time


def refine(
    X: Any,
    codes: NDArray[np.intp],
    solve: Callable[..., tuple[Embed, Rows]],
    margin: float,
    normalize: bool,
    sample_weight: Rows | None,
    rng: np.random.RandomState,
) -> tuple[Rows | None, int]:
    """Refine the closed form for as many steps as retrieval of held-out classes gains by.

    Parameters
    ----------
    X : ndarray or CSR array of shape (n_samples, n_features)
        Training samples.
    codes : ndarray of shape (n_samples,)
        Classes, from 0.
    solve : callable
        From samples, codes and weights to the closed form learned on them: the function that embeds rows
        before the last normalisation, its directions by falling variance, and the map.
    margin : float
        In units of the mean squared length of an embedding.
    normalize : bool
        Whether embeddings are scaled to unit length after the map.
    sample_weight : ndarray of shape (n_samples,) or None
        How likely a row is drawn within its class.
    rng : RandomState
        Draws splits and batches.

    Returns
    -------
    components : ndarray of shape (n_components, n_features) or None
        The refined map; None after no step.
    n_steps : int
        Steps taken; 0 if none helps, or if classes are too few to hold any out.
    """
    before: Embed = unit_rows if normalize else same_rows
    X, codes, sample_weight = _without_copies(X, codes, sample_weight)
    splits = class_splits(X, codes, int(codes.max()) + 1, sample_weight, rng)[:_N_SPLITS]
    splits = [split for split in splits if _can_descend(codes[split.train])]
    seeds = rng.randint(np.iinfo(np.int32).max, size=len(splits) + 1)

    def descend(rows: NDArray[np.intp], seed: int, n_steps: int) -> tuple[Embed, Rows, Iterator[Rows]]:
        weights = None if sample_weight is None else sample_weight[rows]
        part = X[rows]
        embed, components = solve(part, codes[rows], weights)
        embedded = _lookup(part, embed)
        unit = margin * (1.0 if normalize else _mean_square(embedded, len(rows)))
        start = np.eye(min(_N_TURNED, len(components)), dtype=components.dtype)
        turns = _descend(embedded, start, codes[rows], unit, normalize, weights, seed, n_steps)
        return embed, components, turns

    def score(case: tuple[Split, int]) -> list[NDArray[np.float64]]:
        split, seed = case
        embed, _, turns = descend(split.train, seed, _STEPS[-1])
        rows = embed(X[split.held_out])
        return [class_scores(before(_turned(rows, turn)), split) for turn in turns]

    n_steps = _best_stop(list(map_blocks(score, zip(splits, seeds[1:], strict=True))))
    if n_steps == 0:
        return None, 0
    _, components, turns = descend(np.arange(X.shape[0]), seeds[0], n_steps)
    *_, turn = turns
    return _turned(components.T, turn).T, n_steps


def _can_descend(codes: NDArray[np.intp]) -> bool:
    """Whether two classes have a pair: one to draw together, one to keep away."""
    return bool(np.count_nonzero(np.bincount(codes) > 1) > 1)


def _without_copies(
    X: Any, codes: NDArray[np.intp], sample_weight: Rows | None
) -> tuple[Any, NDArray[np.intp], Rows | None]:
    """Equal rows of a class once, with their weights summed: so that a weight of k counts as k copies do."""
    weights = np.ones(X.shape[0], int) if sample_weight is None else sample_weight
    rows, weights = distinct_rows(X, codes, weights, np.arange(X.shape[0]))
    return X[rows], codes[rows], None if np.all(weights == weights[0]) else weights


def _lookup(X: Any, embed: Embed) -> Embedded:
    """Embeddings by row number; sparse rows are embedded when they are asked for, and never all at once."""
    if issparse(X):
        return lambda rows: embed(X[rows])
    embeddings = embed(X)
    return lambda rows: embeddings[rows]


def _mean_square(embedded: Embedded, n_rows: int) -> float:
    """Mean squared length of the embeddings."""
    total = 0.0
    for start in range(0, n_rows, _AT_ONCE):
        part = embedded(np.arange(start, min(start + _AT_ONCE, n_rows)))
        total += float(np.einsum("ij,ij->", part, part, dtype=np.float64))
    return total / n_rows


def _turned(rows: Rows, turn: Rows) -> Rows:
    """Rows with their first coordinates mapped by `turn`."""
    k = len(turn)
    return np.concatenate([rows[:, :k] @ turn.T, rows[:, k:]], axis=1)


def _best_stop(scored: list[list[NDArray[np.float64]]]) -> int:
    """Number of steps that gains most, one standard error over held-out classes taken off."""
    by_step = [np.concatenate(parts) for parts in zip(*scored, strict=True)]
    if not by_step or not len(by_step[0]):
        return 0
    gains = [values - by_step[0] for values in by_step]
    sure = [
        gain.mean() - standard_error(gain) if step else 0.0 for step, gain in zip(_STEPS, gains, strict=True)
    ]
    return _STEPS[int(np.argmax(sure))]


def _descend(
    embedded: Embedded,
    start: Rows,
    codes: NDArray[np.intp],
    margin: float,
    normalize: bool,
    sample_weight: Rows | None,
    seed: int,
    n_steps: int,
) -> Iterator[Rows]:
    """Yield the matrix that turns the first coordinates, at each of `_STEPS` up to `n_steps`; Adam."""
    rng = np.random.RandomState(seed)
    turn, first, second = start, np.zeros_like(start), np.zeros_like(start)
    batches = _batches(codes, sample_weight, rng)
    for step in range(1, n_steps + 2):
        if step - 1 in _STEPS:
            yield turn
        batch = next(batches)
        gradient = _gradient(embedded(batch), codes[batch], turn, margin, normalize)
        first += 0.1 * (gradient - first)
        second += 0.001 * (np.square(gradient) - second)
        update = first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
        turn = turn - _LEARNING_RATE * (update + _TETHER * (turn - start))


def _batches(
    codes: NDArray[np.intp], sample_weight: Rows | None, rng: np.random.RandomState
) -> Iterator[NDArray[np.intp]]:
    """Yield batches of several rows of several classes."""
    members = [np.flatnonzero(codes == code) for code in np.unique(codes)]
    members = [part for part in members if len(part) > 1]
    weights: list[Any] = [None] * len(members)
    if sample_weight is not None:
        weights = [sample_weight[part] / sample_weight[part].sum() for part in members]
    while True:
        drawn = rng.permutation(len(members))[:_CLASSES_PER_BATCH]
        sizes = [min(_SAMPLES_PER_CLASS, len(members[i])) for i in drawn]
        yield np.concatenate(
            [
                rng.choice(members[i], n, replace=False, p=weights[i])
                for i, n in zip(drawn, sizes, strict=True)
            ]
        )


def _gradient(rows: Rows, codes: NDArray[np.intp], turn: Rows, margin: float, normalize: bool) -> Rows:
    """Gradient in `turn` of the mean of max(0, margin + d2(a, p) - d2(a, n)) over pairs a, p.

    The negative n of an anchor is the nearest of the batch (Hermans, Beyer, Leibe, arXiv 1703.07737).
    """
    mapped = _turned(rows, turn)  # (n_batch, n_components)
    lengths = np.sqrt(np.einsum("ij,ij->i", mapped, mapped))[:, None] + np.finfo(rows.dtype).tiny
    unit = mapped / lengths if normalize else mapped
    norms = np.einsum("ij,ij->i", unit, unit)
    squares = norms[:, None] + norms - 2 * unit @ unit.T  # (n_batch, n_batch)
    same = codes[:, None] == codes
    negative = np.where(same, np.inf, squares).argmin(axis=1)
    anchor = np.arange(len(rows))
    active = same & (margin + squares > squares[anchor, negative][:, None])
    active[anchor, anchor] = False
    pull = active.astype(rows.dtype)
    pull[anchor, negative] -= active.sum(axis=1)
    pull /= max(np.count_nonzero(active), 1)
    pull = pull + pull.T  # d loss / d squares, of both orders of a pair
    slope = 2 * (pull.sum(axis=1)[:, None] * unit - pull @ unit)
    if normalize:
        slope = (slope - np.einsum("ij,ij->i", slope, unit)[:, None] * unit) / lengths
    return slope[:, : len(turn)].T @ rows[:, : len(turn)]
