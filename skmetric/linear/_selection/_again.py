"""The shrinkages chosen anew for samples that are added: on rows of these, with what was learned before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from skmetric._kernel._threads import map_blocks
from skmetric.base import centred_map
from skmetric.linear._closed_form._scatter import ClassScatter, class_scatter, merge
from skmetric.linear._closed_form._whitening import Whitening, stretch, whiten
from skmetric.metrics._scores import parse_score, score_queries

from ._by_blocks import map_at_r_by_blocks
from ._candidates import WITHIN, Candidate, between_choices
from ._results import Scores, results, surest
from ._scoring import preparation
from ._splits import distinct_rows
from ._squares import class_means

_N_FOLDS = 2  # of the rows of each class, so that classes of two rows are tried too
_MAX_ROWS = 2000  # of the added samples, that are scored

Rows = NDArray[np.floating]


class Added(NamedTuple):
    """Samples that are added to a scatter, and where classes of both stand among those of the union."""

    X: Any  # rows, dense or sparse, under the power
    codes: NDArray[np.intp]
    weights: Rows | None
    before: ClassScatter
    codes_before: NDArray[np.intp]
    codes_added: NDArray[np.intp]
    n_classes: int

    def united(self, rows: NDArray[np.intp], normalize: bool) -> ClassScatter:
        """Scatter of what was learned before and of some of the rows, which have all classes."""
        weights = None if self.weights is None else self.weights[rows]
        n_added = len(self.codes_added)
        added = class_scatter(self.X[rows], self.codes[rows], n_added, weights, preparation(normalize))
        return merge(self.before, added, self.n_classes, self.codes_before, self.codes_added)


def choose_again(
    added: Added, now: Candidate, weighting: str, rng: np.random.RandomState
) -> tuple[Candidate, dict[str, Any] | None]:
    """Choose the shrinkages under which rows of the added samples find others of their class.

    Half of the rows of each class are queries, the other half is learned from and searched; then the other
    way round. So the classes are fitted ones and the queries are not. Equal rows of a class count as one of
    their weight, so that none is in both halves.

    Parameters
    ----------
    added : Added
        Samples.
    now : Candidate
        In use: the shrinkages that others must beat, and all else.
    weighting : str
        A key of ``WEIGHTINGS``.
    rng : RandomState
        Draws the halves.

    Returns
    -------
    chosen : Candidate
    results : dict or None
        None where no class has two rows.
    """
    added = _without_copies(added)
    halves = list(_halves(added.codes, rng))
    if not halves:
        return now, None
    pairs = dict.fromkeys([(now.within, now.between)])
    pairs |= dict.fromkeys((a, b) for a in WITHIN for b in between_choices(added.n_classes))

    def score(half: tuple[NDArray[np.intp], NDArray[np.intp]]) -> dict[Candidate, NDArray[np.float64]]:
        return _score(added, half, now, weighting, list(pairs))

    per_half = list(map_blocks(score, halves))
    scores: Scores = {candidate: [part[candidate] for part in per_half] for candidate in per_half[0]}
    classes = np.concatenate([np.unique(added.codes[queries]) for queries, _ in halves])
    return surest(scores, now, classes), results(scores, now, classes)


def _without_copies(added: Added) -> Added:
    weights = np.ones(len(added.codes)) if added.weights is None else added.weights
    rows, weights = distinct_rows(added.X, added.codes, weights, np.arange(len(added.codes)))
    if len(rows) == len(added.codes):
        return added
    return added._replace(X=added.X[rows], codes=added.codes[rows], weights=weights)


def _halves(
    codes: NDArray[np.intp], rng: np.random.RandomState
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Rows that are queries, and rows that are learned from: of each class at least one."""
    order = rng.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    sizes = np.bincount(codes)
    place = np.arange(len(codes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # within the class
    half = np.empty(len(codes), np.intp)
    half[order] = np.where(np.repeat(sizes, sizes) > 1, place % _N_FOLDS, -1)
    for i in range(_N_FOLDS):
        queries = np.flatnonzero(half == i)
        if len(queries):
            kept = np.sort(rng.permutation(queries)[: _MAX_ROWS // _N_FOLDS])
            yield kept, np.flatnonzero(half != i)


def _score(
    added: Added,
    half: tuple[NDArray[np.intp], NDArray[np.intp]],
    now: Candidate,
    weighting: str,
    pairs: list[tuple[float, float]],
) -> dict[Candidate, NDArray[np.float64]]:
    """MAP@R of each class, queries searched in the rows that were learned from and counted by weight."""
    queries, kept = half
    codes, weights = added.codes, np.ones(len(added.codes)) if added.weights is None else added.weights
    scatter = added.united(kept, now.normalize)
    measure = (_BlockAtATime if issparse(added.X) else _AllAtOnce)(added, half, scatter.mean, now, weighting)
    scores = {}
    for within in dict.fromkeys(within for within, _ in pairs):
        values_of = measure.under(whiten(scatter, within))
        for between in [b for a, b in pairs if a == within]:
            values = values_of(between)
            candidate = now._replace(within=within, between=between)
            scores[candidate] = class_means(values, codes[queries], weights[queries])
    return scores


class _AllAtOnce(NamedTuple):
    """Measures the queries of a half; all rows are whitened once for each shrinkage inside classes."""

    added: Added
    half: tuple[NDArray[np.intp], NDArray[np.intp]]
    mean: Rows
    now: Candidate
    weighting: str

    def under(self, whitening: Whitening) -> Callable[[float], NDArray[np.float64]]:
        """From a shrinkage of psi to the MAP@R of each query."""
        before, codes, (queries, kept) = preparation(self.now.normalize), self.added.codes, self.half
        rows = before(self.added.X[np.concatenate([queries, kept])])
        whitened = whitening(rows - self.mean if self.now.center else rows)
        along = whitened @ whitening.directions

        def values_of(between: float) -> NDArray[np.float64]:
            embeddings = stretch(whitening, whitened, between, self.weighting, along, self.now.saturation)
            embeddings = before(embeddings).astype(np.float32)
            asked, searched = embeddings[: len(queries)], embeddings[len(queries) :]
            sides = {"gallery": searched, "y_gallery": codes[kept]}
            # no check for copies: the two halves are of one sample
            scored = score_queries([parse_score("map_at_r")], asked, codes[queries], **sides, check=False)
            return scored.values[0]

        return values_of


class _BlockAtATime(_AllAtOnce):
    """The same of sparse rows, a block of which is mapped at a time."""

    def under(self, whitening: Whitening) -> Callable[[float], NDArray[np.float64]]:
        """From a shrinkage of psi to the MAP@R of each query."""
        before, codes, (queries, kept) = preparation(self.now.normalize), self.added.codes, self.half
        asked, searched = self.added.X[queries], self.added.X[kept]
        axes = whitening(np.eye(len(self.mean)))  # (n_features, n_features): each feature whitened
        along = axes @ whitening.directions
        origin = self.mean if self.now.center else np.zeros_like(self.mean)

        def values_of(between: float) -> NDArray[np.float64]:
            mapped = stretch(whitening, axes, between, self.weighting, along, self.now.saturation).T

            def embed(X: Any) -> Rows:
                embeddings: Rows = before(centred_map(before(X), origin, mapped)).astype(np.float32)
                return embeddings

            return map_at_r_by_blocks(embed, asked, codes[queries], searched, codes[kept])

        return values_of
