"""`distance=` of losses of pairs and of miners."""

import pytest
import torch
from pytorch_metric_learning import distances as peer_distances
from pytorch_metric_learning import losses as peers
from torch import nn
from torch.nn.functional import normalize

from skmetric.deep import DeepMetricLearner, SiameseLearner, TripletLearner, losses, miners

RAW = {"normalize_embeddings": False}
THEIRS = {
    "euclidean": peer_distances.LpDistance(**RAW),
    "squared_euclidean": peer_distances.LpDistance(power=2, **RAW),
    "cosine": peer_distances.CosineSimilarity(),
    "dot_product": peer_distances.DotProductSimilarity(**RAW),
}


class Scaled(nn.Module):
    """A distance that learns: Euclidean after a linear map."""

    def __init__(self):
        super().__init__()
        self.map = nn.Linear(5, 5, bias=False)
        nn.init.eye_(self.map.weight)

    def forward(self, a, b):
        return torch.cdist(self.map(a), self.map(b))


@pytest.mark.parametrize("distance", THEIRS)
def test_values_are_those_of_pytorch_metric_learning(distance, batches):
    theirs = THEIRS[distance]
    pairs = [
        (losses.TripletMarginLoss(0.3, distance=distance), peers.TripletMarginLoss(0.3, distance=theirs)),
        (losses.NTXentLoss(0.5, distance=distance), peers.NTXentLoss(0.5, distance=theirs)),
        (losses.SupConLoss(0.5, distance=distance), peers.SupConLoss(0.5, distance=theirs)),
        (losses.SoftNearestNeighborLoss(2.0, distance=distance), peers.NCALoss(0.5, distance=theirs)),
    ]
    for ours, other in pairs:
        torch.testing.assert_close(ours(*batches), other(*batches), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("distance", THEIRS)
def test_margins_against_pytorch_metric_learning(batches, distance):
    """Its margins are of similarities where a distance is one: lse(s) - s + 0.4 here, - neg_margin there."""
    theirs, sign = THEIRS[distance], -1 if distance in ("cosine", "dot_product") else 1
    for kind in ("LiftedStructureLoss", "GeneralizedLiftedStructureLoss"):
        ours = getattr(losses, kind)(0.4, distance=distance)
        other = getattr(peers, kind)(neg_margin=sign * 0.4, distance=theirs)
        torch.testing.assert_close(ours(*batches), other(*batches), rtol=1e-5, atol=1e-5)
    # triplets in which every pair occurs once; a distance of at most 0.3 is a cosine of at least 0.7
    triplets = torch.tensor([[0, 1, 2, 3], [4, 5, 6, 7], [1, 2, 3, 0]]).unbind()
    beta = {"cosine": 0.7, "dot_product": -0.3}.get(distance, 0.3)
    ours = losses.MarginLoss(0.2, 0.3, miner=lambda *_: miners.Triplets(*triplets), distance=distance).bind(
        5, 4
    )
    other = peers.MarginLoss(0.2, beta=beta, distance=theirs)
    torch.testing.assert_close(ours(*batches), other(*batches, triplets), rtol=1e-5, atol=1e-5)


def test_contrastive_loss_of_cosines(batches):
    # theirs wants cosines of at least 1 and at most 0: distances of at most 0 and at least 1
    ours = losses.ContrastiveLoss(margin=1.0, squared=False, distance="cosine")
    theirs = peers.ContrastiveLoss(pos_margin=1, neg_margin=0, distance=THEIRS["cosine"])
    torch.testing.assert_close(ours(*batches), theirs(*batches))


def test_a_distance_by_name_is_that_of_normalised_embeddings(batches):
    embeddings, labels = batches
    ours = losses.GeneralizedLiftedStructureLoss(
        distance=lambda a, b: torch.cdist(normalize(a), normalize(b))
    )
    expected = losses.GeneralizedLiftedStructureLoss()(normalize(embeddings), labels)
    torch.testing.assert_close(ours(embeddings, labels), expected)


LEARNED = [losses.TripletMarginLoss, losses.NTXentLoss, losses.LiftedStructureLoss, losses.MarginLoss]


@pytest.mark.parametrize("kind", LEARNED)
def test_a_module_learns_with_the_loss(kind, batches):
    bound = kind(distance=Scaled()).bind(5, 4)
    expected = kind(distance="euclidean").bind(5, 4)(*batches)
    torch.testing.assert_close(bound(*batches), expected, rtol=1e-4, atol=1e-5)
    bound(*batches).backward()
    learned = dict(bound.named_parameters())
    assert learned.keys() == {"distance.map.weight"} | ({"beta"} if kind is losses.MarginLoss else set())
    assert learned["distance.map.weight"].grad.abs().sum() > 0
    if kind in LEARNED[2:]:  # without a memory
        return
    memory = losses.CrossBatchMemory(kind(distance=Scaled())).bind(5, 4)
    assert memory(*batches).isfinite()


def test_a_learner_trains_the_distance(blobs):
    X, y = blobs
    learner = DeepMetricLearner(
        "linear", loss=losses.ContrastiveLoss(distance=Scaled()), n_components=5, max_epochs=1, device="cpu"
    ).fit(X, y)
    assert not torch.equal(learner.loss_.distance.map.weight, torch.eye(5))


def test_what_is_no_matrix_of_distances_is_refused_by_name(batches):
    def rowwise(a, b):
        return torch.zeros(len(a))

    with pytest.raises(ValueError, match=r"distance=rowwise must give a tensor \(14, 14\).*gave \(14,\)"):
        losses.ContrastiveLoss(distance=rowwise)(*batches)
    with pytest.raises(ValueError, match="distance"):
        losses.ContrastiveLoss(distance="manhattan").bind(5, 4)


def test_a_miner_chooses_by_its_own_distance():
    # Euclid: the negatives are 1 and 2 away; by cosine the second has the direction of the anchor
    embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.1], [1.0, 1.0], [3.0, 0.0]])
    labels = torch.tensor([0, 0, 1, 1])
    anchor = torch.tensor([1.0, 0.0, 0.0, 0.0])
    for distance, expected in [(None, 3 + 0.1 - 1), ("cosine", 3 + 0.1 - 2)]:
        loss = losses.TripletMarginLoss(3.0, miner=miners.BatchHardMiner(distance=distance))
        assert loss(embeddings, labels, weights=anchor).item() == pytest.approx(expected)
    margin = losses.MarginLoss(beta=2.0, miner=miners.BatchHardMiner(distance="euclidean")).bind(2, 2)
    assert margin(embeddings, labels).isfinite()


@pytest.mark.parametrize("distance", ["euclidean", "squared_euclidean", "cosine", "dot_product"])
def test_tuples_that_are_given_are_compared_by_it(distance):
    from skmetric.deep._training._loss._tuple_loss import make_tuple_loss

    rows = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    for loss in (losses.TripletMarginLoss(1.0, distance=distance), losses.NTXentLoss(1.0, distance=distance)):
        each = []
        for anchor, positive, negative in rows:
            sides = torch.stack([positive, negative]), torch.tensor([0, 1])
            each.append(loss(anchor[None], torch.tensor([0]), references=sides[0], reference_labels=sides[1]))
        bound = make_tuple_loss(loss, None, n_members=3)
        expected = torch.stack(each)
        expected = expected[expected > 0].mean()
        torch.testing.assert_close(bound(rows.flatten(0, 1), torch.zeros(6)), expected)


@pytest.mark.parametrize("learner", [SiameseLearner, TripletLearner])
def test_learners_of_tuples_refuse_a_distance_with_weights(learner):
    pairs = torch.randn(8, 2 if learner is SiameseLearner else 3, 5).numpy()
    arguments = (pairs, [1, 0] * 4) if learner is SiameseLearner else (pairs,)
    with pytest.raises(ValueError, match="a distance with weights"):
        learner(loss=losses.ContrastiveLoss(distance=Scaled())).fit(*arguments)


def test_the_boundary_on_the_sphere_is_a_distance_there():
    with pytest.raises(ValueError, match=r"beta must lie in \[0, 2\].*got 3\.0.*distance='euclidean'"):
        losses.MarginLoss(beta=3.0).bind(5, 4)
    assert losses.MarginLoss(beta=3.0, distance="euclidean").bind(5, 4).beta.item() == 3
