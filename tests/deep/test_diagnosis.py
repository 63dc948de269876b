import math
import pickle

import pytest
import torch

from skmetric.deep import losses
from skmetric.deep._training._loss._criterion import _snake, loss_names, margin_of, resolve_loss
from skmetric.deep._training._loss._diagnosis import batch_statistics, effective_rank, is_collapsed, is_stuck


def test_statistics_by_hand():
    embeddings, labels = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]), torch.tensor([0, 0, 1])
    found = batch_statistics([(embeddings, labels)])
    assert found["mean_positive_distance"] == pytest.approx(5)  # the pair (0, 1)
    assert found["mean_negative_distance"] == pytest.approx((1 + 18**0.5) / 2)  # (0, 2) and (1, 2)
    assert found["mean_norm"] == pytest.approx(2)  # (0 + 5 + 1) / 3


def test_batches_without_a_kind_of_pair_do_not_count():
    pair = torch.tensor([[0.0], [2.0]])
    found = batch_statistics([(pair, torch.tensor([0, 0])), (pair / 2, torch.tensor([0, 1]))])
    assert (found["mean_positive_distance"], found["mean_negative_distance"]) == (2, 1)
    alone = batch_statistics([(pair, torch.tensor([0, 0]))])
    assert math.isnan(alone["mean_negative_distance"])
    assert not is_collapsed(alone)


def test_effective_rank_by_hand():
    cross = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]])
    assert effective_rank(cross) == pytest.approx(2)  # two equal singular values
    assert effective_rank(torch.tensor([[0.0, 1], [0, 2], [0, 3]])) == pytest.approx(1)
    assert effective_rank(torch.ones(3, 2)) == 0
    assert math.isnan(effective_rank(torch.tensor([[math.nan, 1.0]])))


def test_collapse_is_measured_by_length():
    assert is_collapsed({"mean_negative_distance": 0.009, "mean_norm": 1.0})
    assert not is_collapsed({"mean_negative_distance": 0.009, "mean_norm": 0.1})


def test_stuck_at_the_margin_or_anywhere_but_zero():
    def rows(*losses):
        return [{"loss": loss} for loss in losses]

    assert is_stuck(rows(5, 0.2, 0.203, 0.198), margin=0.2)  # within 2%
    assert not is_stuck(rows(0.2, 0.203, 0.198), margin=0.3)
    told = rows(0.2, 0.203, 0.198)
    assert is_stuck([row | {"active_share": 1.0} for row in told], margin=0.2)
    assert is_stuck([row | {"active_share": math.nan} for row in told], margin=0.2)
    # the mean cost of few active triplets is near the margin by chance: nothing is stuck
    assert not is_stuck([row | {"active_share": 0.3} for row in told], margin=0.2)
    assert is_stuck(rows(1.3, 1.3, 1.3))
    assert not is_stuck(rows(0.0, 0.0, 0.0))  # nothing is left to learn
    assert not is_stuck(rows(0.2, 0.2), margin=0.2)  # too early to tell


def test_names_of_losses():
    names = ["MultiSimilarityLoss", "NTXentLoss", "ProxyNCALoss", "SupConLoss", "ArcFaceLoss"]
    assert [_snake(name) for name in names] == [
        "multi_similarity",
        "nt_xent",
        "proxy_nca",
        "sup_con",
        "arc_face",
    ]
    wrappers = {"CrossBatchMemory", "ForeignLoss", "GatheredBatches", "MatryoshkaLoss"}
    assert set(loss_names().values()) == set(losses.__all__) - wrappers


def test_wrappers_train_and_go_on(tiny, blobs):
    X, y = blobs
    for loss in (
        losses.CrossBatchMemory(losses.TripletMarginLoss()),
        losses.MatryoshkaLoss(losses.ProxyAnchorLoss(), [2, 3]),
    ):
        once = tiny("mlp", loss=loss, max_epochs=4, warm_start=True).fit(X, y)
        twice = tiny("mlp", loss=loss, warm_start=True).fit(X, y)
        embeddings = pickle.loads(pickle.dumps(twice)).fit(X, y).transform(X)
        torch.testing.assert_close(embeddings, once.transform(X), rtol=0, atol=0)


@pytest.mark.parametrize("name", sorted(loss_names()))
def test_every_loss_trains_by_name(name, tiny, blobs):
    history = tiny("mlp", loss=name, max_epochs=5).fit(*blobs).history_
    assert history[-1]["loss"] < history[0]["loss"]


def test_margin_of_what_was_bound():
    assert margin_of(resolve_loss("triplet", 0.3)) == 0.3
    assert margin_of(resolve_loss("arcface", 0.3).bind(2, 2)) == 0.3
    assert margin_of(resolve_loss("multi_similarity")) is None
