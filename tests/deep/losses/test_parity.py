"""Value and gradient against pytorch-metric-learning, to 1e-5, where it has the loss and defines it alike.

Its Euclidean losses normalise unless told otherwise, and its angles are in degrees.
"""

import math

import pytest
import torch
from pytorch_metric_learning import distances as peer_distances
from pytorch_metric_learning import losses as peers
from pytorch_metric_learning import miners as peer_miners
from pytorch_metric_learning.regularizers import SparseCentersRegularizer, ZeroMeanRegularizer
from torch.nn.functional import normalize

from skmetric.deep import losses, miners

EUCLID = peer_distances.LpDistance(normalize_embeddings=False)


def value_and_gradient(loss, embeddings, labels, *args):
    embeddings = embeddings.clone().requires_grad_()
    value = loss(embeddings, labels, *args)
    value.backward()
    return value.detach(), embeddings.grad


def assert_same(ours, theirs, embeddings, labels, *args):
    value, gradient = value_and_gradient(ours, embeddings, labels)
    expected, expected_gradient = value_and_gradient(theirs, embeddings, labels, *args)
    assert value > 0
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-5, atol=1e-5)


def contrastive(margin):
    return peers.ContrastiveLoss(neg_margin=margin, distance=EUCLID)


def triplet(**options):
    return peers.TripletMarginLoss(distance=EUCLID, **options)


PAIRS = {
    "contrastive": (losses.ContrastiveLoss(margin=2.5, squared=False), contrastive(2.5)),
    "triplet": (losses.TripletMarginLoss(margin=0.3), triplet(margin=0.3)),
    "triplet, no margin": (losses.TripletMarginLoss(margin=0.0), triplet(margin=0.0)),
    "triplet, wide margin": (losses.TripletMarginLoss(margin=5.0), triplet(margin=5.0)),
    "triplet, soft": (
        losses.TripletMarginLoss(margin=0.0, soft_margin=True),
        triplet(margin=0.0, smooth_loss=True),
    ),
    "triplet, swap": (losses.TripletMarginLoss(margin=0.3, swap=True), triplet(margin=0.3, swap=True)),
    "triplet, soft swap": (
        losses.TripletMarginLoss(margin=0.1, soft_margin=True, swap=True),
        triplet(margin=0.1, smooth_loss=True, swap=True),
    ),
    "multi-similarity": (
        losses.MultiSimilarityLoss(alpha=2.0, beta=50.0, base=0.5, epsilon=None),
        peers.MultiSimilarityLoss(alpha=2, beta=50, base=0.5),
    ),
    "NT-Xent": (losses.NTXentLoss(temperature=0.2), peers.NTXentLoss(temperature=0.2)),
    "SupCon": (losses.SupConLoss(temperature=0.2), peers.SupConLoss(temperature=0.2)),
    "circle": (losses.CircleLoss(margin=0.4, scale=8.0), peers.CircleLoss(m=0.4, gamma=8)),
    "lifted": (losses.LiftedStructureLoss(), peers.LiftedStructureLoss(distance=EUCLID)),
    "generalised lifted": (
        losses.GeneralizedLiftedStructureLoss(),
        peers.GeneralizedLiftedStructureLoss(distance=EUCLID),
    ),
    "soft nearest neighbour": (
        losses.SoftNearestNeighborLoss(temperature=0.5),
        peers.NCALoss(
            softmax_scale=2, distance=peer_distances.LpDistance(normalize_embeddings=False, power=2)
        ),
    ),
    "angular": (  # theirs leaves the negatives as they are
        losses.AngularLoss(alpha=math.radians(40)),
        lambda embeddings, labels: peers.AngularLoss(alpha=40)(normalize(embeddings), labels),
    ),
    "tuplet margin": (
        losses.TupletMarginLoss(margin=math.radians(5.73), scale=8.0),
        peers.TupletMarginLoss(margin=5.73, scale=8),
    ),
    "SNR": (
        losses.SNRContrastiveLoss(margin=3.0, positive_margin=0.1, mean_weight=0.0),
        peers.SignalToNoiseRatioContrastiveLoss(
            neg_margin=3.0,
            pos_margin=0.1,
            distance=peer_distances.SNRDistance(normalize_embeddings=False),
        ),
    ),
    "SNR, zero mean": (
        losses.SNRContrastiveLoss(margin=3.0, positive_margin=0.1, mean_weight=0.3),
        peers.SignalToNoiseRatioContrastiveLoss(
            neg_margin=3.0,
            pos_margin=0.1,
            distance=peer_distances.SNRDistance(normalize_embeddings=False),
            embedding_regularizer=ZeroMeanRegularizer(),
            embedding_reg_weight=0.3,
        ),
    ),
    "FastAP": (losses.FastAPLoss(n_bins=10), peers.FastAPLoss(num_bins=10)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_pair_losses(name, batches):
    assert_same(*PAIRS[name], *batches)


def test_multi_similarity_with_its_mining(batches):
    mined = peer_miners.MultiSimilarityMiner(epsilon=0.1)(*batches)
    theirs = peers.MultiSimilarityLoss(alpha=2, beta=40, base=0.5)
    assert_same(losses.MultiSimilarityLoss(), theirs, *batches, mined)


def test_batch_hard(batches):
    mined = peer_miners.BatchHardMiner(distance=EUCLID)(*batches)
    ours = losses.TripletMarginLoss(margin=0.3, miner=miners.BatchHardMiner())
    assert_same(ours, triplet(margin=0.3), *batches, mined)


def test_semi_hard(batches):
    embeddings, labels = batches
    mined = miners.SemiHardMiner()(torch.cdist(embeddings, embeddings), labels)
    ours = losses.TripletMarginLoss(margin=0.3, miner=miners.SemiHardMiner())
    assert_same(ours, triplet(margin=0.3), *batches, mined)


PROXIES = {
    "normalised softmax": (
        losses.NormalizedSoftmaxLoss(temperature=0.1),
        lambda **sizes: peers.NormalizedSoftmaxLoss(
            temperature=0.1, distance=peer_distances.DotProductSimilarity(), **sizes
        ),
        "W",
    ),
    "CosFace": (
        losses.CosFaceLoss(margin=0.3, scale=8.0),
        lambda **sizes: peers.CosFaceLoss(margin=0.3, scale=8, **sizes),
        "W",
    ),
    "ArcFace": (
        losses.ArcFaceLoss(margin=math.radians(28.6), scale=8.0),
        lambda **sizes: peers.ArcFaceLoss(margin=28.6, scale=8, **sizes),
        "W",
    ),
    "ProxyAnchor": (
        losses.ProxyAnchorLoss(margin=0.1, alpha=8.0),
        lambda **sizes: peers.ProxyAnchorLoss(margin=0.1, alpha=8, **sizes),
        "proxies",
    ),
    "ProxyNCA++": (
        losses.ProxyNCALoss(temperature=1 / 3),
        lambda **sizes: peers.ProxyNCALoss(softmax_scale=3, **sizes),
        "proxies",
    ),
    "sub-centre ArcFace": (
        losses.SubCenterArcFaceLoss(margin=math.radians(20), scale=8.0, n_centers=2),
        lambda **sizes: peers.SubCenterArcFaceLoss(margin=20, scale=8, sub_centers=2, **sizes),
        "W",
    ),
    "SoftTriple": (
        losses.SoftTripleLoss(margin=0.01, scale=5.0, temperature=0.5, n_centers=3, merge_weight=0.0),
        lambda **sizes: peers.SoftTripleLoss(centers_per_class=3, la=5, gamma=0.5, margin=0.01, **sizes),
        "fc",
    ),
    "SoftTriple, centres merged": (
        losses.SoftTripleLoss(margin=0.01, scale=5.0, temperature=0.5, n_centers=3, merge_weight=0.4),
        lambda **sizes: peers.SoftTripleLoss(
            centers_per_class=3,
            la=5,
            gamma=0.5,
            margin=0.01,
            weight_regularizer=SparseCentersRegularizer(6, 3),
            weight_reg_weight=0.4,
            **sizes,
        ),
        "fc",
    ),
}


@pytest.mark.parametrize("name", PROXIES)
def test_proxy_losses(name, batches):
    loss, make_theirs, weight = PROXIES[name]
    embeddings, labels = batches
    theirs = make_theirs(num_classes=6, embedding_size=5)  # two classes are not in the batch
    ours = loss.bind(n_components=5, n_classes=6, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        rows = ours.proxies.reshape(-1, 5)
        getattr(theirs, weight).copy_(rows.T if weight in ("W", "fc") else rows)
    assert_same(ours, theirs, embeddings, labels)
    expected = getattr(theirs, weight).grad
    expected = expected.T if weight in ("W", "fc") else expected
    torch.testing.assert_close(ours.proxies.grad.reshape(-1, 5), expected, rtol=1e-5, atol=1e-5)


def test_margin_loss(batches):
    embeddings, labels = batches
    embeddings = normalize(embeddings)
    # triplets in which every pair occurs once, for theirs counts a pair as often as triplets have it
    triplets = torch.tensor([[0, 1, 2, 3], [4, 5, 6, 7], [1, 2, 3, 0]]).unbind()
    ours = losses.MarginLoss(margin=0.4, beta=1.1, nu=0.1, miner=lambda *_: miners.Triplets(*triplets))
    theirs = peers.MarginLoss(margin=0.4, beta=1.1, nu=0.1, learn_beta=True)
    bound = ours.bind(n_components=5, n_classes=4)
    assert_same(bound, theirs, embeddings, labels, triplets)
    torch.testing.assert_close(bound.beta.grad, theirs.beta.grad, rtol=1e-5, atol=1e-5)


def test_n_pairs_where_the_draw_does_not_matter():
    # both samples of a class coincide: whichever is drawn, value and gradient of a class are the same
    theirs = peers.NPairsLoss(distance=peer_distances.DotProductSimilarity(normalize_embeddings=False))
    centers = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    embeddings, labels = centers.repeat(2, 1), torch.arange(4).repeat(2)
    value, gradient = value_and_gradient(losses.NPairsLoss(), embeddings, labels)
    expected, expected_gradient = value_and_gradient(theirs, embeddings, labels)
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        gradient.reshape(2, 4, 5).sum(0), expected_gradient.reshape(2, 4, 5).sum(0), rtol=1e-5, atol=1e-5
    )


def two_views(n=10, width=5):
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(n, width, generator=generator)
    return first, first + 0.5 * torch.randn(n, width, generator=generator)


def test_sim_clr():
    views, labels = torch.cat(two_views()), torch.arange(10).repeat(2)
    assert_same(losses.SimCLRLoss(temperature=0.5), peers.NTXentLoss(temperature=0.5), views, labels)


def test_vicreg():
    first, second = two_views()

    def theirs(views, labels):
        # its means of rows and of components add up to the published sum
        return peers.VICRegLoss()(views[:10], ref_emb=views[10:])

    assert_same(losses.VICRegLoss(), theirs, torch.cat([first, second]), torch.arange(10).repeat(2))


def test_cross_batch_memory_without_gradient_into_the_batch(batches):
    # theirs stores the batch first and takes it from the memory, without gradient: the values agree
    embeddings, labels = batches
    ours = losses.CrossBatchMemory(losses.NTXentLoss(temperature=0.2), size=64).bind(5, 4)
    theirs = peers.CrossBatchMemory(peers.NTXentLoss(temperature=0.2), embedding_size=5, memory_size=64)
    for shift in range(3):
        batch = embeddings + 0.1 * shift
        torch.testing.assert_close(ours(batch, labels), theirs(batch, labels), rtol=1e-5, atol=1e-5)
