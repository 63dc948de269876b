"""Losses of grades against loops by hand; with one label each they are the losses of labels, exactly."""

import math

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from torch.nn.functional import normalize

from skmetric.deep import losses

SETS = [{0}, {0, 1}, {1}, {2}, {0, 1, 2}, set(), {2}, {1, 2}]
TAGS = torch.tensor([[int(label in row) for label in range(3)] for row in SETS])
TREE = torch.tensor([[0, 0, 0], [0, 0, 1], [0, 1, 2], [1, 2, 3], [1, 2, 3], [0, 0, 0], [1, 3, 4], [0, 1, 2]])
EMBEDDINGS = torch.randn(8, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
GRADED = [losses.SupConLoss(0.5), losses.LogRatioLoss(), losses.CosineRegressionLoss()]
graded = pytest.mark.parametrize("loss", GRADED, ids=lambda loss: type(loss).__name__)


def jaccard(a, b):
    return len(a & b) / len(a | b) if a | b else 0.0


def levels(a, b):
    return sum(x == y for x, y in zip(a.tolist(), b.tolist(), strict=True)) / 3


GRADES = {
    "multilabel": (TAGS, np.array([[jaccard(a, b) for b in SETS] for a in SETS])),
    "hierarchy": (TREE, np.array([[levels(a, b) for b in TREE] for a in TREE])),
}


def by_hand(loss, grades):
    """The loss by loops over anchors and pairs, from its published formula."""
    n, name = len(grades), type(loss).__name__
    cosines = (normalize(EMBEDDINGS) @ normalize(EMBEDDINGS).T).tolist()
    if name == "CosineRegressionLoss":
        return np.mean([(cosines[a][i] - grades[a][i]) ** 2 for a in range(n) for i in range(n) if a != i])
    costs = []
    for a in range(n):
        others = [i for i in range(n) if i != a]
        if name == "SupConLoss":
            total = sum(grades[a][i] for i in others)
            if total:
                z = math.log(sum(math.exp(cosines[a][k] / 0.5) for k in others))
                costs.append(-sum(grades[a][i] * (cosines[a][i] / 0.5 - z) for i in others) / total)
            continue
        d = ((EMBEDDINGS[a] - EMBEDDINGS) ** 2).sum(1).tolist()
        for i in others:
            for j in others:
                if i != j:
                    ratio = math.log((d[i] + 0.2) / (d[j] + 0.2))
                    costs.append((ratio - math.log((1.1 - grades[a][i]) / (1.1 - grades[a][j]))) ** 2)
    return np.mean(costs)


@graded
@pytest.mark.parametrize("relevance", GRADES)
def test_values_are_those_of_loops(loss, relevance):
    labels, grades = GRADES[relevance]
    value = type(loss)(**loss.get_params() | {"relevance": relevance})(EMBEDDINGS, labels)
    assert value.item() == pytest.approx(by_hand(loss, grades), rel=1e-6)


@graded
def test_all_forms_of_the_same_grades_give_the_same_value(loss):
    labels, grades = GRADES["multilabel"]
    expected = type(loss)(**loss.get_params() | {"relevance": "multilabel"})(EMBEDDINGS, labels)
    by_rows = [grades, torch.from_numpy(grades), csr_array(grades), grades.tolist()]
    for relevance, rows in [*((matrix, torch.arange(8)) for matrix in by_rows), (_share, labels)]:
        bound = type(loss)(**loss.get_params() | {"relevance": relevance}).bind(4, 8)
        torch.testing.assert_close(bound(EMBEDDINGS, rows), expected)


def _share(a, b):
    common = (a[:, None] & b).sum(-1)
    return common / (a[:, None] | b).sum(-1).clamp_min(1)


@graded
def test_one_label_each_gives_the_value_of_labels_exactly(loss):
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 0, 1])
    embeddings = EMBEDDINGS.float()
    forms = {"multilabel": torch.eye(3, dtype=int)[labels], "hierarchy": labels[:, None]}
    values = [(loss, labels)]
    values += [(type(loss)(**loss.get_params() | {"relevance": r}), form) for r, form in forms.items()]
    results = []
    for one, form in values:
        leaf = embeddings.clone().requires_grad_()
        value = one(leaf, form)
        value.backward()
        results.append((value.detach(), leaf.grad))
    for value, gradient in results[1:]:
        assert torch.equal(value, results[0][0])
        assert torch.equal(gradient, results[0][1])


@graded
def test_references_have_labels_of_the_same_kind(loss):
    labels, grades = GRADES["multilabel"]
    one = type(loss)(**loss.get_params() | {"relevance": "multilabel"})
    each = one(EMBEDDINGS[:3], labels[:3], references=EMBEDDINGS[3:], reference_labels=labels[3:])
    square = np.zeros((8, 8))
    square[:3, 3:] = grades[:3, 3:]
    rows = type(loss)(**loss.get_params() | {"relevance": square})
    expected = rows(
        EMBEDDINGS[:3], torch.arange(3), references=EMBEDDINGS[3:], reference_labels=torch.arange(3, 8)
    )
    torch.testing.assert_close(each, expected)


@graded
def test_batch_without_grades_is_reported(loss):
    one = type(loss)(**loss.get_params() | {"relevance": "multilabel"})
    with pytest.warns(UserWarning, match="grade above 0"):
        assert one(EMBEDDINGS, torch.zeros(8, 3)).isfinite()


@pytest.mark.parametrize(
    ("relevance", "labels", "match"),
    [
        ("multilabel", torch.zeros(8, dtype=int), r"\(8, n_labels\)"),
        ("multilabel", 2 * TAGS, "0 and 1"),
        ("hierarchy", TREE.double(), "integers"),
        ("hierarchy", TREE[:, [2, 1, 0]], "not nested"),
        ("hierarchy", TREE[:4], "must be"),
        ("labels", TAGS, "SupConLoss compares classes"),
        (lambda a, b: torch.zeros(2, 2), TAGS, "one for each pair"),
        (lambda a, b: -torch.ones(8, 8), TAGS, "start at 0"),
        (np.eye(4), torch.arange(8), "rows of relevance, from 0 to 3"),
    ],
)
def test_labels_of_another_kind_are_refused(relevance, labels, match):
    with pytest.raises(ValueError, match=match):
        losses.SupConLoss(relevance=relevance)(EMBEDDINGS, labels)


@pytest.mark.parametrize(
    "matrix", [np.ones((3, 2)), -np.eye(3), np.full((3, 3), np.nan), -csr_array(np.eye(3))]
)
def test_a_wrong_matrix_is_refused_when_bound(matrix):
    with pytest.raises(ValueError, match="relevance must"):
        losses.LogRatioLoss(relevance=matrix).bind(4, 3)


@pytest.mark.parametrize(
    "name", ["TripletMarginLoss", "ProxyAnchorLoss", "MarginLoss", "NPairsLoss", "VICRegLoss"]
)
def test_other_losses_refuse_several_columns_by_name(name):
    with pytest.raises(ValueError, match=rf"{name} compares classes.*LogRatioLoss"):
        getattr(losses, name)().bind(4, 3)(EMBEDDINGS.float(), TAGS)


def test_a_column_of_labels_is_ravelled():
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 0, 1])
    loss = losses.TripletMarginLoss()
    assert torch.equal(loss(EMBEDDINGS, labels[:, None]), loss(EMBEDDINGS, labels))


def test_log_ratio_refuses_a_distance_that_may_be_negative():
    with pytest.raises(ValueError, match="dot_product"):
        losses.LogRatioLoss(distance="dot_product")(EMBEDDINGS, torch.arange(8) % 3)


def test_a_memory_of_several_labels_says_how_to_give_grades():
    memory = losses.CrossBatchMemory(losses.SupConLoss(relevance="multilabel"), size=4).bind(4, 3)
    with pytest.raises(ValueError, match="SupConLoss takes relevance= as a matrix of grades"):
        memory(EMBEDDINGS, TAGS)
    grades = GRADES["multilabel"][1]
    by_rows = losses.CrossBatchMemory(losses.SupConLoss(relevance=grades), size=8).bind(4, 8)
    by_rows(EMBEDDINGS[:5], torch.arange(5))
    value = by_rows(EMBEDDINGS[5:], torch.arange(5, 8))  # the first five are remembered
    order = torch.tensor([5, 6, 7, 0, 1, 2, 3, 4])
    expected = losses.SupConLoss(relevance=grades)(
        EMBEDDINGS[order], order, weights=torch.tensor([1.0] * 3 + [0.0] * 5)
    )
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-5, check_dtype=False)
