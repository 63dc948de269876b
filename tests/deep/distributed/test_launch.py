"""Processes that `fit` starts itself, and those of a launcher."""

import os
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from skmetric.deep import Distributed
from skmetric.deep._distributed._handing_over import Folder
from skmetric.deep._distributed._joining import ToStart, find_group
from skmetric.deep._distributed._telling import Listening

from .test_group import X, Y, learned, learner

pytest.importorskip("lightning_fabric")
FORK = Distributed("ddp_fork", devices=2)
needs_cores = pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core runs one process")


class Dying:
    """A loss in one process of which a signal, or an error, ends training."""

    def __init__(self, how):
        self.how = how

    def __call__(self, embeddings, labels):
        if torch.distributed.get_rank() == 1:
            if self.how == "error":
                raise RuntimeError("the second process cannot go on")
            os.kill(os.getpid(), signal.SIGKILL)
        return embeddings.square().sum()


@needs_cores
def test_fit_starts_processes_and_ends_with_what_they_learned():
    environment = dict(os.environ)
    together = learner(distributed=FORK, warm_start=True).fit(X, Y)
    alone = learner(warm_start=True).fit(X, Y)
    np.testing.assert_allclose(learned(together)["0"], learned(alone)["0"], atol=1e-5)
    assert together.get_params(deep=False)["distributed"] is FORK
    assert dict(os.environ) == environment
    # both go on from there, with the moments of the optimizer
    np.testing.assert_allclose(learned(together.fit(X, Y))["0"], learned(alone.fit(X, Y))["0"], atol=1e-5)
    assert [row["epoch"] for row in together.history_] == [1, 2]


@needs_cores
def test_an_error_in_one_process_is_raised_as_it_was():
    with pytest.raises(RuntimeError, match=r"^the second process cannot go on$"):
        learner(Dying("error"), distributed=FORK).fit(X, Y)


@needs_cores
def test_a_killed_process_ends_the_fit_with_an_error():
    with pytest.raises(RuntimeError, match=r"process 1 of 2 died .*SIGKILL.*checkpoint="):
        learner(Dying("signal"), distributed=FORK).fit(X, Y)


@needs_cores
def test_errors_of_the_data_are_those_of_one_process():
    with pytest.raises(ValueError, match="y has one class only"):
        learner(distributed=FORK).fit(X, np.zeros(len(X)))


@needs_cores
def test_warnings_of_the_first_process_point_to_the_line_that_called_fit():
    with pytest.warns(UserWarning, match="1 classes with one sample are left out") as caught:
        learner(distributed=FORK).fit(X, [99, *Y[1:]])
    assert [warning.filename for warning in caught] == [__file__]


LAUNCHED = """
import sys
from pathlib import Path

from torch.distributed.launcher.api import LaunchConfig, elastic_launch

sys.path.insert(0, sys.argv[1])
from tests.deep.distributed.test_group import Distributed, X, Y, learned, learner, torch


def work(folder):
    fitted = learner(distributed=Distributed()).fit(X, Y)
    (Path(folder) / f"{torch.distributed.get_rank()}").write_bytes(learned(fitted)["0"].tobytes())


settings = {"rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0", "start_method": "fork"}
elastic_launch(LaunchConfig(1, 1, 2, run_id="tests", **settings), work)(sys.argv[2])
"""


@pytest.mark.slow
def test_the_launcher_of_torchrun_starts_the_processes(another_process, tmp_path):
    """What ``torchrun --standalone`` calls, with processes that need not import torch again."""
    root = Path(__file__).parents[3]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    another_process.run(LAUNCHED, root, tmp_path, env=environment)
    expected = learned(learner().fit(X, Y))["0"].ravel()
    for rank in "01":
        found = np.frombuffer((tmp_path / rank).read_bytes(), np.float32)
        np.testing.assert_allclose(found, expected, atol=1e-5)


# Refusals, before anything starts


def test_one_device_is_this_process():
    assert find_group(Distributed(devices=1), "cpu").size == 1
    assert find_group(Distributed(), "cpu").size == 1  # the CPU is one device


def test_a_new_interpreter_is_the_default_in_a_script(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr("__main__.__file__", "script.py", raising=False)  # workers of the tests have none
    assert find_group(Distributed(devices=3), "cpu") == ToStart("cpu", 3, "ddp_spawn")


@pytest.mark.parametrize(
    ("settings", "device", "message"),
    [
        (Distributed(devices=10**6), "cpu", r"asks for devices=1000000, and this machine has \d+ CPU cores"),
        (Distributed("ddp", devices=2), "cpu", "joins the group of a launcher, and there is none"),
        (Distributed(devices=2, num_nodes=2), "cpu", "num_nodes=2 without a launcher"),
        (Distributed(devices=2), "cpu:0", "device='cpu:0' names one device, and .* devices=2"),
        (Distributed(devices=0), "cpu", "The 'devices' parameter of Distributed must be an int in the range"),
        (Distributed("fsdp"), "cpu", "The 'strategy' parameter of Distributed must be a str among"),
    ],
)
def test_what_cannot_be_started_is_refused(settings, device, message, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    with pytest.raises(ValueError, match=message):
        find_group(settings, device)


def test_a_system_that_cannot_fork_is_named(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.delattr(os, "fork", raising=False)
    with pytest.raises(ValueError, match="forks, which this system cannot: use 'ddp_spawn'"):
        find_group(FORK, "cpu")


def test_more_devices_than_the_launcher_started_are_refused(monkeypatch):
    for name, value in {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match="devices=4, but the launcher started has 2 processes"):
        find_group(Distributed(devices=4), "cpu")


def test_fabric_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    monkeypatch.setitem(sys.modules, "lightning_fabric.fabric", None)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    with pytest.raises(ImportError, match=r"pip install 'skmetric\[distributed\]'"):
        learner(distributed=FORK).fit(X, Y)


# What is handed over


class Taker:
    """Keeps what it is given."""

    def fit(self, X, y):
        self.X_, self.y_ = type(X), X.shape
        return self

    def get_params(self, deep=True):
        return {}


def test_a_memory_map_and_a_large_array_reach_a_process_by_their_files(tmp_path):
    array = np.arange(20_000, dtype=np.float64).reshape(-1, 4)
    np.save(tmp_path / "x.npy", array)
    for given in (np.load(tmp_path / "x.npy", mmap_mode="r"), array):
        folder = Folder(tmp_path)
        folder.give(Taker(), "fit", (given, [1, 2]))
        assert (tmp_path / "task.pickle").stat().st_size < 2000
        folder.work(0)
        fitted, warnings = folder.result()
        assert fitted == {"X_": np.memmap, "y_": (5000, 4)}
        assert warnings == []


def test_a_part_of_a_memory_map_is_the_part(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(20_000.0).reshape(-1, 4))
    folder = Folder(tmp_path)
    folder.give(Taker(), "fit", (np.load(tmp_path / "x.npy", mmap_mode="r")[1:4], None))
    folder.work(0)
    assert folder.result()[0]["y_"] == (3, 4)


# Callbacks of the caller


class Recorder:
    """Writes down what it is told, in the process that has it."""

    def __init__(self, answer=lambda row: None):
        self.told, self.answer = [], answer

    def setup(self, estimator, context):
        self.told.append(("setup", os.getpid(), None))

    def teardown(self, estimator, context):
        self.told.append(("teardown", os.getpid(), None))

    def on_fit_task_begin(self, estimator, context):
        self.told.append(("begin " + context.task_name, os.getpid(), context.task_id))

    def on_fit_task_end(self, estimator, context, *, X, fitted_estimator):
        assert X is globals()["X"]  # not a copy
        if context.task_name == "epoch":
            assert fitted_estimator.transform(X[:2]).shape == (2, 4)
            row = fitted_estimator.history_[-1]
            self.told.append(("end epoch", os.getpid(), row["epoch"]))
            return self.answer(row)


class Unpicklable(Recorder):
    """Has what no other process can be given."""

    def __init__(self, *args):
        super().__init__(*args)
        self.lock = threading.Lock()


@needs_cores
def test_callbacks_are_those_of_the_process_that_called_fit():
    callback = Unpicklable()
    learner(max_epochs=2, distributed=FORK).set_callbacks(callback).fit(X, Y)
    names = ["setup", "begin fit", *["begin epoch", "end epoch"] * 2, "teardown"]
    assert [name for name, *_ in callback.told] == names
    assert {process for _, process, _ in callback.told} == {os.getpid()}
    assert [epoch for name, _, epoch in callback.told if name == "end epoch"] == [1, 2]


@needs_cores
def test_a_callback_of_the_caller_stops_the_processes():
    callback = Recorder(lambda row: row["epoch"] == 2)
    assert len(learner(max_epochs=5, distributed=FORK).set_callbacks(callback).fit(X, Y).history_) == 2


@needs_cores
def test_an_error_of_a_callback_ends_the_fit_with_it():
    callback = Recorder(lambda row: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        learner(distributed=FORK).set_callbacks(callback).fit(X, Y)
    assert callback.told[-1][0] == "teardown"


@needs_cores
def test_processes_that_end_before_they_tell_anything():
    callback = Recorder()
    with pytest.raises(ValueError, match="y has one class only"):
        learner(distributed=FORK).set_callbacks(callback).fit(X, np.zeros(len(X)))
    assert callback.told[-1][0] == "teardown"
    Listening(None, None, None).close()  # nobody ever came
