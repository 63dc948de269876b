"""Weights of rows, a value for each row, references, and logits of proxies."""

import pytest
import torch

from skmetric.deep import losses, miners

from .conftest import NAMES, make_loss
from .test_laws import bind

LINE = torch.tensor([[0.0], [1.0], [1.5]]), torch.tensor([0, 0, 1])


def batch(n=12, width=8):
    return torch.randn(n, width, generator=torch.Generator().manual_seed(2)), torch.arange(n) % 4


def by_row(name):
    loss = make_loss(name)
    parts = [loss, getattr(loss, "loss", loss), getattr(getattr(loss, "loss", loss), "loss", loss)]
    return all(getattr(part, "_by_row", False) for part in parts) and not isinstance(loss, losses.ForeignLoss)


ROWS = [name for name in NAMES if by_row(name)]


@pytest.mark.parametrize("name", ROWS)
def test_equal_weights_change_nothing(name):
    embeddings, labels = batch()
    expected = bind(make_loss(name))(embeddings, labels)
    weighed = bind(make_loss(name))(embeddings, labels, weights=torch.full((12,), 3.0))
    torch.testing.assert_close(weighed, expected)


@pytest.mark.parametrize("name", [name for name in ROWS if "swap" not in name])  # whose rows are not apart
def test_a_row_that_weighs_all_has_its_own_value(name):
    embeddings, labels = batch()
    embeddings.requires_grad_()
    each = bind(make_loss(name))(embeddings, labels, reduction="none")
    assert each.shape == (12,)
    if "ontrastive" in name:
        return  # the means over the two kinds of pairs have denominators of their own
    for row in (0, 7):
        alone = bind(make_loss(name))(embeddings, labels, weights=torch.eye(12)[row])
        torch.testing.assert_close(alone, each[row])
        grads = [torch.autograd.grad(v, embeddings, retain_graph=True)[0] for v in (alone, each[row])]
        torch.testing.assert_close(*grads)


def test_weights_by_hand():
    # anchors 0 and 1: .2 + 1 - 1.5 < 0 and .2 + 1 - .5; over all triplets (2 · .7) / (1 + 2)
    loss = losses.TripletMarginLoss(margin=0.2, average="all")
    value = loss(*LINE, weights=torch.tensor([1.0, 2.0, 5.0]))
    assert value.item() == pytest.approx(1.4 / 3)
    torch.testing.assert_close(loss(*LINE, reduction="none"), torch.tensor([0.0, 0.7, 0.0]))


def test_weights_of_classes_are_those_of_torch():
    embeddings, labels = batch()
    bound = losses.NormalizedSoftmaxLoss().bind(8, 4)
    classes = torch.tensor([1.0, 2.0, 0.5, 0.0])
    expected = torch.nn.functional.cross_entropy(bound.logits(embeddings), labels, weight=classes)
    torch.testing.assert_close(bound(embeddings, labels, weights=classes[labels]), expected)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"weights": torch.ones(2)}, r"weights must be a tensor \(3,\)"),
        ({"weights": [1, 1, 1]}, "list"),
        ({"weights": torch.tensor([1.0, -1.0, 1.0])}, "at least 0"),
        ({"weights": torch.tensor([1.0, torch.nan, 1.0])}, "finite"),
        ({"reduction": "sum"}, "'mean' or 'none'"),
    ],
)
def test_wrong_weights_and_reductions_are_refused(options, match):
    with pytest.raises(ValueError, match=match):
        losses.TripletMarginLoss()(*LINE, **options)


@pytest.mark.parametrize("name", ["VICRegLoss", "ProxyAnchorLoss", "CLIPLoss"])
def test_what_is_no_mean_over_rows_refuses_weights_by_name(name):
    with pytest.raises(ValueError, match=name):
        make_loss(name).bind(8, 4)(*batch(), weights=torch.ones(12))


def test_swap_refuses_a_value_for_each_row():
    with pytest.raises(ValueError, match="swap"):
        losses.TripletMarginLoss(swap=True)(*LINE, reduction="none")


# References


def test_references_by_hand():
    # anchors at 0 and 1 of classes 0 and 1; references at 1.2 (0) and 2 (1): .2 + 1.2 - 2 < 0, .2 + 1 - .2
    anchors, references = torch.tensor([[0.0], [1.0]]), torch.tensor([[1.2], [2.0]])
    labels = torch.tensor([0, 1])
    loss = losses.TripletMarginLoss(margin=0.2)
    value = loss(anchors, labels, references=references, reference_labels=labels)
    assert value.item() == pytest.approx(1.0)


def test_both_towers_get_a_gradient_and_a_query_is_not_its_own_item():
    towers = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    labels = torch.arange(5)
    value = losses.NTXentLoss(1.0)(towers[0], labels, references=towers[1], reference_labels=labels)
    cosines = torch.nn.functional.normalize(towers[0]) @ torch.nn.functional.normalize(towers[1]).T
    torch.testing.assert_close(value, torch.nn.functional.cross_entropy(cosines, labels))
    (gradient,) = torch.autograd.grad(value, towers)
    assert gradient[1].abs().sum() > 0


def test_a_queue_of_keys_is_that_of_pytorch_metric_learning():
    peers = pytest.importorskip("pytorch_metric_learning.losses")
    queries, labels = batch(6)
    keys, key_labels = batch(9)
    for ours, theirs in [
        (losses.NTXentLoss(0.2), peers.NTXentLoss(0.2)),
        (losses.SupConLoss(0.2), peers.SupConLoss(0.2)),
        (losses.CircleLoss(scale=8.0), peers.CircleLoss(gamma=8)),
    ]:
        value = ours(queries, labels, references=keys, reference_labels=key_labels)
        expected = theirs(queries, labels, ref_emb=keys, ref_labels=key_labels)
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-5)


def test_a_miner_chooses_among_references():
    anchors, references = torch.tensor([[0.0]]), torch.tensor([[1.0], [3.0], [2.0]])
    loss = losses.TripletMarginLoss(margin=0.0, average="all", miner=miners.BatchHardMiner())
    labels = torch.tensor([0, 0, 1])
    # the farthest positive is 3 away, the negative 2
    value = loss(anchors, torch.tensor([0]), references=references, reference_labels=labels)
    assert value.item() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("sides", "match"),
    [
        ({"references": torch.ones(2, 1)}, "reference_labels go together"),
        ({"references": torch.ones(2, 2), "reference_labels": torch.zeros(2, dtype=int)}, "components"),
        ({"references": torch.ones(2), "reference_labels": torch.zeros(2, dtype=int)}, "references must be"),
        (
            {
                "references": torch.ones(2, 1),
                "reference_labels": torch.zeros(2, dtype=int),
                "memory": torch.ones(2, 1),
                "memory_labels": torch.zeros(2, dtype=int),
            },
            "in place of it",
        ),
    ],
)
def test_wrong_references_are_refused(sides, match):
    with pytest.raises(ValueError, match=match):
        losses.ContrastiveLoss()(*LINE, **sides)


def test_prefixes_take_references_that_are_none():
    embeddings, labels = batch()
    loss = losses.MatryoshkaLoss(losses.SupConLoss(), prefixes=[4, 8]).bind(8, 4)
    value = loss(embeddings, labels, references=None, reference_labels=None)
    torch.testing.assert_close(value, loss(embeddings, labels))


def test_swap_refuses_references_of_the_size_of_the_batch():
    with pytest.raises(ValueError, match="references"):
        losses.TripletMarginLoss(swap=True)(*LINE, references=LINE[0], reference_labels=LINE[1])


# Logits


@pytest.mark.parametrize("name", [name for name in NAMES if "sampled" in name])
def test_logits_name_the_nearest_proxy(name):
    bound = bind(make_loss(name)).train()
    logits = bound.logits(bound.proxies.detach().reshape(6, -1, 8)[:, 0])
    assert logits.shape == (6, 6)
    assert logits.argmax(1).tolist() == list(range(6))


def test_logits_are_those_of_a_peer():
    peers = pytest.importorskip("pytorch_metric_learning.losses")
    embeddings, _ = batch()
    ours, theirs = losses.CosFaceLoss(scale=8.0).bind(8, 4), peers.CosFaceLoss(4, 8, scale=8)
    theirs.W.data = ours.proxies.data.T
    torch.testing.assert_close(ours.logits(embeddings), theirs.get_logits(embeddings))
