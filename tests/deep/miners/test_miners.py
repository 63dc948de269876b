"""Miners: choices worked out by hand, and the contract that all keep."""

import copy
import pickle

import pytest
import torch
from sklearn.base import clone

from skmetric.deep import losses, miners

MINERS = [
    miners.BatchHardMiner(),
    miners.SemiHardMiner(),
    miners.SemiHardMiner(fallback=False),
    miners.EasyPositiveMiner(),
    miners.EasyPositiveMiner(negatives="hard"),
    miners.EasyPositiveMiner(negatives="all"),
    miners.MultiSimilarityMiner(),
    miners.DistanceWeightedMiner(n_components=4, random_state=0),
]
any_miner = pytest.mark.parametrize("miner", MINERS, ids=repr)

# one anchor; columns: itself, two positives, three negatives
DISTANCES = torch.tensor([[0.0, 0.5, 1.0, 0.4, 0.7, 1.3]])
LABELS = torch.tensor([0, 0, 0, 1, 1, 1])


def columns(mask):
    return mask[0].nonzero().flatten().tolist()


def test_batch_hard():
    pairs = miners.BatchHardMiner()(DISTANCES, LABELS)
    assert (columns(pairs.positive), columns(pairs.negative)) == ([2], [3])


def test_semi_hard():
    triplets = miners.SemiHardMiner()(DISTANCES, LABELS)
    assert isinstance(triplets, miners.Triplets)
    # the nearest negative beyond .5 is .7, beyond 1.0 it is 1.3
    assert triplets.positive.tolist() == [1, 2]
    assert triplets.negative.tolist() == [4, 5]


def test_semi_hard_falls_back_on_the_farthest_negative():
    near = torch.tensor([[0.0, 2.0, 0.1, 0.3]])
    labels = torch.tensor([0, 0, 1, 1])
    assert miners.SemiHardMiner()(near, labels).negative.tolist() == [3]
    assert miners.SemiHardMiner(fallback=False)(near, labels).negative.tolist() == []


def test_easy_positive():
    pairs = miners.EasyPositiveMiner()(DISTANCES, LABELS)
    assert (columns(pairs.positive), columns(pairs.negative)) == ([1], [4])
    assert columns(miners.EasyPositiveMiner(negatives="hard")(DISTANCES, LABELS).negative) == [3]
    assert columns(miners.EasyPositiveMiner(negatives="all")(DISTANCES, LABELS).negative) == [3, 4, 5]


def test_multi_similarity():
    pairs = miners.MultiSimilarityMiner(epsilon=0.1)(DISTANCES, LABELS)
    # positives beyond .4 - .1; negatives within 1.0 + .1
    assert (columns(pairs.positive), columns(pairs.negative)) == ([1, 2], [3, 4])


def test_distance_weighted_draws_evenly_over_distances():
    # of 2 000 points on the sphere in 16 dimensions nearly all lie around √2, few below 1
    generator = torch.Generator().manual_seed(0)
    points = torch.nn.functional.normalize(torch.randn(2000, 16, generator=generator))
    points[1] = points[0]
    labels = torch.cat([torch.zeros(2, dtype=torch.int64), torch.ones(1998, dtype=torch.int64)])
    distances = torch.cdist(points[:1], points)
    miner = miners.DistanceWeightedMiner(n_components=16, random_state=0)
    drawn = torch.cat([distances[miner(distances, labels).negative] for _ in range(200)])
    assert len(drawn) == 200  # as many as positives
    assert drawn.max() < 1.4
    # by their density alone, .07 of the points nearer than 1.4 would be nearer than 1.1
    assert (drawn < 1.1).double().mean() > 0.2


def test_distance_weighted_goes_on_where_a_copy_does():
    miner = miners.DistanceWeightedMiner(n_components=4, random_state=0)
    distances, labels = torch.full((8, 8), 1.0), torch.arange(8) % 4
    first = miner(distances, labels)
    copies = [copy.deepcopy(miner), pickle.loads(pickle.dumps(miner))]
    second = miner(distances, labels)
    assert not torch.equal(first.negative, second.negative)
    for again in copies:
        assert torch.equal(again(distances, labels).negative, second.negative)
    assert torch.equal(clone(miner)(distances, labels).negative, first.negative)


@any_miner
@pytest.mark.parametrize("labels", [[0, 0, 1, 1], [0, 0, 0, 0], [0, 1, 2, 3]])
def test_choice_keeps_to_the_labels(miner, labels):
    labels = torch.tensor(labels)
    points = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    distances = torch.cdist(points, points)
    tuples = clone(miner)(distances, labels)
    same = labels[:, None] == labels
    if isinstance(tuples, miners.Triplets):
        anchor, positive, negative = tuples
        assert same[anchor, positive].all()
        assert (anchor != positive).all()
        assert not same[anchor, negative].any()
    else:
        assert isinstance(tuples, miners.Pairs)
        assert not (tuples.positive & ~same).any()
        assert not tuples.positive.diagonal().any()
        assert not (tuples.negative & same).any()


@any_miner
def test_anchors_are_the_first_columns(miner):
    points = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 0, 1, 0, 1])
    tuples = clone(miner)(torch.cdist(points[:2], points), labels)
    if isinstance(tuples, miners.Pairs):
        assert tuples.positive.shape == (2, 6)


@any_miner
@pytest.mark.parametrize("make", [losses.TripletMarginLoss, losses.ContrastiveLoss])
def test_losses_take_it_by_name_in_a_grid(miner, make):
    points = torch.randn(8, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    loss = make(miner=clone(miner), margin=2.0)
    value = loss.bind(4, 2)(points, torch.arange(8) % 2)
    value.backward()
    assert points.grad.isfinite().all()
    for name in miner.get_params():
        assert f"miner__{name}" in loss.get_params()


def test_any_callable_mines():
    def all_pairs(distances, labels):
        same = labels[: len(distances), None] == labels
        return miners.Pairs(same.clone().fill_diagonal_(False), ~same)

    points, labels = torch.randn(8, 4, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 2
    torch.testing.assert_close(
        losses.TripletMarginLoss(miner=all_pairs)(points, labels), losses.TripletMarginLoss()(points, labels)
    )
