"""Losses of pytorch-metric-learning, with and without their miners."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skmetric.deep import DeepMetricLearner, losses
from skmetric.exceptions import NothingToLearnWarning

peers = pytest.importorskip("pytorch_metric_learning.losses")
peer_miners = pytest.importorskip("pytorch_metric_learning.miners")


def learner(loss, **settings):
    defaults = {"n_components": 3, "max_epochs": 2, "random_state": 0, "device": "cpu"}
    return DeepMetricLearner("linear", loss=loss, **(defaults | settings))


def mined():
    return peers.TripletMarginLoss(margin=0.3), peer_miners.BatchHardMiner()


def test_value_and_gradient_are_those_of_the_loss_with_its_miner(batches):
    embeddings, labels = batches
    loss, miner = mined()
    ours, theirs = (embeddings.clone().requires_grad_() for _ in range(2))
    value = losses.ForeignLoss(loss, miner).bind(5, 4)(ours, labels)
    expected = loss(theirs, labels, miner(theirs, labels))
    value.backward()
    expected.backward()
    assert value > 0
    torch.testing.assert_close(value, expected, rtol=0, atol=0)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=0)
    # the miner did choose: all triplets give another value
    assert value != losses.ForeignLoss(loss).bind(5, 4)(embeddings, labels)


def test_parameters_are_copied_found_and_trained(blobs):
    arc_face = peers.ArcFaceLoss(num_classes=6, embedding_size=3)
    before = arc_face.W.detach().clone()
    fitted = learner(losses.ForeignLoss(arc_face)).fit(*blobs)
    (trained,) = fitted.loss_.parameters()
    assert not torch.equal(trained, before)
    assert torch.equal(arc_face.W, before)


def test_it_moves_as_a_module_does():
    bound = losses.ForeignLoss(peers.ArcFaceLoss(3, 2)).bind(2, 3).double()
    assert [parameter.dtype for parameter in bound.parameters()] == [torch.float64]


@pytest.mark.parametrize("plain", [True, False])
def test_learner_takes_them_in_every_form(plain, blobs):
    loss, miner = mined()
    same = [loss, losses.ForeignLoss(loss)] if plain else [(loss, miner), losses.ForeignLoss(loss, miner)]
    first, second = (learner(form).fit(*blobs).transform(blobs[0]) for form in same)
    np.testing.assert_array_equal(first, second)
    assert np.isfinite(first).all()


def test_learner_with_a_tuple_clones_and_pickles(blobs):
    fitted = learner(mined()).fit(*blobs)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.transform(blobs[0]), fitted.transform(blobs[0]))
    assert clone(fitted).loss[0].margin == 0.3


def test_margin_reaches_the_loss_inside(blobs):
    loss, miner = mined()
    assert learner((loss, miner), margin=0.1).fit(*blobs).loss_.loss.margin == 0.1
    assert loss.margin == 0.3
    memory = losses.CrossBatchMemory(losses.TripletMarginLoss())
    assert learner(memory, margin=0.1).fit(*blobs).loss_.loss.margin == 0.1
    with pytest.raises(ValueError, match="no margin"):
        learner(losses.ForeignLoss(peers.NTXentLoss()), margin=0.1).fit(*blobs)


@pytest.mark.parametrize("bad", [(), (peers.NTXentLoss(),), (peers.NTXentLoss(), "hard"), ("triplet", len)])
def test_a_tuple_that_is_no_loss_with_its_miner_is_refused(bad, blobs):
    with pytest.raises(ValueError, match=r"\(loss, miner\)"):
        learner(bad).fit(*blobs)


def test_our_losses_take_their_own_miners():
    with pytest.raises(ValueError, match="TripletMarginLoss is one of"):
        losses.ForeignLoss(losses.TripletMarginLoss()).bind(2, 2)


def test_its_silent_zero_is_reported():
    bound = losses.ForeignLoss(*mined()).bind(2, 3)
    with pytest.warns(NothingToLearnWarning, match="no two samples"):
        assert bound(torch.eye(2), torch.tensor([0, 1])) == 0
    far = torch.tensor([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    assert bound(far, torch.tensor([0, 0, 1])) == 0  # all as it should be: no warning


def test_share_of_active_tuples_is_handed_on():
    class Telling(torch.nn.Module):
        def forward(self, embeddings, labels):
            self.active_share_ = 0.25
            return embeddings.square().mean()

    bound = losses.ForeignLoss(Telling()).bind(2, 2)
    bound(torch.ones(2, 2), torch.tensor([0, 0]))
    assert bound.active_share_ == 0.25
    assert copy.deepcopy(bound).active_share_ == 0.25
