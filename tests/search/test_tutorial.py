"""The tutorial, to its last table, on digits."""

import importlib.util
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples/search/search_tutorial.py"


@pytest.fixture(scope="module")
def tutorial():
    spec = importlib.util.spec_from_file_location(EXAMPLE.stem, EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_table_and_what_each_protocol_lets_in(tutorial, tmp_path, capsys):
    search, found = tutorial.main(["--out", str(tmp_path)])
    printed = capsys.readouterr().out
    for words in ("query  rank", "closed protocol, 179 known queries", "strict", "a stranger -> unknown"):
        assert words in printed
    assert len(search.ids_) == tutorial.N_INDEX
    assert len(search.classes_) == tutorial.N_TRAINED
    closed, open_ = found["closed"], found["open"]
    assert closed["recall_at_1"] == open_["recall_at_1"] > 0.9  # thresholds do not order neighbours
    assert closed["unknown_accepted"] > 0.7  # the usual recipe
    assert open_["unknown_accepted"] < 0.5 * closed["unknown_accepted"]
    assert open_["balanced_accuracy"] > closed["balanced_accuracy"] + 0.15
    for evaluation in (closed, open_):
        assert evaluation.labels[-1] == "unknown"
        assert evaluation.confusion.shape == (7, 7)
        assert evaluation.confusion[:-1].sum() == evaluation.n_known
        assert evaluation.confusion[-1].sum() == evaluation.n_unknown
    assert sorted(path.name for path in tmp_path.iterdir()) == ["confusion_closed.png", "confusion_open.png"]


def test_cifar10_is_read_as_the_tutorial_wants_it(tutorial, shared_data):
    X, y, X_test, y_test = tutorial.read_cifar10(shared_data)
    assert (X.shape, X_test.shape) == ((20_000, 32, 32, 3), (10_000, 32, 32, 3))
    parts, names = tutorial.split(X, y, X_test, y_test, per_class=10)
    assert [len(part[1]) for part in parts[:4]] == [60, 200, 1000, 6000]
    assert (len(parts.strangers), len(names)) == (4000, 10)
