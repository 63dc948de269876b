"""Each example runs in its small form, draws, and says what is so: what its text claims, a check holds to."""

import importlib.util
import re
import runpy
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.stats import ttest_rel

EXAMPLES = Path(__file__).parents[1] / "examples"
FILES = {path.stem: path for path in sorted(EXAMPLES.rglob("*.py"))}
QUICK = {
    "image_search",
    "kernel_metric",
    "main_job",
    "search_tutorial",
}  # a few seconds; the others take more


@pytest.fixture
def in_the_gallery(monkeypatch, tmp_path):
    """Run an example as the documentation does: no arguments, another directory, no window."""
    monkeypatch.chdir(tmp_path)
    backend = plt.get_backend()
    plt.switch_backend("agg")

    def run(path, *arguments):
        monkeypatch.setattr(sys, "argv", [str(path), *arguments])
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # the main job sets its own
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
            in_the_gallery(FILES[name], "--quick")
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
    assert closed["recall_at_1"] == open_["recall_at_1"]  # thresholds do not order neighbours
    assert names.recalls["network"] > names.recalls["cosine of pixels"]
    assert closed["unknown_accepted"] > 0.4  # the usual recipe
    assert open_["unknown_accepted"] < 0.5 * closed["unknown_accepted"]
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
    assert means["features, k-NN"] < means["pixels, k-NN"] < means["pixels, metric, k-NN"]
    assert means["features, metric, k-NN"] > means["pixels, k-NN"] + 0.2
    without, with_memory = re.findall(r"(\d+) images went", printed)
    assert int(with_memory) < 0.6 * int(without)
    assert "the same answers" in printed


def check_grid_search(names, printed):
    disjoint, stratified = names.searches.values()
    assert stratified.best_params_["shrinkage"] < disjoint.best_params_["shrinkage"]
    scores = {
        name: names.retrieval_report(rows, names.y_new)["map_at_r"] for name, rows in names.choices.items()
    }
    assert scores["stratified folds"] < scores["no metric"] < scores["class-disjoint folds"]


def check_omniglot_one_shot(names, printed):
    assert names.answers.shape == (100, 20)
    assert names.shares["network"].mean() > names.shares["raw pixels"].mean() + 0.2
    paired = ttest_rel(names.shares["network"], names.shares["raw pixels"])
    assert ("No clear winner" in printed) == (paired.pvalue > 0.05)


def check_siamese_network(names, printed):
    assert names.right.mean() > 0.85
    pixels, siamese = (numbers(line)[0] for line in printed.splitlines() if line.startswith("auc"))
    assert siamese > pixels


def check_text_intents(names, printed):
    assert names.gain[:, 1].min() > 0  # MAP@R in every fold
    folds = np.ptp([row[1] for row in names.scores["learned"]])
    assert folds > names.gain[:, 1].mean()  # folds differ more than models
    topics, learned = (np.mean(names.rates[name, "nearest"], axis=0) for name in ("topics (SVD)", "learned"))
    gap = topics - learned  # identified, strangers accepted, AUROC, new
    assert (
        abs(gap[0] - gap[1]) < 0.05
    )  # nothing gained where strangers come: thresholds differ, the sum does not
    assert abs(gap[2:]).max() < 0.05


def check_deduplication(names, printed):
    for cut in names.CUTPOINTS:
        pixels, learned = np.array(names.rows["pixels", cut]), np.array(names.rows["learned", cut])
        assert (learned[:, :2] > pixels[:, :2] + 0.05).all()  # precision and recall of every draw
    assert (
        min(np.mean(shares) for shares in names.equal.values()) * names.n_pairs > 1000
    )  # bury the right ones


def check_label_noise(names, printed):
    found = {key: np.mean([draw[: draw.sum()].mean() for draw in draws]) for key, draws in names.hits.items()}
    for name in names.sets:
        learned, raw, classifier = (
            found[name, way] for way in ("neighbours, learned", "neighbours, raw", "classifier")
        )
        assert learned > classifier + 0.05
        assert (learned > raw + 0.05) == (name == "uneven light")
    assert min(found.values()) > 10 * names.share  # chance


def check_anomaly_and_clusters(names, printed):
    for (name, score), ways in names.table.items():
        raw, whitened, learned = (np.mean(values) for values in ways.values())
        if name == "spectra":
            assert learned > max(raw, whitened), score
    nearest = names.table["digits", "AUROC, nearest item"]
    assert abs(np.mean(nearest["learned"]) - np.mean(nearest["raw, cosine"])) < 0.02


def check_recommendation(names, printed):
    recall = {key: np.mean(rows, axis=0)[0] for key, rows in names.table.items()}
    sold, new = (
        {way: value for (kind, way), value in recall.items() if kind == asked}
        for asked in ("sold before", "new")
    )
    assert max(sold, key=sold.get) == "common baskets"
    assert max(new, key=new.get) == "description, learned"
    assert new["common baskets"] < new["description, raw"] < new["popularity"]
    assert new["description, learned"] > 0.9 * sold["description, learned"]
    assert names.found["in_stock"].all()
    assert abs(names.found["price"] / names.price - 1).max() <= 0.5


def check_kernel_metric(names, printed):
    for learner in ("MetricLearner", "LFDA"):
        assert names.scores["kernel", learner] > 2 * names.scores["features", learner]
    assert names.scores["kernel", "LFDA"] > 0.8


def check_learner_as_features(names, printed):
    def mean(task, model, features):
        return np.mean(names.results[task][model, features])

    for task in ("digits, 5 labels", "digits, 20 labels", "new digits, 5 labels"):
        for model in ("1-NN", "SVC, RBF", "logistic"):
            others = max(mean(task, model, features) for features in ("scaled", "PCA", "LDA"))
            assert mean(task, model, "learned") > others, (task, model)
        assert mean(task, "boosting", "PCA") > mean(task, "boosting", "learned") - 0.01
    assert mean("wine, 5 labels", "SVC, RBF", "scaled") > mean("wine, 5 labels", "SVC, RBF", "learned")


def check_main_job(names, printed):
    """`--quick` trains for one epoch: what it can show is that all parts are there. CI runs the whole job."""
    for row in ("cosine of pixels", "MetricLearner", "DeepMetricLearner"):
        assert re.search(rf"^{row} +0\.\d+ \[0\.\d+, [01]\.\d+\]", printed, re.MULTILINE)
    assert re.search(r"\d+% of \d+ images of strangers are refused", printed)
    assert "A second process loaded it and gave the same answers" in printed
    written = {path.name for path in Path("skmetric-demo").iterdir()}
    assert written >= {"neighbors.png", "map.html", "search", "model.joblib"}


# The main job on folders


@pytest.fixture
def folder(tmp_path):
    """Write images of one colour a class into folders; a class with the suffix ! gets a broken one too."""
    pil = pytest.importorskip("PIL.Image")

    def write(n_each, *classes):
        for i, name in enumerate(classes):
            place = tmp_path / "in" / name.rstrip("!")
            place.mkdir(parents=True, exist_ok=True)
            for j in range(n_each):
                pil.new("RGB", (8, 8), (40 * i, 10 * j, 200 - 30 * i)).save(place / f"{j}.png")
            if name.endswith("!"):
                (place / "broken.png").write_bytes(b"no image")
        (tmp_path / "in").mkdir(exist_ok=True)
        return str(tmp_path / "in")

    return write


def run_on(in_the_gallery, capsys, path, *more):
    """The exit status of the main job, what it printed, and its error."""
    with warnings.catch_warnings(action="always"), pytest.raises(SystemExit) as ended:  # it prints them
        in_the_gallery(FILES["main_job"], "--images", path, *more)
    return ended.value.code, *capsys.readouterr()


@pytest.mark.parametrize(
    ("n_each", "classes", "reason"),
    [
        (3, [], "has no folders: one for each class is needed"),
        (3, ["."], "has no folders: one for each class is needed"),
        (3, ["only"], "at least 4 classes of two images or more are needed; 1 of 1"),
        (1, ["a", "b", "c", "d", "e"], "at least 4 classes of two images or more are needed; 0 of 5"),
        (0, ["a", "b"], "no images in the class folders"),
        (0, ["a!", "b!", "c!", "d!"], "none of the images of"),
        (2, ["s/a", "s/b", "t/a", "t/b"], "at least 4 classes of two images or more are needed; 2 of 2"),
    ],
)
def test_main_job_refuses_a_folder_in_a_line(in_the_gallery, folder, capsys, n_each, classes, reason):
    """Flat, empty, one class, one image a class, all broken: a sentence, exit status 2 (vision #864)."""
    status, printed, error = run_on(in_the_gallery, capsys, folder(n_each, *classes))
    assert status == 2
    assert error.startswith("main_job.py: ")
    assert reason in error
    assert error.count("\n") == 1
    assert ("--label-from 2" in printed) == (classes[:1] == ["s/a"])  # the remedy


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (["--network", "mlp", "--options", '{"size": 3}'], "size"),
        (["--network", "conv", "--weights", "/nowhere.safetensors"], "conv|nowhere"),
    ],
)
def test_main_job_refuses_a_network_in_a_line(in_the_gallery, folder, capsys, more, reason):
    path = folder(2, "a", "b", "c", "d")
    status, _, error = run_on(in_the_gallery, capsys, path, *more)
    assert status == 2
    assert re.match(rf"main_job.py: .*({reason})", error)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--options", "{"], "--options needs an object of JSON"),
        (["--weights", "w.safetensors"], "name it with --network"),  # it would be ignored
        (["--label-from", "2"], "for the folders of --images"),
        (["--digits", "--images", "photos"], "goes with neither"),
        (["--out", __file__], "is a file; name a folder"),
    ],
)
def test_main_job_refuses_options_in_a_line(in_the_gallery, capsys, options, reason):
    with pytest.raises(SystemExit, match=r"^2$"):
        in_the_gallery(FILES["main_job"], *options)
    assert reason in capsys.readouterr().err.splitlines()[-1]


def test_main_job_names_its_own_options(in_the_gallery, folder, capsys):
    path = folder(2, "a", "b", "c", "d")
    _, _, error = run_on(in_the_gallery, capsys, path, "--label-from", "7")
    assert "--label-from 7" in error
    assert "label_from" not in error


def test_main_job_without_its_packages_names_the_command(in_the_gallery, capsys, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name in ("PIL", "plotly") else find(name, *rest),
    )
    with pytest.raises(SystemExit, match=r"^2$"):
        in_the_gallery(FILES["main_job"], "--digits")
    error = capsys.readouterr().err
    assert (
        error
        == f"main_job.py: the pictures need pillow, plotly: {sys.executable} -m pip install pillow plotly\n"
    )


@pytest.mark.slow
def test_main_job_leaves_broken_images_out(in_the_gallery, folder, capsys):
    path = folder(2, "s/a!", "s/b", "t/a", "t/b")
    status, printed, _ = run_on(in_the_gallery, capsys, path, "--label-from", "2")
    assert status == 0
    assert re.search(r"Left out: .*broken.png.*not an image", printed)
    assert "Note: no threshold can be chosen" in printed  # one image a class is in the gallery
    assert "gave the same answers" in printed
