"""Shares of active tuples, counted by hand."""

import math

import pytest
import torch

from skmetric.deep import DeepMetricLearner, losses, miners
from skmetric.deep._training._loss._tuple_loss import make_tuple_loss

# distances 1, 1.5 and .5; the pair (0, 1) is positive
LINE = torch.tensor([[0.0], [1.0], [1.5]]), torch.tensor([0, 0, 1])
BOTH = torch.tensor([[0.0], [1.0], [1.2], [3.0]]), torch.tensor([0, 0, 1, 1])
# cosine 1 between the two of class 0, 0 between the classes
CORNER = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 3.0]]), torch.tensor([0, 0, 1])


def share(loss, batch=LINE):
    bound = loss.bind(n_components=batch[0].shape[1], n_classes=2)
    bound(*batch)
    return float(bound.active_share_)


def test_pairs():
    # both positive pairs; of four negative pairs the two at .5
    assert share(losses.ContrastiveLoss(margin=1.0)) == pytest.approx(4 / 6)
    assert share(losses.ContrastiveLoss(margin=1.0, positive_margin=2.0)) == pytest.approx(2 / 6)
    # noise-to-signal ratios: positive 1 and 1/4, negative 0, 0, 1/4 and 1, of which one is beyond .5
    batch = torch.tensor([[1.0, -1.0], [2.0, -2.0], [1.0, -1.0]]), torch.tensor([0, 0, 1])
    assert share(losses.SNRContrastiveLoss(margin=0.5, positive_margin=0.5), batch) == pytest.approx(4 / 6)


@pytest.mark.parametrize("average", ["active", "all"])
@pytest.mark.parametrize("swap", [False, True])
def test_triplets(average, swap):
    # anchor 0: .2 + 1 - 1.5 < 0; anchor 1: .2 + 1 - .5; swapped, the negative is .5 away for both
    expected = 1.0 if swap else 0.5
    assert share(losses.TripletMarginLoss(average=average, swap=swap)) == expected
    assert share(losses.TripletMarginLoss(margin=0.0, soft_margin=True, swap=swap)) == 1.0


def test_triplets_counted_by_sorting_are_those_of_the_cube():
    generator = torch.Generator().manual_seed(0)
    embeddings, labels = torch.randn(24, 3, generator=generator), torch.arange(24) % 5
    d, same = torch.cdist(embeddings, embeddings), labels[:, None] == labels
    valid = (same & ~torch.eye(24, dtype=torch.bool))[:, :, None] & ~same[:, None, :]
    active = valid & (0.2 + d[:, :, None] - d[:, None, :] > 0)
    assert share(losses.TripletMarginLoss(), (embeddings, labels)) == pytest.approx(
        (active.sum() / valid.sum()).item()
    )


def test_mined_triplets():
    # batch-hard costs of anchors 0 to 3: .5 + 1 - 1.2, .5 + 1 - .2, .5 + 1.8 - .2, .5 + 1.8 - 2: all
    assert share(losses.TripletMarginLoss(margin=0.5, miner=miners.BatchHardMiner()), BOTH) == 1.0
    # with .1: not anchor 0 (.1 + 1 - 1.2) nor 3 (.1 + 1.8 - 2)
    assert share(losses.TripletMarginLoss(margin=0.1, miner=miners.BatchHardMiner()), BOTH) == 0.5


def test_losses_with_other_hinges():
    # β = 1.2, m = .2 on the sphere, positives at 0, negatives at √2: none is active
    assert share(losses.MarginLoss(), CORNER) == 0
    # no negative is nearer than a positive: mining leaves nothing; without it all pairs count
    assert share(losses.MultiSimilarityLoss(), CORNER) == 0
    assert share(losses.MultiSimilarityLoss(epsilon=None), CORNER) == 1
    # positives weigh 1 + m - 1 > 0, negatives 0 + m > 0
    assert share(losses.CircleLoss(), CORNER) == 1
    # m = 0: the positives weigh 1 - 1/2, the negatives at cosines -1 and -1/2 nothing
    opposite = torch.tensor([[1.0, 0.0], [0.5, 0.75**0.5], [-1.0, 0.0]]), LINE[1]
    assert share(losses.CircleLoss(margin=0.0), opposite) == pytest.approx(2 / 6)
    assert share(losses.LiftedStructureLoss()) == 1
    far = torch.tensor([[0.0], [0.1], [9.0]]), LINE[1]  # log(e^(1-9) + e^(1-8.9)) + .1 < 0
    assert share(losses.LiftedStructureLoss(), far) == 0
    assert share(losses.GeneralizedLiftedStructureLoss()) == 1
    assert share(losses.GeneralizedLiftedStructureLoss(), far) == 0


def test_wrappers_hand_it_on():
    line = (torch.cat([LINE[0], torch.zeros(3, 1)], dim=1), LINE[1])
    triplet = losses.TripletMarginLoss()
    # the prefix of 1 and the whole are alike: 1/2 each
    assert share(losses.MatryoshkaLoss(triplet, prefixes=[1, 2]), line) == 0.5
    assert share(losses.CrossBatchMemory(triplet), line) == 0.5
    assert share(losses.GatheredBatches(losses.CrossBatchMemory(triplet)), line) == 0.5
    assert losses.MatryoshkaLoss(losses.NTXentLoss()).bind(8, 2).active_share_ is None


@pytest.mark.parametrize("swap", [False, True])
def test_triplets_that_are_given(swap):
    bound = make_tuple_loss(losses.TripletMarginLoss(margin=0.2, swap=swap), None, n_members=3)
    # anchors at 0, positives at 1; negatives at 1.1 and -1.1 (active, with swap or without) and 5 (not)
    rows = torch.tensor([[0.0], [1.0], [1.1], [0.0], [1.0], [5.0], [0.0], [1.0], [-1.1]])
    bound(rows, torch.zeros(9))
    assert float(bound.active_share_) == pytest.approx(2 / 3)


def test_history_has_the_share_and_a_softmax_has_none(blobs):
    settings = {"module": "linear", "n_components": 3, "max_epochs": 1, "random_state": 0, "device": "cpu"}
    (row,) = DeepMetricLearner(loss="triplet", **settings).fit(*blobs).history_
    assert 0 < row["active_share"] < 1
    (row,) = DeepMetricLearner(loss="nt_xent", **settings).fit(*blobs).history_
    assert math.isnan(row["active_share"])
