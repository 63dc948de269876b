"""What the benchmarks of Omniglot's one-shot task and of the literature's sets count and read."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.utils import Bunch

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.filterwarnings("ignore")  # of peers
@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("*.py")), ids=lambda path: path.stem)
def test_every_benchmark_finds_what_it_imports(path, monkeypatch):
    """Some use functions of others, whose names may change."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    try:
        runpy.run_path(str(path))
    except ModuleNotFoundError as error:
        if (BENCHMARKS / f"{error.name}.py").exists() or error.name.startswith("skmetric"):
            raise
        pytest.skip(f"the peer {error.name} is not installed")


@pytest.fixture(scope="module")
def omniglot():
    """Names of the benchmark, which does nothing when it is not run as a script."""
    return runpy.run_path(str(Path(__file__).parents[1] / "benchmarks/omniglot_one_shot.py"))


def test_accuracy_of_runs_by_hand(omniglot):
    units = np.eye(3).reshape(1, 3, 1, 3)
    order = [2, 0, 1]
    for answers, share in [(order, 1.0), ([2, 1, 0], 1 / 3)]:
        runs = omniglot["Runs"](units, units[:, order], np.array([answers]))
        assert omniglot["accuracy"](lambda images: images.reshape(-1, 3), runs)[0] == pytest.approx(share)


def test_a_character_turned_is_another(omniglot):
    images = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
    turned, y = omniglot["with_rotations"](images, np.array([0, 5]))
    assert y.tolist() == [0, 20, 1, 21, 2, 22, 3, 23]
    assert turned[2].tolist() == [[1, 3], [0, 2]]  # [[0, 1], [2, 3]] a quarter turn against the clock


def test_official_runs_are_read_as_their_makers_say(omniglot, shared_data):
    runs = omniglot["official_runs"](shared_data)
    assert runs.examples.shape == runs.queries.shape == (20, 20, 105, 105)
    assert (np.sort(runs.answers, axis=1) == np.arange(20)).all()
    # cosine of raw pixels: .218 at 105x105, says who published the set
    assert omniglot["accuracy"](omniglot["pixels"], runs)[0] == pytest.approx(0.218, abs=1e-3)


def test_a_character_is_cut_out_around_its_ink(omniglot):
    images = np.zeros((1, 40, 40), np.uint8)
    images[0, 2:12, 30:36] = 255
    ink = omniglot["framed"](images)[0] / 255.0
    center = [ink.sum(1) @ np.arange(28), ink.sum(0) @ np.arange(28)] / ink.sum()
    # the hull is 10 high and 6 wide: a side of 10 * 1.16 becomes 28 pixels, with the ink in its middle
    assert ink.shape == (28, 28)
    assert ink.sum() == pytest.approx(60 * (28 / 11.6) ** 2, rel=0.01)
    np.testing.assert_allclose(center, 13.5, atol=0.1)


@pytest.fixture(scope="module")
def literature():
    return runpy.run_path(str(Path(__file__).parents[1] / "benchmarks/literature.py"))


def test_accuracy_of_folds_by_hand(literature):
    """The threshold of one fold is applied to the other."""
    distances = np.array([0.1, 0.2, 0.5, 0.3, 0.4, 0.15])
    y_pairs, fold = np.array([1, 1, -1, 1, 1, -1]), np.array([0, 0, 0, 1, 1, 1])
    # fold 0: threshold .4 of fold 1 (2 of 3 right there) -> 3 of 3; fold 1: threshold .2 -> none of 3
    mean, error = literature["accuracy_of_folds"](distances, y_pairs, fold)
    assert (mean, error) == (0.5, 0.5)


def test_images_of_the_own_camera_are_left_out(literature):
    found = Bunch(
        target=np.array([0, 0, 0, 1, 1]),
        groups=np.array([1, 1, 2, 1, 2]),
        split=np.array(["query", "gallery", "gallery", "gallery", "query"]),
    )
    embeddings = np.array([[0.0], [0.1], [2.0], [1.0], [1.0]])
    # the first query: row 1 is left out, and row 3, which is wrong, is nearer than row 2; the second is right
    assert literature["scores_of"](embeddings, found)["recall_at_1"] == 0.5
    found.groups[1] = 3  # the first query finds row 1, then row 3, which is wrong: 1 of 2
    assert literature["scores_of"](embeddings, found)["r_precision"] == 0.75


def test_published_figures_stand_in_the_column_of_their_score(literature, capsys):
    literature["row"]("ours", dict.fromkeys(literature["SCORES"], 0.5))
    for title, percent in literature["PUBLISHED"].values():
        literature["row"](title, {"recall_at_1": percent / 100})
        assert 50 < percent < 100
    ours, *published = capsys.readouterr().out.splitlines()
    end = ours.index("50.00") + len("50.00")  # of the first column
    assert {len(line) for line in published} == {end}


class TinyNetwork(torch.nn.Sequential):
    def __init__(self):
        super().__init__(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU())
        self.append(torch.nn.AdaptiveAvgPool2d(1)).append(torch.nn.Flatten()).append(torch.nn.Linear(4, 128))


def test_the_protocol_runs_on_a_small_set(literature, tmp_path, capsys):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    files = [str(tmp_path / f"{i}.png") for i in range(64)]
    for i, file in enumerate(files):
        pixels = rng.integers(0, 60, (12, 12, 3)) + 12 * (i // 4)
        image.fromarray(pixels.astype(np.uint8)).save(file)
    y = np.arange(64) // 4
    found = Bunch(data=np.array(files), target=y, split=np.where(y < 12, "train", "test"))
    options = literature["parser"]().parse_args(["--data", ".", "--epochs", "1", "--steps", "1"])
    options.model, options.weights = TinyNetwork(), None
    literature["run_set"]("cub200", found, options)
    printed = capsys.readouterr().out
    names = ["frozen features, cosine", "MetricLearner() on them", "fine-tuned, separated", "concatenated"]
    assert all(name in printed for name in names)
    assert printed.count("MAP@R of held-out classes") == 4
