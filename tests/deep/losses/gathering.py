"""One of several processes that gather their batches; test_gathered_batches.py starts them.

python gathering.py RANK WORLD_SIZE FOLDER
"""

import sys
from pathlib import Path

import torch
from torch import distributed, nn

from skmetric.deep import losses

CASES = {
    "triplet": losses.TripletMarginLoss,
    "multi-similarity": losses.MultiSimilarityLoss,
    "NT-Xent": losses.NTXentLoss,
    "margin": losses.MarginLoss,
    "ProxyAnchor": losses.ProxyAnchorLoss,
    "memory": lambda: losses.CrossBatchMemory(losses.ContrastiveLoss()),
    "Matryoshka": lambda: losses.MatryoshkaLoss(losses.NTXentLoss(), prefixes=[2, 4]),
}
SIZES = [7, 5]  # of the parts of the batch


def batch():
    """Samples (12, 6) and labels of which no part has all pairs."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(12, 6, generator=generator), torch.arange(12) % 4


def network():
    """The same one in every process."""
    layer = nn.Linear(6, 4, bias=False)
    layer.weight.data = torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
    return layer


def bind(loss):
    return loss.bind(n_components=4, n_classes=4, generator=torch.Generator().manual_seed(2))


def value_and_gradients(bound, samples, labels):
    """Value of the loss, gradients of the weights of the network and of the loss."""
    layer = network()
    value = bound(layer(samples), labels)
    value.backward()
    owned = bound.parameters() if isinstance(bound, nn.Module) else []
    return [value.detach(), layer.weight.grad, *(parameter.grad for parameter in owned)]


def main(rank, world_size, folder):
    """Gather for each case, then try embeddings of different widths; save what came out."""
    store = (folder / "store").as_uri()
    distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=world_size)
    samples, labels = (part.split(SIZES)[rank] for part in batch())
    found = {
        name: value_and_gradients(bind(losses.GatheredBatches(make())), samples, labels)
        for name, make in CASES.items()
    }
    try:
        bind(losses.GatheredBatches(losses.NTXentLoss()))(torch.ones(3, 4 + rank), torch.tensor([0, 0, 1]))
    except ValueError as error:
        found["refusal"] = str(error)
    torch.save(found, folder / f"{rank}.pt")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
