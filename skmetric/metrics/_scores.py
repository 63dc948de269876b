"""Scores by name, and one pass of the kernel for any number of them."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmetric._checks import as_array, read_labels
from skmetric._input._groups import group_codes
from skmetric._params import num_samples
from skmetric.retrieval import Ranking, iter_rankings

from ._copies import check_copies
from ._ranking import FURTHER_SCORES, SCORES

_KNOWN = SCORES | FURTHER_SCORES


class Score(NamedTuple):
    """A score by name: what it makes of a ranking, of chance, and how deep it looks."""

    name: str
    per_query: Callable[[Ranking], NDArray[np.float64]]  # ranking -> (n_queries,)
    chance: Callable[[Any, Any], Any]  # (n_relevant, n_gallery) -> (n_queries,)
    depth: str  # "k", "R" or "all": ranks that it looks at
    k: int | None = None
    chance_of: Callable[[Ranking], NDArray[np.float64]] | None = None  # of a ranking with grades


class PerQuery(NamedTuple):
    """Scores of each query, in the order of the queries."""

    values: NDArray[np.float64]  # (n_scores, n_queries), NaN where there is nothing to find
    n_relevant: NDArray[np.intp]  # (n_queries,)
    n_gallery: int  # items that each query is searched among, itself left out
    n_searched: int | NDArray[np.intp]  # of these, what groups leave: (n_queries,)
    graded_chance: NDArray[np.float64] | None = None  # (n_scores, n_queries), of scores of grades

    @property
    def answerable(self) -> NDArray[np.bool_]:
        return self.n_relevant > 0  # (n_queries,)

    def take(self, queries: NDArray[np.intp]) -> "PerQuery":
        """The same of some of the queries."""
        searched = self.n_searched if isinstance(self.n_searched, int) else self.n_searched[queries]
        chance = None if self.graded_chance is None else self.graded_chance[:, queries]
        return PerQuery(self.values[:, queries], self.n_relevant[queries], self.n_gallery, searched, chance)

    @property
    def n_left_out(self) -> float | None:
        """Items that groups leave out of the search of a query with something to find, on average."""
        if isinstance(self.n_searched, int):
            return None
        return self.n_gallery - float(self.n_searched[self.answerable].mean())

    def chance(self, scores: "list[Score]") -> list[float]:
        """Chance level of each score, over the queries that have something to find."""
        kept = self.answerable
        n = self.n_searched if isinstance(self.n_searched, int) else self.n_searched[kept]
        return [
            float(score.chance(self.n_relevant[kept], n).mean())
            if score.chance_of is None or self.graded_chance is None
            else float(self.graded_chance[place, kept].mean())
            for place, score in enumerate(scores)
        ]


def parse_score(name: Any) -> Score:
    """The score of that name: of `SCORES`, or ``"recall_at_10"`` for `recall_at_k` at a cut-off of 10."""
    if name in _KNOWN and not str(name).endswith("_k"):
        score = _KNOWN[name]
        return Score(name, score.per_query, score.chance, score.depth)
    parts = re.fullmatch(r"([a-z_0-9]+_at_)([1-9]\d*)", name) if isinstance(name, str) else None
    if parts is None or f"{parts[1]}k" not in _KNOWN:
        usual = sorted((f"{at[:-1]}<k>" if at.endswith("_k") else at for at in SCORES), key=_cutoffs_first)
        choices = [*usual, *(f"{at[:-1]}<k>" for at in FURTHER_SCORES)]
        raise ValueError(f"unknown score {name!r}; the choices are {', '.join(choices)}, with k from 1")
    score, k = _KNOWN[f"{parts[1]}k"], int(parts[2])
    chance_of = None if score.chance_of is None else partial(score.chance_of, k=k)
    return Score(name, partial(score.per_query, k=k), partial(score.chance, k=k), "k", k, chance_of)


def names_at(cutoffs: list[int]) -> list[str]:
    """Names of all scores at these cut-offs, in the order of reports.

    At 1 those with a cut-off are equal, and only the first of them is named.
    """
    names, seen_first = [], False
    for name in SCORES:
        if name.endswith("_k"):
            names += [f"{name[:-1]}{cutoff}" for cutoff in cutoffs if cutoff != 1 or not seen_first]
            seen_first = True
        else:
            names.append(name)
    return names


def _cutoffs_first(name: str) -> bool:
    return not name.endswith(">")


def n_searched_among(embeddings: Any, gallery: Any) -> int:
    """Items that each query is searched among, itself left out."""
    return num_samples(embeddings) - 1 if gallery is None else num_samples(gallery)


def score_queries(
    scores: list[Score],
    embeddings: Any,
    y: Any,
    *,
    gallery: Any = None,
    y_gallery: Any = None,
    groups: Any = None,
    groups_gallery: Any = None,
    relevance: Any = None,
    rankings: Callable[..., Any] = iter_rankings,
    check: bool = True,
) -> PerQuery:
    """All `scores` of each query, from one pass of the kernel no deeper than they need.

    `rankings` takes the place of the kernel where the distance is not Euclidean. Without `check` nobody asks
    whether queries are rows of the gallery.

    Returns
    -------
    PerQuery

    Raises
    ------
    ValueError
        If a cut-off is beyond the gallery, no query has anything to find, or the queries are rows of the
        gallery, and what the kernel raises.
    """
    parts = []
    relevance = None if isinstance(relevance, str) and relevance == "labels" else relevance
    depth = _depth(scores, y, y_gallery) if relevance is None else _depth_of_grades(scores)
    settings = {"gallery": gallery, "y_gallery": y_gallery, "depth": depth}
    if groups is not None or groups_gallery is not None:  # which a learner's own rankings need not know
        settings |= {"groups": groups, "groups_gallery": groups_gallery}
    if relevance is not None:
        settings |= {"relevance": relevance}
    n_gallery = n_searched_among(embeddings, gallery)
    with closing(rankings(embeddings, y, **settings)) as blocks:
        for rows, ranking in blocks:
            _check_cutoffs(scores, n_gallery)
            values = np.stack([score.per_query(ranking) for score in scores])  # (n_scores, n_block)
            n_searched = np.broadcast_to(ranking.n_gallery, len(rows))
            parts.append((rows, values, ranking.n_relevant, n_searched, _graded_chance(scores, ranking)))
    rows, values, n_relevant, n_searched, chance = (
        np.concatenate(p, axis=-1) for p in zip(*parts, strict=True)
    )
    if not n_relevant.any():
        raise ValueError(f"no query has anything to find: {_why_nothing(gallery, groups, relevance)}")
    if check and gallery is not None:
        labels = (read_labels(y), read_labels(y_gallery, "y_gallery")) if relevance is None else None
        sides = (np.zeros(len(rows)), np.zeros(n_gallery)) if labels is None else labels  # of one class
        check_copies(
            *(as_array(embeddings), sides[0], as_array(gallery), sides[1]),
            groups=None if groups is None else group_codes(groups, groups_gallery, len(rows), n_gallery),
        )
    order = np.argsort(rows)
    searched = n_gallery if groups is None else n_searched[order]
    of_grades = None if relevance is None else chance.take(order, axis=1)
    return PerQuery(values.take(order, axis=1), n_relevant[order], n_gallery, searched, of_grades)


def mean_score(
    name: str,
    embeddings: Any,
    y: Any,
    gallery: Any,
    y_gallery: Any,
    groups: Any,
    groups_gallery: Any,
    relevance: Any,
) -> float:
    """One of :func:`mean_scores`, with the arguments that all public scores have."""
    sides = {"gallery": gallery, "y_gallery": y_gallery, "groups": groups, "groups_gallery": groups_gallery}
    return mean_scores([name], embeddings, y, **sides, relevance=relevance)[name]


def mean_scores(
    names: Sequence[str],
    embeddings: Any,
    y: Any,
    *,
    gallery: Any = None,
    y_gallery: Any = None,
    groups: Any = None,
    groups_gallery: Any = None,
    relevance: Any = None,
    sample_weight: Any = None,
    rankings: Callable[..., Any] = iter_rankings,
) -> dict[str, float]:
    """Each score by name, averaged over the queries that have something to find."""
    scores = [parse_score(name) for name in names]
    sides = {"gallery": gallery, "y_gallery": y_gallery, "groups": groups, "groups_gallery": groups_gallery}
    result = score_queries(scores, embeddings, y, **sides, relevance=relevance, rankings=rankings)
    kept = result.answerable
    weights = None if sample_weight is None else np.asarray(sample_weight)[kept]
    if weights is not None and not weights.any():
        raise ValueError(
            "sample_weight is 0 for each row that has something to find: give one of them a positive weight"
        )
    means = np.average(result.values.compress(kept, axis=1), axis=1, weights=weights)
    return dict(zip(names, means.tolist(), strict=True))


def _depth(scores: list[Score], y: Any, y_gallery: Any) -> int | None:
    """Ranks that the scores look at; None for all."""
    if any(score.depth == "all" for score in scores):
        return None
    labels = read_labels(y) if y_gallery is None else read_labels(y_gallery, "y_gallery")
    largest = max(Counter(labels.tolist()).values(), default=1)
    return max(score.k or largest for score in scores)


def _depth_of_grades(scores: list[Score]) -> int | None:
    """The same where labels do not tell how many items are relevant."""
    return None if any(score.depth != "k" for score in scores) else max(score.k or 1 for score in scores)


def _graded_chance(scores: list[Score], ranking: Ranking) -> NDArray[np.float64]:
    """Chance level (n_scores, n_block) of the scores of grades; NaN of the others."""
    values = np.full((len(scores), len(ranking.relevant)), np.nan)
    for place, score in enumerate(scores):
        if score.chance_of is not None and ranking.grades is not None:
            values[place] = score.chance_of(ranking)
    return values


def _why_nothing(gallery: Any, groups: Any, relevance: Any) -> str:
    if groups is not None:
        alike = "items of a query's class" if relevance is None else "items with a grade above 0 for a query"
        return f"all {alike} are also of its group. Relevant items of other groups are needed"
    if relevance is not None:
        return "no other item has a grade above 0 for any query"
    return "every class of y has one row" if gallery is None else "y and y_gallery share no class"


def _check_cutoffs(scores: list[Score], n_gallery: int) -> None:
    for score in scores:
        if score.k is not None and score.k > n_gallery:
            raise ValueError(
                f"{score.name}: k={score.k} is more than the {n_gallery} items that a query is searched among"
            )
