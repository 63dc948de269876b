"""Values worked out by hand."""

import math

import pytest
import torch

from skmetric.deep import losses, miners

LINE = torch.tensor([[0.0], [1.0], [1.5]]), torch.tensor([0, 0, 1])
# cosine 1 between the two of class 0, 0 between the classes
CORNER = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 3.0]]), torch.tensor([0, 0, 1])
E1 = math.e / (math.e + 1)


def assert_value(loss, batch, expected):
    torch.testing.assert_close(loss(*batch), torch.tensor(float(expected)), rtol=1e-5, atol=1e-6)


def with_proxies(loss, proxies):
    """`loss` bound to given proxies."""
    proxies = torch.tensor(proxies)
    bound = loss.bind(n_components=proxies.shape[-1], n_classes=len(proxies))
    bound.proxies.data = proxies
    return bound


def test_contrastive():
    # positive pair at 1: 1²/2; negative pairs at 1.5 (beyond the margin) and .5: (1 - .5)²/2
    assert_value(losses.ContrastiveLoss(margin=1.0), LINE, 0.5 + 0.125)
    assert_value(losses.ContrastiveLoss(margin=1.0, squared=False), LINE, 1 + 0.5)
    assert_value(losses.ContrastiveLoss(positive_margin=0.6, squared=False), LINE, 0.4 + 0.5)


def test_contrastive_of_pairs_given():
    distances = torch.tensor([[0.5], [0.25]])
    positive = torch.tensor([[True], [False]])
    value = losses.ContrastiveLoss().from_matrix(distances, positive, ~positive)
    torch.testing.assert_close(value, torch.tensor(0.5 * 0.5**2 + 0.5 * 0.75**2))


def test_triplet():
    # anchor 0: 0.2 + 1 - 1.5 < 0; anchor 1: 0.2 + 1 - 0.5 = 0.7, the only violator
    assert_value(losses.TripletMarginLoss(margin=0.2), LINE, 0.7)
    assert_value(losses.TripletMarginLoss(margin=0.2, average="all"), LINE, 0.35)
    # anchor 0: log(1 + exp(1 - 1.5)); anchor 1: log(1 + exp(1 - .5))
    soft = (math.log1p(math.exp(-0.5)) + math.log1p(math.exp(0.5))) / 2
    assert_value(losses.TripletMarginLoss(margin=0.0, soft_margin=True), LINE, soft)
    # the negative is nearest to sample 1: from both anchors it is .5 away
    assert_value(losses.TripletMarginLoss(margin=0.2, swap=True), LINE, 0.7)


def test_triplet_of_triplets_given():
    distances = torch.tensor([[1.0, 0.9], [0.5, 2.0]])  # a row: to the positive, to the negative
    positive = torch.tensor([[True, False]]).expand(2, 2)
    value = losses.TripletMarginLoss(margin=0.2).from_matrix(distances, positive, ~positive)
    torch.testing.assert_close(value, torch.tensor(0.3))


@pytest.mark.parametrize("margin", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("average", ["active", "all"])
def test_triplet_by_counting_is_the_sum_over_the_cube(margin, average):
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(24, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    labels = torch.randint(0, 5, (24,), generator=generator)
    d, same = torch.cdist(embeddings, embeddings), labels[:, None] == labels
    positive = same & ~torch.eye(24, dtype=torch.bool)
    costs = (margin + d[:, :, None] - d[:, None, :]).relu() * positive[:, :, None] * ~same[:, None, :]
    n = (costs > 0).sum() if average == "active" else (positive[:, :, None] & ~same[:, None, :]).sum()
    expected = costs.sum() / n
    value = losses.TripletMarginLoss(margin=margin, average=average)(embeddings, labels)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(
        torch.autograd.grad(value, embeddings), torch.autograd.grad(expected, embeddings)
    )


def test_satisfied_triplets_cost_nothing_and_are_not_reported():
    embeddings = torch.tensor([[0.0], [0.1], [5.0]], requires_grad=True)
    value = losses.TripletMarginLoss()(embeddings, torch.tensor([0, 0, 1]))
    assert value == 0
    assert value.requires_grad


def test_swap_does_not_go_with_a_memory():
    loss = losses.TripletMarginLoss(swap=True)
    with pytest.raises(ValueError, match="swap"):
        loss(*LINE, memory=torch.ones(2, 1), memory_labels=torch.tensor([0, 1]))


def test_batch_hard_and_semi_hard_triplets():
    batch = torch.tensor([[0.0], [1.0], [1.2], [3.0]]), torch.tensor([0, 0, 1, 1])
    # batch-hard: (0, 1, 2) 1 - 1.2; (1, 0, 2) 1 - .2; (2, 3, 1) 1.8 - .2; (3, 2, 1) 1.8 - 2
    hard = losses.TripletMarginLoss(margin=0.5, miner=miners.BatchHardMiner())
    assert_value(hard, batch, (0.3 + 1.3 + 2.1 + 0.3) / 4)
    # semi-hard: (0, 1, 2), (1, 0, 3) 1 - 2, (2, 3, farthest 0) 1.8 - 1.2, (3, 2, 1)
    semi = losses.TripletMarginLoss(margin=0.5, miner=miners.SemiHardMiner())
    assert_value(semi, batch, (0.3 + 1.1 + 0.3) / 3)


def test_multi_similarity():
    # anchors 0 and 1: positive at cosine 1: log(1 + exp(-2·.5))/2; negatives at 0: log(1 + exp(-20))/40
    pull, push = math.log1p(math.exp(-1)) / 2, math.log1p(math.exp(-20)) / 40
    loss = losses.MultiSimilarityLoss(epsilon=None)
    assert_value(loss, CORNER, (2 * (pull + push) + math.log1p(2 * math.exp(-20)) / 40) / 3)
    # no negative is nearer than a positive: mining leaves nothing
    assert_value(losses.MultiSimilarityLoss(), CORNER, 0)


def test_nt_xent_and_sup_con():
    assert_value(losses.NTXentLoss(temperature=1.0), CORNER, -math.log(E1))
    assert_value(losses.SupConLoss(temperature=1.0), CORNER, -math.log(E1))


PROXIES = [[1.0, 0.0], [0.0, 2.0]]
SAMPLE = torch.tensor([[3.0, 0.0]]), torch.tensor([0])  # cosines 1 and 0


def test_normalized_softmax():
    assert_value(with_proxies(losses.NormalizedSoftmaxLoss(temperature=1.0), PROXIES), SAMPLE, -math.log(E1))


def test_cos_face():
    loss = with_proxies(losses.CosFaceLoss(margin=0.25, scale=2.0), PROXIES)
    assert_value(loss, SAMPLE, math.log1p(math.exp(-2 * 0.75)))


def test_arc_face():
    loss = with_proxies(losses.ArcFaceLoss(margin=math.pi / 3, scale=2.0), PROXIES)
    # at 45 degrees cos(θ + m) = cos(105°) = -.2588, the other cosine is .7071
    half = torch.tensor([[1.0, 1.0]]), torch.tensor([0])
    assert_value(loss, half, math.log1p(math.exp(2 * (0.7071068 + 0.2588190))))
    # at 180 degrees θ + m passes π: cos θ - m sin m = -1 - (π/3)(.8660) = -1.9069
    away = torch.tensor([[-1.0, 0.0]]), torch.tensor([0])
    assert_value(loss, away, math.log1p(math.exp(2 * 1.9068997)))


def test_sub_center_arc_face():
    centers = [[[1.0, 0.0], [0.0, -1.0]], [[0.0, 1.0], [-1.0, 0.0]]]
    loss = with_proxies(losses.SubCenterArcFaceLoss(margin=0.0, scale=1.0, n_centers=2), centers)
    assert_value(loss, SAMPLE, -math.log(E1))


def test_proxy_anchor():
    loss = with_proxies(losses.ProxyAnchorLoss(margin=0.1, alpha=1.0), PROXIES)
    # pull of class 0 alone: log(1 + exp(-.9)); push: of class 1 log(1 + exp(.1)), of class 0 log 1, over 2
    assert_value(loss, SAMPLE, math.log1p(math.exp(-0.9)) + math.log1p(math.exp(0.1)) / 2)


def test_proxy_nca():
    # squared distances 0 and 2
    loss = with_proxies(losses.ProxyNCALoss(temperature=1.0), PROXIES)
    assert_value(loss, SAMPLE, math.log1p(math.exp(-2)))


def test_sampled_classes_see_the_batch_and_others():
    loss = losses.NormalizedSoftmaxLoss(sampled_classes=4)
    bound = loss.bind(n_components=2, n_classes=50, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([7, 7, 31])
    seen = []
    for _ in range(3):
        bound.zero_grad()
        bound(torch.randn(3, 2, generator=torch.Generator().manual_seed(1)), labels).backward()
        seen.append(set(bound.proxies.grad.abs().sum(1).nonzero().flatten().tolist()))
    assert all(len(classes) == 4 and classes > {7, 31} for classes in seen)
    assert seen[0] != seen[1]
    # more classes in the batch than are to be sampled: all of those
    assert bound(torch.ones(6, 2), torch.arange(6)).isfinite()
    # in evaluation all classes count
    everything = losses.NormalizedSoftmaxLoss().bind(2, 50, generator=torch.Generator().manual_seed(0))
    embeddings = torch.tensor([[1.0, 0.0]])
    torch.testing.assert_close(
        bound.eval()(embeddings, torch.tensor([3])), everything(embeddings, torch.tensor([3]))
    )


def test_proxies_need_two_classes():
    with pytest.raises(ValueError, match="at least 2"):
        losses.ArcFaceLoss().bind(n_components=2, n_classes=1)
