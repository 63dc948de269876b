"""Values worked out by hand."""

import math

import pytest
import torch

from skmetric.deep import losses, miners
from skmetric.deep.losses import _ranking

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


def test_multi_similarity_is_that_of_tensorflow_similarity(batches):
    # its definition, anchor by anchor: distances are 1 - cosine and centred at 1, mining is by strict
    # inequalities, an anchor that keeps nothing costs 0, and the mean is over all anchors
    embeddings, labels = batches
    sphere, codes = torch.nn.functional.normalize(embeddings).double(), labels.tolist()
    distances, total = (1 - sphere @ sphere.T).tolist(), 0.0
    for i, row in enumerate(distances):
        near = [d for j, d in enumerate(row) if codes[j] == codes[i] and j != i]
        far = [d for j, d in enumerate(row) if codes[j] != codes[i]]
        positives = [d for d in near if d > min(far) - 0.1]
        negatives = [d for d in far if d < max(near) + 0.1]
        total += math.log1p(sum(math.exp(2 * (d + 0.5 - 1)) for d in positives)) / 2
        total += math.log1p(sum(math.exp(-40 * (d + 0.5 - 1)) for d in negatives)) / 40
    assert total > 0
    assert_value(losses.MultiSimilarityLoss(), (embeddings, labels), total / len(codes))


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


def test_circle():
    # anchors 0 and 1: pull -s [1 + m - 1] (1 - 1 + m) = -m², push [0 + m] (0 - m) = -m²
    assert_value(losses.CircleLoss(margin=0.25, scale=4.0), CORNER, math.log1p(math.exp(-8 * 0.0625)))


def test_n_pairs():
    # inner products: positives 2, negatives 0
    assert_value(losses.NPairsLoss(), CORNER, math.log1p(math.exp(-2)))
    assert_value(losses.NPairsLoss(norm_weight=0.1), CORNER, math.log1p(math.exp(-2)) + 0.1 * (4 + 1 + 9) / 3)
    # a class of two stands for the mean over it: two duplicates count once
    batch = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]), torch.tensor([0, 0, 1, 1])
    assert_value(losses.NPairsLoss(), batch, -math.log(E1))


def test_lifted_structure():
    # pair (0, 1): log(exp(1 - 1.5) + exp(1 - .5)) + 1 = 1.8132, squared and halved
    assert_value(losses.LiftedStructureLoss(margin=1.0), LINE, 1.643959)
    # anchor 0: 1 + (1 - 1.5); anchor 1: 1 + (1 - .5)
    assert_value(losses.GeneralizedLiftedStructureLoss(margin=1.0), LINE, (0.5 + 1.5) / 2)


def test_margin():
    batch = torch.tensor([[3.0, 0.0], [0.0, 1.0], [0.0, 2.0]]), torch.tensor([0, 0, 1])
    root = math.sqrt(2)
    # positives √2 apart cost .2 + √2 - 1.2, twice; negative (0, 2) is as far: free; (1, 2) costs 1.4, twice
    bound = losses.MarginLoss(margin=0.2, beta=1.2).bind(n_components=2, n_classes=2)
    assert_value(bound, batch, (2 * (root - 1) + 2 * 1.4) / 4)
    (beta,) = bound.parameters()
    bound(*batch).backward()
    assert beta.grad.tolist() == pytest.approx([0.0])  # two pull it up, two down
    by_class = losses.MarginLoss(margin=0.2, beta=1.2, class_beta=True, nu=0.5).bind(2, 2)
    assert_value(by_class, batch, (2 * (root - 1) + 2 * 1.4) / 4 + 0.5 * 1.2)
    with pytest.raises(ValueError, match="labels must lie in"):
        by_class(batch[0], torch.tensor([0, 0, 2]))


def test_soft_nearest_neighbor():
    # anchor 0: e^-1 / (e^-1 + e^-2.25); anchor 1: e^-1 / (e^-1 + e^-.25)
    expected = (math.log1p(math.exp(-1.25)) + math.log1p(math.exp(0.75))) / 2
    assert_value(losses.SoftNearestNeighborLoss(), LINE, expected)


def test_angular():
    # tan² 45° = 1: f = 4 · 0 - 2 · 2 · 1
    assert_value(losses.AngularLoss(alpha=math.pi / 4), CORNER, math.log1p(math.exp(-4)))


def test_tuplet_margin():
    # the positive coincides: cos(0 - β)
    expected = math.log1p(math.exp(-2 * math.cos(0.2)))
    value = losses.TupletMarginLoss(margin=0.2, scale=2.0)(*CORNER)
    assert value.item() == pytest.approx(expected, abs=1e-4)  # sin 0 is taken as 3e-4, to keep its gradient


def test_snr_contrastive():
    batch = torch.tensor([[1.0, -1.0], [2.0, -2.0], [1.0, -1.0]]), torch.tensor([0, 0, 1])
    # var(difference) / var(anchor): (0, 1) 1, (1, 0) 1/4; negatives (0, 2), (2, 0) 0, (1, 2) 1/4, (2, 1) 1
    loss = losses.SNRContrastiveLoss(margin=0.5, positive_margin=0.0)
    assert_value(loss, batch, (1 + 0.25) / 2 + (0.5 + 0.5 + 0.25) / 3)
    # moved by 1, 0 and -3 in both components: variances stay, sums are 2, 0 and -6
    moved = batch[0] + torch.tensor([[1.0], [0.0], [-3.0]])
    heavy = losses.SNRContrastiveLoss(margin=0.5, positive_margin=0.0, mean_weight=0.3)
    assert_value(heavy, (moved, batch[1]), (1 + 0.25) / 2 + 1.25 / 3 + 0.3 * (2 + 0 + 6) / 3)


def test_soft_triple():
    # class 0 has cosines 1 and 0: shares .7311 and .2689, similarity .7311; class 1 has 0 and 0
    centers = [[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, -1.0]]]
    settings = {"margin": 0.1, "scale": 2.0, "temperature": 1.0, "n_centers": 2}
    softmax = math.log1p(math.exp(-2 * (E1 - 0.1)))
    assert_value(with_proxies(losses.SoftTripleLoss(**settings, merge_weight=0.0), centers), SAMPLE, softmax)
    # centres of a class are √2 and 2 apart, over C K (K - 1) = 4
    merging = losses.SoftTripleLoss(**settings, merge_weight=0.5)
    assert_value(with_proxies(merging, centers), SAMPLE, softmax + 0.5 * (math.sqrt(2) + 2) / 4)


def test_soft_triple_with_one_center_or_equal_ones():
    single = losses.SoftTripleLoss(n_centers=1).bind(n_components=2, n_classes=2)
    assert single(*SAMPLE).isfinite()
    equal = with_proxies(losses.SoftTripleLoss(n_centers=2), [[[1.0, 0.0]] * 2, [[0.0, 1.0]] * 2])
    equal(*SAMPLE).backward()
    assert equal.proxies.grad.isfinite().all()


def circle_of(*degrees):
    radians = torch.tensor(degrees).deg2rad()
    return torch.stack([radians.cos(), radians.sin()], dim=1)


PERFECT = circle_of(0.0, 5.0, 12.0, 120.0, 125.0, 132.0), torch.tensor([0, 0, 0, 1, 1, 1])
# query 0: positive at rank 2 behind a negative, AP 1/2; query 2: likewise; query 1 has nobody to find
MIXED = circle_of(0.0, 30.0, 70.0), torch.tensor([0, 1, 0])


def test_smooth_ap():
    assert_value(losses.SmoothAPLoss(), PERFECT, 0)  # pytorch-metric-learning gives .444
    with pytest.warns(UserWarning, match="share one label"):
        assert_value(losses.SmoothAPLoss(), (PERFECT[0], torch.zeros(6, dtype=torch.int64)), 0)
    assert_value(losses.SmoothAPLoss(), MIXED, 0.5)


def test_recall_at_k():
    def sigmoid(x):
        return 1 / (1 + math.exp(-x))

    # the positive has rank 2: at k = 1 sigmoid(1 - 2), at k = 2 sigmoid(0)
    assert_value(losses.RecallAtKLoss(k=(1, 2)), MIXED, 1 - (sigmoid(-1) + sigmoid(0)) / 2)
    sharp = losses.RecallAtKLoss(k=(2,), rank_temperature=0.01, temperature=1e-4)
    # perfect ranks 1 and 2 of two positives: sigmoid(100) + sigmoid(0), of two
    assert_value(sharp, PERFECT, 1 - 1.5 / 2)
    # of two positives k = 1 divides by min(1, 2): sigmoid(0) + sigmoid(-100); k = 8 by min(8, 2)
    assert_value(losses.RecallAtKLoss(k=(1,), rank_temperature=0.01, temperature=1e-4), PERFECT, 0.5)
    assert_value(losses.RecallAtKLoss(k=(8,), rank_temperature=0.01, temperature=1e-4), PERFECT, 0)
    # ranks 1 and 2: sigmoid(1 - 1) + sigmoid(1 - 2), of min(1, 2) = 1
    mild = losses.RecallAtKLoss(k=(1,), rank_temperature=1.0, temperature=1e-4)
    assert_value(mild, PERFECT, 1 - (0.5 + sigmoid(-1)))


def test_fast_ap():
    assert_value(losses.FastAPLoss(), (PERFECT[0].round(), PERFECT[1]), 0)
    # two bins apart: squared distances 0 to the negative and 4 to the positive: the share is 1 · 1 / 2
    batch = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]]), torch.tensor([0, 1, 0])
    # query 0: h+ is 1 in the last bin, where 2 lie so far; query 2: both others at 4: 1 · 1 / 2
    assert_value(losses.FastAPLoss(n_bins=4), batch, 0.5)


@pytest.mark.parametrize("loss", [losses.SmoothAPLoss(), losses.RecallAtKLoss()], ids=repr)
def test_chunks_do_not_change_rank_losses(loss, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(30, 4, generator=generator, requires_grad=True)
    labels = torch.randint(0, 3, (30,), generator=generator)
    at_once = loss(embeddings, labels)
    monkeypatch.setattr(_ranking, "_BLOCK", 1)
    by_chunks = loss(embeddings, labels)
    torch.testing.assert_close(by_chunks, at_once)
    torch.testing.assert_close(
        torch.autograd.grad(by_chunks, embeddings), torch.autograd.grad(at_once, embeddings)
    )


def test_recall_needs_a_cut_off():
    for k in [(), (0, 1)]:
        with pytest.raises(ValueError, match="cut-offs"):
            losses.RecallAtKLoss(k=k)(*MIXED)


VIEWS = torch.eye(2).repeat(2, 1), torch.tensor([0, 1, 0, 1])


def test_clip():
    assert_value(losses.CLIPLoss(temperature=1.0).bind(2, 2), VIEWS, -math.log(E1))
    # one image and its caption more, of equal label: no negatives of each other
    twice = torch.eye(2).repeat(3, 1)[[0, 0, 0, 0, 1, 1]], torch.tensor([0, 0, 0, 0, 1, 1])
    # images 0, 1 see their own caption and that of label 1; the last sees three captions
    expected = (2 * math.log1p(math.exp(-1)) + math.log1p(2 * math.exp(-1))) / 3
    assert_value(losses.CLIPLoss(temperature=1.0).bind(2, 2), twice, expected)


def test_sig_lip():
    # two yes: log(1 + e^-1), two no at cosine 0: log 2; over two pairs
    expected = math.log1p(math.exp(-1)) + math.log(2)
    assert_value(losses.SigLIPLoss(scale=1.0, bias=0.0).bind(2, 2), VIEWS, expected)


def test_sim_clr():
    assert_value(losses.SimCLRLoss(temperature=1.0), VIEWS, math.log1p(2 * math.exp(-1)))


def test_vicreg():
    # views 1 apart in one of two components: 25 · 1/2; variances of (0, 2) and of constants
    first, second = torch.tensor([[0.0, 0.0], [2.0, 0.0]]), torch.tensor([[0.0, 1.0], [2.0, 1.0]])
    # components: variance 2 is enough; variance 0: 1 - √eps, mean over two components, alike in both views
    expected = 25 / 2 + 25 * (1 - 0.01) / 2
    assert_value(losses.VICRegLoss(), (torch.cat([first, second]), torch.tensor([0, 1, 0, 1])), expected)
    # variances 2, covariance 2 in both views: 2 · (2² + 2²) / 2
    same = torch.tensor([[0.0, 0.0], [2.0, 2.0]]).repeat(2, 1)
    assert_value(losses.VICRegLoss(), (same, torch.tensor([0, 1, 0, 1])), 8)


def test_barlow_twins():
    views = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
    # all four correlations are 1: off the diagonal 2 λ; with one view turned round: 2 (1 + 1)² + 2 λ
    assert_value(losses.BarlowTwinsLoss(0.1), (views.repeat(2, 1), VIEWS[1]), 0.2)
    assert_value(losses.BarlowTwinsLoss(0.1), (torch.cat([views, -views]), VIEWS[1]), 8.2)


def test_hyperbolic_info_nce():
    # from the origin, the distance to exp_0(x) is 2 |x|, whatever the curvature
    batch = torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.5, 0.0]]), torch.tensor([0, 0, 1])
    assert_value(losses.HyperbolicInfoNCELoss(temperature=1.0), batch, math.log1p(math.exp(-3)))
    # clipped to 2.3
    far = torch.tensor([[0.0, 0.0], [0.0, 0.0], [100.0, 0.0]]), torch.tensor([0, 0, 1])
    assert_value(losses.HyperbolicInfoNCELoss(temperature=1.0), far, math.log1p(math.exp(-4.6)))
    # points of the ball of curvature 1: 2 artanh(1/2) = log 3 from the origin
    ball = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.5, 0.0]]), torch.tensor([0, 0, 1])
    loss = losses.HyperbolicInfoNCELoss(temperature=1.0, curvature=1.0, on_ball=True)
    assert_value(loss, ball, math.log1p(1 / 3))


def test_cross_batch_memory():
    memory = losses.CrossBatchMemory(losses.NTXentLoss(temperature=1.0), size=3).bind(2, 2)
    e = torch.eye(2)
    first = memory(torch.stack([e[0], e[0], e[1]]), torch.tensor([0, 0, 1]))
    torch.testing.assert_close(first, torch.tensor(-math.log(E1)))
    # one anchor: remembered are two positives at cosine 1 and one negative at 0
    torch.testing.assert_close(memory(e[:1], torch.tensor([0])), torch.tensor(-math.log(E1)))
    # the oldest has left: one positive remembered from the first batch, one from the second
    assert memory.n_stored == 3
    assert sorted(memory.labels.tolist()) == [0, 0, 1]
    memory.eval()(e[1:], torch.tensor([1]))
    assert memory.n_seen == 4


def test_memory_gives_no_gradient_to_past_batches():
    memory = losses.CrossBatchMemory(losses.ContrastiveLoss(), size=8).bind(2, 2)
    past = torch.randn(4, 2, requires_grad=True)
    first = memory(past, torch.tensor([0, 0, 1, 1]))
    memory(torch.randn(4, 2, requires_grad=True), torch.tensor([0, 0, 1, 1])).backward()
    assert past.grad is None
    first.backward()
    assert past.grad is not None


def test_memory_wants_a_pair_loss():
    with pytest.raises(ValueError, match="loss"):
        losses.CrossBatchMemory(losses.ArcFaceLoss()).bind(2, 2)


def test_matryoshka():
    batch = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.5, 0.0]]), torch.tensor([0, 0, 1])
    inner = losses.TripletMarginLoss(margin=0.2)
    bound = losses.MatryoshkaLoss(inner, prefixes=[1, 2], weights=[1.0, 0.5]).bind(2, 2)
    assert_value(bound, batch, 1.5 * 0.7)
    proxies = losses.MatryoshkaLoss(losses.ArcFaceLoss()).bind(n_components=32, n_classes=3)
    assert [tuple(p.shape) for p in proxies.parameters()] == [(3, 32), (3, 16), (3, 8)]
    assert losses.MatryoshkaLoss(inner, prefixes=[1]).get_params()["loss__margin"] == 0.2
    for options in [{"prefixes": [3]}, {"prefixes": []}, {"prefixes": [1, 2], "weights": [1.0]}]:
        with pytest.raises(ValueError, match=r"prefixes|weights"):
            losses.MatryoshkaLoss(inner, **options).bind(2, 2)


def test_views_are_the_first_and_second_row_of_a_label():
    # interleaved and stacked batches are alike; the sample without a partner is left out
    first, second = torch.randn(3, 4), torch.randn(3, 4)
    stacked = torch.cat([first, second]), torch.arange(3).repeat(2)
    interleaved = torch.stack([first, second], dim=1).flatten(0, 1), torch.arange(3).repeat_interleave(2)
    lonely = torch.cat([stacked[0], torch.ones(1, 4)]), torch.tensor([0, 1, 2, 0, 1, 2, 9])
    for loss in [losses.VICRegLoss(), losses.BarlowTwinsLoss(), losses.CLIPLoss().bind(4, 3)]:
        torch.testing.assert_close(loss(*stacked), loss(*interleaved))
        torch.testing.assert_close(loss(*stacked), loss(*lonely))
