"""Training on an IterableDataset, whose items come in an order of their own."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import IterableDataset

from skmetric import DeepMetricLearner
from skmetric.deep import losses
from skmetric.deep._data._stream import StreamBatches

RNG = np.random.default_rng(0)
Y = RNG.integers(4, size=40)
X = (np.eye(4)[Y] + RNG.normal(size=(40, 4)) / 4).astype(np.float32)


class Rows(IterableDataset):
    def __init__(self, n=40, label=str, sample=torch.as_tensor):
        self.n, self.label, self.sample, self.served = n, label, sample, []

    def __iter__(self):
        for i in range(self.n):
            self.served.append(i)
            yield self.sample(X[i]), self.label(Y[i])


class Long(Rows):
    """It declares how many items an epoch has."""

    def __len__(self):
        return 30


def quick(**settings):
    defaults = {"module": "linear", "n_components": 2, "max_epochs": 2, "random_state": 0, "device": "cpu"}
    return DeepMetricLearner(**(defaults | settings))


def test_an_epoch_goes_on_where_the_last_one_ended():
    stream = Long()
    learner = quick(classes_per_batch=4, samples_per_class=2).fit(stream)
    looked_at = 8
    assert stream.served[looked_at:] == [*range(40), *range(20)]  # 2 epochs of 30
    assert [row["epoch"] for row in learner.history_] == [1, 2]
    assert learner.classes_.tolist() == ["0", "1", "2", "3"]
    assert learner.transform(X).shape == (40, 2)


def test_it_learns():
    trained, still = (quick(steps_per_epoch=20, learning_rate=rate).fit(Rows()) for rate in (1e-2, 1e-9))
    assert trained.score(X, Y) > still.score(X, Y)


def test_an_epoch_of_declared_steps():
    stream = Rows()
    quick(classes_per_batch=2, samples_per_class=3, steps_per_epoch=5, max_epochs=1).fit(stream)
    assert len(stream.served) == 6 + 30  # those looked at, and 5 batches of 6


def test_a_last_batch_of_one_item_joins_the_batch_before_it():
    assert [len(batch) for batch in StreamBatches(9, 4)] == [4, 5]
    assert [len(batch) for batch in StreamBatches(10, 4)] == [4, 4, 2]
    assert [len(batch) for batch in StreamBatches(1, 4)] == [1]
    assert [len(StreamBatches(n, 4)) for n in (1, 4, 5, 6, 9)] == [1, 1, 1, 2, 2]
    assert (
        quick(module="mlp", classes_per_batch=29, samples_per_class=1).fit(Long()).history_
    )  # with batch norms


def test_a_stream_of_rows_sets_their_width_in_place_of_that_of_an_earlier_fit():
    wide = np.hstack([X, X])
    learner = quick(steps_per_epoch=2).fit(wide, Y)
    assert learner.n_features_in_ == 8
    learner.fit(Rows())
    assert learner.n_features_in_ == 4
    assert learner.transform(X).shape == (40, 2)


def test_partial_fit_with_proxies_that_are_known():
    learner = quick(loss="proxy_anchor", steps_per_epoch=2)
    learner.partial_fit(Rows(label=int), classes=range(5)).partial_fit(Rows(label=int))
    assert learner.loss_.proxies.shape[0] == 5


def test_collated_streams():
    class First(nn.Linear):
        def forward(self, batch):
            return super().forward(batch["x"])

    learner = quick(module=First(4, 2), n_components=None, steps_per_epoch=2)
    learner.fit(Rows(sample=lambda row: {"x": row}))
    assert learner.transform([({"x": row}, 0) for row in X]).shape == (40, 2)


def test_streams_without_labels_give_two_views():
    class Bare(Rows):
        def __iter__(self):
            return iter(map(torch.as_tensor, X))

    noise = ["two_views", lambda batch: batch + torch.randn(batch.shape) / 10]
    assert quick(augment=noise, loss="sim_clr", steps_per_epoch=2).fit(Bare()).history_


@pytest.mark.parametrize(
    ("stream", "settings", "message"),
    [
        (Rows(), {}, "steps_per_epoch how many batches"),
        (Rows(0), {"steps_per_epoch": 1}, "gives no item"),
        (Rows(label=lambda y: None), {"steps_per_epoch": 1}, "item 0 of X has no label"),
        (Long(), {"validation_fraction": 0.2}, "no classes are held out"),
        (Long(), {"early_stopping": True}, "no classes are held out"),
        (Long(), {"loss": "proxy_anchor"}, "partial_fit with classes="),
        (Long(), {"num_workers": 1}, "use num_workers=0"),
        (Long(), {"head": "closed_form"}, "come once"),
        (Long(), {"checkpoint": "folder"}, "use checkpoint=None"),
        (Long(sample=lambda row: torch.full((4,), torch.nan)), {}, "item 0 of X has NaN"),
    ],
)
def test_what_a_stream_cannot_give_is_refused(stream, settings, message):
    with pytest.raises(ValueError, match=message):
        quick(**settings).fit(stream)


def test_labels_beside_a_stream_are_refused():
    with pytest.raises(ValueError, match="leave y out"):
        quick().fit(Long(), Y)
    with pytest.raises(ValueError, match="only fit and partial_fit"):
        quick(max_epochs=1).fit(Long()).transform(Long())


class Bare(IterableDataset):
    def __iter__(self):
        return iter(map(torch.as_tensor, X))


def test_samples_without_labels_have_numbers_that_do_not_come_again():
    how = {"augment": ["two_views", lambda batch: batch + 0.1], "classes_per_batch": 4, "max_epochs": 1}
    memory = losses.CrossBatchMemory(losses.SimCLRLoss(), size=16)
    learner = quick(loss=memory, steps_per_epoch=2, **how).fit(Bare())
    # two batches of 4 samples, two views each: the fifth sample is no other view of the first
    assert learner.loss_.labels.tolist() == [0, 1, 2, 3] * 2 + [4, 5, 6, 7] * 2


def test_classes_of_the_last_stream_keep_their_numbers():
    class Some(Rows):
        def __init__(self, *wanted):
            super().__init__()
            self.wanted = wanted

        def __iter__(self):
            return (item for item in super().__iter__() if item[1] in self.wanted)

    learner = quick(loss=losses.CrossBatchMemory(losses.ContrastiveLoss()), steps_per_epoch=1)
    learner.partial_fit(Some("3", "1")).partial_fit(Some("0", "2"))
    assert set(learner._trained[:2].tolist()) == {"1", "3"}
    n_stored = int(learner.loss_.n_stored)
    assert sorted(learner.loss_.labels[:n_stored].unique().tolist()) == [0, 1, 2, 3]
