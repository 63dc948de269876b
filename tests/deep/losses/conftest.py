"""Every loss, with the parameters it cannot do without, and the batches that all of them must survive."""

import pytest
import torch

from skmetric.deep import losses

NEEDED = {
    "CrossBatchMemory": lambda: {"loss": losses.NTXentLoss()},
    "MatryoshkaLoss": lambda: {"loss": losses.NTXentLoss()},
}


def make_loss(name):
    return getattr(losses, name)(**NEEDED.get(name, dict)())


@pytest.fixture(params=losses.__all__)
def loss(request):
    """Each loss in turn."""
    return make_loss(request.param)


@pytest.fixture(params=list(range(3)))
def batches(request):
    """Uneven batches of float32 embeddings, every class at least twice."""
    generator = torch.Generator().manual_seed(request.param)
    embeddings = torch.randn(14, 5, generator=generator)
    return embeddings, torch.tensor([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 0, 1, 0])
