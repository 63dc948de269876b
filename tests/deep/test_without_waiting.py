"""The training loop reads nothing back from the device batch by batch: a read makes the host wait."""

import collections
import warnings

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from skmetric.deep import losses, miners
from skmetric.deep._training import _loop
from skmetric.deep._training._divergence import Divergence
from skmetric.deep.losses._epoch import Counts, Epoch, counts_of, without_waiting
from skmetric.exceptions import NothingToLearnWarning

LABELS = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2])
COUNTS = Counts(n_rows=8, most=3, n_pairs=3, n_labels=3)
WAIT = {
    # the answer of these miners is a list of triplets, as long as the data have it
    "triplet, semi-hard": losses.TripletMarginLoss(miner=miners.SemiHardMiner()),
    # the loss compares the batch with what is remembered: labels that the host does not know
    "memory of triplets": losses.CrossBatchMemory(losses.TripletMarginLoss()),
    # a foreign loss does as it likes; grades of the user come from the host
}
NOT_WAITING = {
    name: getattr(losses, name)
    for name in losses.__all__
    if name not in ("CrossBatchMemory", "ForeignLoss", "GatheredBatches", "MatryoshkaLoss")
} | {
    "triplet, soft": lambda: losses.TripletMarginLoss(soft_margin=True),
    "triplet, swap": lambda: losses.TripletMarginLoss(swap=True),
    "triplet, batch-hard": lambda: losses.TripletMarginLoss(miner=miners.BatchHardMiner()),
    "contrastive, mined": lambda: losses.ContrastiveLoss(miner=miners.MultiSimilarityMiner()),
    "margin, easy positives": lambda: losses.MarginLoss(class_beta=True, miner=miners.EasyPositiveMiner()),
    "memory": lambda: losses.CrossBatchMemory(losses.ContrastiveLoss()),
    "gathered": lambda: losses.GatheredBatches(losses.TripletMarginLoss()),
    "Matryoshka": lambda: losses.MatryoshkaLoss(losses.TripletMarginLoss(), prefixes=[2, 4]),
    "sampled classes": lambda: losses.ArcFaceLoss(sampled_classes=8),
    "fewer sampled classes": lambda: losses.ArcFaceLoss(sampled_classes=4),
}


def bind(loss):
    return loss.bind(n_components=4, n_classes=20, generator=torch.Generator().manual_seed(0))


def embeddings():
    return torch.randn(8, 4, generator=torch.Generator().manual_seed(1)).requires_grad_()


def in_epoch(bound, embeddings, labels):
    """Value of a batch, of which the host knows the labels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Epoch, "tell", lambda self: None)  # the end of the epoch may wait
        with without_waiting() as epoch:
            epoch.counts = COUNTS
            value = bound(embeddings, labels)
            value.backward()
    return value


class Reads(TorchDispatchMode):
    """Counts the operations that read a tensor back, by name."""

    names = ("_local_scalar_dense", "nonzero", "_unique2", "is_nonzero", "masked_select", "equal", "bincount")

    def __init__(self):
        super().__init__()
        self.found = collections.Counter()

    def __enter__(self):
        self.patch = pytest.MonkeyPatch()
        tolist = torch.Tensor.tolist

        def counted(tensor):
            self.found["tolist"] += 1
            return tolist(tensor)

        self.patch.setattr(torch.Tensor, "tolist", counted)  # which is no operation of torch
        return super().__enter__()

    def __exit__(self, *args):
        self.patch.undo()
        return super().__exit__(*args)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        marked = name in ("index", "index_put_") and any(
            i is not None and i.dtype == torch.bool for i in args[1]
        )
        self.found[name] += name in self.names or marked
        return function(*args, **(kwargs or {}))


def reads_in(bound):
    """What two batches read; a memory remembers the first."""
    with Reads() as counter:
        for _ in range(2):
            in_epoch(bound, embeddings(), LABELS)
    return +counter.found


@pytest.mark.parametrize("name", NOT_WAITING)
def test_no_loss_waits_for_the_device(name):
    assert not reads_in(bind(NOT_WAITING[name]()))


@pytest.mark.parametrize("name", WAIT)
def test_those_that_wait_are_known(name):
    assert reads_in(bind(WAIT[name]))


@pytest.mark.parametrize("name", NOT_WAITING)
def test_values_and_gradients_are_the_same(name):
    first, second = embeddings(), embeddings()
    value = bind(NOT_WAITING[name]())(first, LABELS)
    value.backward()
    torch.testing.assert_close(in_epoch(bind(NOT_WAITING[name]()), second, LABELS), value, rtol=1e-6, atol=0)
    torch.testing.assert_close(second.grad, first.grad, rtol=1e-6, atol=1e-8)


def test_labels_are_counted():
    assert counts_of(LABELS) == COUNTS


@pytest.mark.parametrize("settings", [{"loss": "auto"}, {"loss": "arc_face"}, {"loss": "contrastive"}])
def test_an_epoch_reads_as_often_however_many_batches_it_has(tiny, blobs, settings, monkeypatch):
    monkeypatch.setattr(_loop, "labels_of", lambda *args: None)  # what it counts lies on the CPU anyway
    reads = []
    for n_steps in (2, 6):
        learner = tiny(max_epochs=1, optimizer="sgd", steps_per_epoch=n_steps, **settings)
        with Reads() as counter:
            learner.fit(*blobs)
        reads.append(+counter.found)
    assert reads[0]["_local_scalar_dense"] > 0  # at the end of the epoch
    assert reads[0] == reads[1]


def test_batches_without_a_positive_are_reported_once_an_epoch(tiny):
    X, y = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32), np.arange(6) // 2
    learner = tiny(
        loss="contrastive", max_epochs=2, classes_per_batch=3, samples_per_class=1, steps_per_epoch=4
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        learner.fit(X, y)
    found = [warning for warning in caught if warning.category is NothingToLearnWarning]
    assert [str(warning.message)[:33] for warning in found] == 2 * ["no two samples of the batch share"]
    assert {warning.filename for warning in found} == {__file__}


def test_labels_out_of_range_are_refused_at_the_end_of_the_epoch():
    bound = bind(losses.ProxyAnchorLoss())
    epoch = without_waiting()
    epoch.__enter__()
    for labels in ([0, -2, 1], [5, 31, 0]):
        bound(torch.ones(3, 4), torch.tensor(labels))
    with pytest.raises(ValueError, match="labels from -2 to 31"):
        epoch.__exit__(None, None, None)


def test_a_memory_that_was_loaded_knows_how_much_it_holds():
    memory = bind(losses.CrossBatchMemory(losses.ContrastiveLoss(), size=4))
    memory(torch.randn(3, 4), torch.tensor([0, 0, 1]))
    again = bind(losses.CrossBatchMemory(losses.ContrastiveLoss(), size=4))
    again.load_state_dict(memory.state_dict())
    batch = torch.randn(3, 4), torch.tensor([0, 1, 1])
    assert again(*batch) == memory(*batch)


def test_a_counter_that_is_written_elsewhere_is_read_again():
    memory = bind(losses.CrossBatchMemory(losses.ContrastiveLoss(), size=4))
    memory(torch.randn(3, 4), torch.tensor([0, 0, 1]))
    memory.n_seen.copy_(torch.tensor(2))  # as a checkpoint does in the middle of an epoch
    assert memory.count == 2


def test_divergence_is_seen_on_the_cpu_at_once():
    looks = Divergence(torch.device("cpu"))
    assert looks.looks_sound(torch.tensor(1.0))
    assert not looks.looks_sound(torch.tensor(float("nan")))
