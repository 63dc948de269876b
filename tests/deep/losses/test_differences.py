"""What the migration page says of losses whose values differ from pytorch-metric-learning's, by hand.

``tests/deep/losses/test_parity.py`` has the losses that agree.
"""

import re
from pathlib import Path

import pytest
import torch
from pytorch_metric_learning import distances as peer_distances
from pytorch_metric_learning import losses as peers
from torch.nn.functional import normalize

from skmetric.deep import losses
from skmetric.exceptions import NothingToLearnWarning


def test_lifted_structure_of_anchors_without_a_positive():
    embeddings, labels = torch.tensor([[0.0], [1.0], [1.5]]), torch.tensor([0, 0, 1])
    theirs = peers.GeneralizedLiftedStructureLoss(
        distance=peer_distances.LpDistance(normalize_embeddings=False)
    )
    # anchor 0: 1 + 1 - 1.5 = .5; anchor 1: 1 + 1 - .5 = 1.5; theirs adds anchor 2: log(e^-.5 + e^.5) = .8133
    assert losses.GeneralizedLiftedStructureLoss()(embeddings, labels).item() == pytest.approx(1.0)
    assert theirs(embeddings, labels).item() == pytest.approx((0.5 + 1.5 + 0.8133) / 3, abs=1e-4)


def test_sup_con_of_one_class():
    embeddings, labels = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), torch.zeros(3, dtype=torch.long)
    # anchors 0 and 1: log(e + 1) - 1/2 = .8133; anchor 2: log(2) = .6931
    with pytest.warns(NothingToLearnWarning, match="share one label"):
        ours = losses.SupConLoss(temperature=1.0)(embeddings, labels)
    assert ours.item() == pytest.approx((2 * 0.8133 + 0.6931) / 3, abs=1e-4)
    assert peers.SupConLoss(temperature=1.0)(embeddings, labels).item() == 0


def test_smooth_ap_counts_the_query_there():
    angles = torch.deg2rad(torch.tensor([0.0, 50.0, 20.0, 70.0]))
    embeddings, labels = torch.stack([angles.cos(), angles.sin()], dim=1), torch.tensor([0, 0, 1, 1])
    # the positive has rank 2, 3, 3, 2: AP of 1/2 and 1/3; theirs (1 + 2/3) / 2 and (1 + 2/4) / 2
    assert losses.SmoothAPLoss(1e-3)(embeddings, labels).item() == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert peers.SmoothAPLoss(1e-3)(embeddings, labels).item() == pytest.approx((1 / 6 + 1 / 4) / 2)


def test_smooth_ap_of_classes_of_different_size():
    embeddings, labels = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0, 1])
    assert losses.SmoothAPLoss()(embeddings, labels).item() == pytest.approx(0)
    with pytest.raises(ValueError, match="same number"):
        peers.SmoothAPLoss()(embeddings, labels)


def labelled():
    embeddings = torch.randn(12, 5, generator=torch.Generator().manual_seed(0))
    return normalize(embeddings), torch.arange(12) % 3


WITH_THEIR_DEFAULTS = {
    "soft triplet": (
        losses.TripletMarginLoss(margin=0.05, soft_margin=True, swap=True),
        peers.TripletMarginLoss(smooth_loss=True, swap=True),
    ),
    "SNR": (
        losses.SNRContrastiveLoss(margin=1, positive_margin=0, mean_weight=0),
        peers.SignalToNoiseRatioContrastiveLoss(),
    ),
}


@pytest.mark.parametrize("name", WITH_THEIR_DEFAULTS)
def test_the_call_with_their_defaults(name):
    ours, theirs = WITH_THEIR_DEFAULTS[name]
    torch.testing.assert_close(ours(*labelled()), theirs(*labelled()), rtol=1e-5, atol=1e-5)
    assert type(ours)().get_params() != ours.get_params()  # our defaults differ


def test_snr_penalises_the_mean():
    embeddings, labels = labelled()
    bare = losses.SNRContrastiveLoss(mean_weight=0)(embeddings, labels)
    penalty = 0.005 * embeddings.sum(dim=1).abs().mean()  # our default weight
    torch.testing.assert_close(losses.SNRContrastiveLoss()(embeddings, labels), bare + penalty)


def test_two_views_with_their_temperature():
    views, _ = labelled()
    theirs = peers.SelfSupervisedLoss(peers.NTXentLoss())(views[:6], views[6:])
    ours = losses.SimCLRLoss(temperature=0.07)(views, torch.arange(6).repeat(2))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_the_page_names_all_that_they_have():
    page = (Path(__file__).parents[3] / "doc/migration/pytorch_metric_learning.rst").read_text("utf-8")
    folder = Path(peers.__file__).parents[1]
    rooms = ["losses", "miners", "samplers", "distances", "reducers", "regularizers"]
    rooms += ["testers", "trainers", "datasets"]
    lines = "\n".join((folder / room / "__init__.py").read_text("utf-8") for room in rooms)
    names = set(re.findall(r"\w+", " ".join(re.findall(r"^from \.\w+ import (.*)$", lines, re.MULTILINE))))
    assert len(names) > 70
    absent = {name for name in names if not re.search(rf"\b{name}\b", page)}
    bases = {"EmbeddingRegularizerMixin", "GenericPairLoss", "WeightRegularizerMixin"}
    assert {name for name in absent if not name.startswith("Base")} == bases
