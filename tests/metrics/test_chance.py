"""Chance levels: exact on all orders of a small gallery, and what collapsed embeddings score."""

from itertools import combinations

import numpy as np
import pytest

from skmetric.metrics import retrieval_report
from skmetric.metrics._scores import parse_score
from skmetric.retrieval import Ranking

NAMES = [
    *(f"{family}_at_{k}" for family in ("recall", "precision", "ndcg") for k in (1, 3, 7)),
    *("r_precision", "map_at_r", "mean_average_precision", "mean_reciprocal_rank"),
]


@pytest.mark.parametrize("n_relevant", range(1, 8))
@pytest.mark.parametrize("name", NAMES)
def test_chance_is_the_mean_over_all_orders(name, n_relevant):
    ranks = np.array(list(combinations(range(7), n_relevant)))  # each set of ranks is equally likely
    relevant = np.zeros((len(ranks), 7), dtype=bool)
    np.put_along_axis(relevant, ranks, True, axis=1)
    of_score = parse_score(name)
    values = of_score.per_query(Ranking(relevant, np.full(len(ranks), n_relevant), 7))
    assert of_score.chance(np.array([n_relevant]), 7) == pytest.approx(values.mean(), abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_chance_where_groups_leave_fewer_items_than_the_cutoff(name):
    ranks = np.array(list(combinations(range(5), 2)))
    relevant = np.zeros((len(ranks), 7), dtype=bool)  # two ranks of seven hold nothing
    np.put_along_axis(relevant, ranks, True, axis=1)
    of_score = parse_score(name)
    values = of_score.per_query(Ranking(relevant, np.full(len(ranks), 2), np.full(len(ranks), 5)))
    chance = of_score.chance(np.array([2, 2]), np.array([5, 7]))
    assert chance == pytest.approx([values.mean(), of_score.chance(np.array([2]), 7)[0]], abs=1e-12)


def test_chance_in_a_large_gallery_stays_a_number():
    for name in NAMES:
        chance = parse_score(name).chance(np.array([1, 500, 59_999]), 59_999)
        assert (chance > 0).all()
        assert (np.diff(chance) > 0).all()
        assert chance[-1] == pytest.approx(1, abs=1e-6)


def test_equal_embeddings_score_chance():
    rng = np.random.default_rng(0)
    X, y = np.ones((24, 3)), np.repeat(np.arange(5), [2, 3, 5, 6, 8])
    reports = [retrieval_report(X, rng.permutation(y), n_resamples=1) for _ in range(200)]
    for name, chance in reports[0].chance.items():
        scores = np.array([report[name] for report in reports])
        assert scores.mean() == pytest.approx(chance, abs=4 * scores.std() / np.sqrt(len(scores))), name
