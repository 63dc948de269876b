"""Two processes that gather give the value and the gradient of one that has the whole batch."""

from pathlib import Path

import pytest
import torch

from skmetric.deep import losses

from .gathering import CASES, SIZES, batch, bind, value_and_gradients


@pytest.fixture(scope="module")
def gathered(another_process, tmp_path_factory):
    """What each process found."""
    folder = tmp_path_factory.mktemp("gathered")
    script, world_size = Path(__file__).with_name("gathering.py"), len(SIZES)
    code = script.read_text("utf-8")
    processes = [another_process.start(code, rank, world_size, folder) for rank in range(world_size)]
    try:
        errors = [process.communicate(timeout=120)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * world_size, errors
    return [torch.load(folder / f"{rank}.pt") for rank in range(world_size)]


@pytest.mark.parametrize("name", CASES)
def test_value_and_mean_gradient_are_those_of_the_whole_batch(name, gathered):
    expected_value, *expected = value_and_gradients(bind(CASES[name]()), *batch())
    assert expected_value > 0
    for value, *_ in (found[name] for found in gathered):
        torch.testing.assert_close(value, expected_value)
    # DistributedDataParallel takes the mean over processes
    for of_ranks, wanted in zip(
        zip(*(found[name][1:] for found in gathered), strict=True), expected, strict=True
    ):
        torch.testing.assert_close(torch.stack(of_ranks).mean(0), wanted)


def test_parts_alone_would_give_another_value(gathered):
    samples, labels = (part.split(SIZES)[0] for part in batch())
    alone, *_ = value_and_gradients(losses.NTXentLoss(), samples, labels)
    assert abs(alone - gathered[0]["NT-Xent"][0]) > 0.01


def test_different_widths_are_refused_everywhere(gathered):
    for found in gathered:
        assert "one width on all processes, got [4, 5]" in found["refusal"]


def test_without_other_processes_it_is_the_loss_itself():
    found = value_and_gradients(bind(losses.GatheredBatches(losses.TripletMarginLoss())), *batch())
    for ours, theirs in zip(found, value_and_gradients(losses.TripletMarginLoss(), *batch()), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
