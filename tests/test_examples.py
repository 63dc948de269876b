"""Each example runs in its small form, draws, and says what is so: what its text claims, a check holds to."""

import re
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
FILES = {path.stem: path for path in sorted(EXAMPLES.rglob("*.py"))}
QUICK = {"image_search", "main_job", "search_tutorial"}  # a few seconds; the others take more


@pytest.fixture
def in_the_gallery(monkeypatch, tmp_path):
    """Run an example as the documentation does: no arguments, another directory, no window."""
    monkeypatch.chdir(tmp_path)
    backend = plt.get_backend()
    plt.switch_backend("agg")

    def run(path):
        monkeypatch.setattr(sys, "argv", [str(path)])
        return runpy.run_path(str(path), run_name="__main__")

    yield run
    plt.close("all")
    plt.switch_backend(backend)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in FILES]
)
def test_example(name, in_the_gallery, tmp_path, capsys):
    if name == "main_job":
        with pytest.raises(SystemExit, match=r"^0$"):  # the second process agreed
            in_the_gallery(FILES[name])
        names = {}
    else:
        names = in_the_gallery(FILES[name])
        assert plt.get_fignums()
        assert not list(tmp_path.iterdir())
    printed = capsys.readouterr().out
    assert printed
    if check := globals().get(f"check_{name}"):
        check(SimpleNamespace(**names), printed)


def test_every_check_has_an_example():
    checks = {name.removeprefix("check_") for name in globals() if name.startswith("check_")}
    assert checks - {*FILES} == set()


def test_files_named_elsewhere_exist():
    root = EXAMPLES.parent
    pages = [
        *root.glob("*.md"),
        *root.glob("changes/*.md"),
        *root.glob("doc/*.rst"),
        *root.glob("doc/guide/*.rst"),
    ]
    pages += [*root.glob("benchmarks/*"), *root.glob("skmetric/**/*.py"), EXAMPLES / "README.rst"]
    named = {
        name: page.name
        for page in pages
        if page.is_file()
        for name in re.findall(r"examples/[\w/]+\.py", page.read_text("utf-8"))
    }
    assert {name: page for name, page in named.items() if not (root / name).exists()} == {}


# What the texts claim


def numbers(line):
    return [float(number) for number in re.findall(r"\d*\.\d+|\d+(?=%)", line)]


def check_search_tutorial(names, printed):
    closed, open_ = names.found["closed"], names.found["open"]
    assert closed["recall_at_1"] == open_["recall_at_1"] > 0.9  # thresholds do not order neighbours
    assert closed["unknown_accepted"] > 0.7  # the usual recipe
    assert names.promised < open_["unknown_accepted"] < 0.5 * closed["unknown_accepted"]
    assert open_["balanced_accuracy"] > closed["balanced_accuracy"] + 0.15
    strangers = names.predicted["open"][len(names.y_known) :]
    assert np.mean(strangers != "unknown") == pytest.approx(open_["unknown_accepted"])


def check_image_search(names, printed):
    pixels, features, learned = (numbers(line) for line in printed.splitlines() if "recall@1" in line)
    assert learned[0] > max(pixels[0], features[0]) + 0.2  # recall@1
    assert learned[1] > max(pixels[1], features[1]) + 0.2  # MAP@R


def check_faces_never_seen(names, printed):
    reports = names.reports
    assert reports["network"]["recall_at_1"] > reports["raw pixels, cosine"]["recall_at_1"] + 0.2
    assert f"Best by recall@1: {names.best}." in printed
    assert names.evaluation["unknown_accepted"] < 0.2
    assert re.search(r"after: .*newcomer", printed)


def check_pipeline(names, printed):
    means = {name: scores.mean() for name, scores in names.accuracy.items()}
    assert means["features, metric, k-NN"] > max(means["features, k-NN"], means["pixels, metric, k-NN"])
    without, with_memory = re.findall(r"(\d+) images went", printed)
    assert int(with_memory) < 0.6 * int(without)
    assert "the same answers" in printed


def check_grid_search(names, printed):
    disjoint, stratified = names.searches.values()
    assert stratified.best_score_ > disjoint.best_score_  # promises more
    scores = {
        name: names.retrieval_report(rows, names.y_new)["map_at_r"] for name, rows in names.choices.items()
    }
    assert scores["stratified folds"] < scores["no metric"] < scores["class-disjoint folds"] + 0.01


def check_omniglot_one_shot(names, printed):
    assert names.answers.shape == (100, 5)
    assert min(share.mean() for share in names.shares.values()) > 0.4  # chance is .2
    assert ("no clear winner" in printed) == (
        min(high for _, high in names.intervals.values()) >= max(low for low, _ in names.intervals.values())
    )


def check_siamese_network(names, printed):
    assert names.right.mean() > 0.85
    pixels, siamese = (numbers(line)[0] for line in printed.splitlines() if line.startswith("auc"))
    assert siamese > pixels
