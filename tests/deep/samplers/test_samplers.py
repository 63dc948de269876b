"""Samplers: everything is served before anything is served again; the same seed gives the same batches."""

import pickle
from collections import Counter

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from skmetric.deep.samplers import BalancedBatchSampler, HierarchicalBatchSampler


def uneven_labels():
    return np.repeat(["a", "b", "c", "d", "e"], [7, 4, 9, 5, 11])


def test_batches_have_the_shape_asked_for():
    labels = uneven_labels()
    sampler = BalancedBatchSampler(labels, classes_per_batch=3, samples_per_class=4)
    assert len(sampler) == 3  # 36 samples in batches of 12
    for batch in sampler:
        assert sorted(Counter(labels[batch]).values()) == [4, 4, 4]
        assert len(set(batch)) == 12  # no sample twice, not even where a class starts anew


def spread(counts):
    return max(counts.values()) - min(counts.values())


def test_every_class_and_every_sample_before_any_repeats():
    labels = uneven_labels()
    sampler = BalancedBatchSampler(labels, classes_per_batch=2, samples_per_class=3, steps_per_epoch=40)
    classes, samples = Counter(dict.fromkeys("abcde", 0)), Counter(dict.fromkeys(range(36), 0))
    for batch in sampler:
        classes.update(set(labels[batch].tolist()))
        samples.update(batch)
        assert spread(classes) <= 1
        for name in "abcde":
            members = np.flatnonzero(labels == name)
            # within a hand that crosses the end of a deck one sample may lead by two
            assert spread({i: samples[i] for i in members}) <= 2


def test_samples_of_a_class_are_dealt_evenly():
    sampler = BalancedBatchSampler(
        [0] * 6 + [1] * 6, classes_per_batch=2, samples_per_class=3, steps_per_epoch=2
    )
    for _ in range(5):
        assert Counter(i for batch in sampler for i in batch) == Counter(range(12))


def test_an_epoch_serves_first_what_the_last_one_left():
    sampler = BalancedBatchSampler(range(10), classes_per_batch=2, samples_per_class=1, steps_per_epoch=1)
    assert sorted(i for _ in range(5) for batch in sampler for i in batch) == list(range(10))


def test_seed_and_epoch_fix_the_batches():
    def make(seed=0):
        return BalancedBatchSampler(uneven_labels(), 2, 3, seed=seed)

    sampler = make()
    epochs = [list(sampler) for _ in range(4)]
    assert epochs[0] != epochs[1]
    assert list(make(seed=1)) != epochs[0]
    again = make()
    again.set_epoch(2)
    assert list(again) == epochs[2]
    assert list(again) == epochs[3]
    again.set_epoch(1)
    assert list(again) == epochs[1]
    assert list(pickle.loads(pickle.dumps(again))) == epochs[2]


def test_a_pass_broken_off_does_not_shift_the_next():
    sampler, broken = (BalancedBatchSampler(uneven_labels(), 2, 3) for _ in range(2))
    next(iter(broken))
    list(sampler)
    assert list(broken) == list(sampler)


def test_global_seed_is_left_alone():
    # NPY002 bans numpy's global generator, which is just what must be left as found
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    list(BalancedBatchSampler(uneven_labels(), 2, 3))
    assert (np.random.get_state()[1] == before[0]).all()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])


def test_small_classes_repeat_and_are_reported_once():
    labels = [0, 0, 0, 0, 1, 2, 2]
    with pytest.warns(UserWarning, match=r"2 of 3 classes have fewer than samples_per_class=3") as caught:
        sampler = BalancedBatchSampler(labels, classes_per_batch=3, samples_per_class=3)
    assert len(caught) == 1
    for batch in sampler:
        assert Counter(np.asarray(labels)[batch].tolist()) == {0: 3, 1: 3, 2: 3}
        assert {5, 6} <= set(batch)


def test_data_loader_takes_it():
    labels = torch.arange(24) % 6
    sampler = BalancedBatchSampler(labels, classes_per_batch=3, samples_per_class=2)
    for values, classes in DataLoader(TensorDataset(torch.arange(24), labels), batch_sampler=sampler):
        assert torch.equal(values % 6, classes)
        assert classes.unique(return_counts=True)[1].tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (([0, 0, 1, 1], 3, 2), "names? 2 classes"),
        (([0, 0, 1, 1], 0, 2), "classes_per_batch"),
        (([0, 0, 1, 1], 2, 1.5), "samples_per_class"),
        (([0, 0, 1, 1], 2, 2, 0), "steps_per_epoch"),
        (([[0, 0], [1, 1]], 2, 2), "shape"),
        (([], 2, 2), "labels is empty"),
    ],
)
def test_bad_input_is_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        BalancedBatchSampler(*arguments)


def test_hierarchical_batches_keep_to_a_few_groups():
    groups = np.repeat([0, 1, 2, 3], [24, 24, 24, 8])
    labels = np.arange(80) // 4  # 6 classes of 4 in each group, 2 in the last
    sampler = HierarchicalBatchSampler(
        labels, groups, groups_per_batch=2, classes_per_group=3, samples_per_class=2
    )
    served = Counter()
    for batch in sampler:
        chosen = Counter(groups[batch].tolist())
        assert len(chosen) == 2
        assert all(count == (4 if group == 3 else 6) for group, count in chosen.items())
        assert set(Counter(labels[batch].tolist()).values()) == {2}
        served.update(chosen.keys())
    assert max(served.values()) - min(served.values()) <= 1
    assert len(sampler) == 7  # 80 / 12


@pytest.mark.parametrize(
    ("labels", "groups", "match"),
    [
        ([0, 0, 1, 1], [0, 1, 1, 1], "class '0' lies in more than one group"),
        ([0, 0, 1, 1], [0, 0, 1], "one length"),
        ([0, 0, 1, 1], [0, 0, 0, 0], "groups_per_batch=2"),
    ],
)
def test_hierarchical_refuses_bad_input(labels, groups, match):
    with pytest.raises(ValueError, match=match):
        HierarchicalBatchSampler(labels, groups, samples_per_class=2)


def test_groups_are_named():
    with pytest.raises(ValueError, match="groups contains NaN in row 0"):
        HierarchicalBatchSampler([0, 1], [np.nan, 1.0])
