"""Open-set benchmark: who is let in by the usual closed recipe, by ours, and by the best single threshold.

    python benchmarks/open_set.py [--data DIR] [--splits 10] [--quick] [--sets NAME ...] [--keep FILE]

The closed recipe is that of TensorFlow Similarity from version 0.16 on: the best F1 at all distances. Classes
are cut at random in three: a metric is learned on the first, the second is the gallery (half of its
rows) and known queries (the other half), the third are strangers. Thresholds see the gallery alone. Balanced
rate: mean of known queries identified and strangers refused. "Distance": one threshold on the distance,
``calibrate(runner_up=0)``. "Runner-up": the default, which subtracts a part of the runner-up class; "per
class": with thresholds of classes too. "Oracle": the best single threshold on the distance, chosen on the
very queries and strangers. Gains are over "distance", with the standard error over splits, which share
classes: the true one is larger. "In": splits in which the interval of a false-accept target of the default
holds the rate of the strangers. The rule of the default was chosen on splits of the seeds 100 to 105.

With ``--keep``, each split that is measured is a line of FILE, and those in it are not measured again: the
whole may be run in parts. Delete it when the code has changed.
"""

import argparse
import importlib.util
import json
import warnings
from functools import cache
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA

from skmetric import MetricLearner, SimilaritySearch
from skmetric.model_selection import query_gallery_split

DATA = Path(__file__).parents[1] / "../shared/data"
SETS = [
    "orl_faces",
    "lfw_faces",
    "omniglot",
    "banking77",
    "grocery_features",
    "caltech101_features",
]
QUICK_SETS = ["orl_faces", "lfw_faces"]
FAR = [0.01, 0.05, 0.1]
N_COMPONENTS = 128  # of a PCA that comes first: on pixels it denoises, on features it saves time


def read(folder, name):
    """Reduced rows and labels; a quarter of Omniglot's characters, Caltech-101 without doubles."""
    spec = importlib.util.spec_from_file_location("load", folder / "load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    data = module.load(name, size=28 if name == "omniglot" else None)
    X, y = data.data.reshape(len(data.data), -1).astype(np.float32), data.target
    if name == "omniglot":
        X, y = X[y % 4 == 0], y[y % 4 == 0]
    if name == "caltech101_features":  # "Faces" again, cropped: strangers that are known
        kept = y != data.target_names.index("Faces_easy")
        X, y = X[kept], y[kept]
    if X.shape[1] > 2 * N_COMPONENTS:
        X = PCA(N_COMPONENTS, svd_solver="randomized", random_state=0).fit_transform(X)
    return X, y


def measure(X, y, seed):
    """One split: rows of the table of (identified, strangers accepted), targets met, and the weight."""
    classes = np.array_split(np.random.default_rng(seed).permutation(np.unique(y)), 3)
    train, known, strange = (np.isin(y, part) for part in classes)
    learner = MetricLearner(random_state=0).fit(X[train], y[train])
    queries, gallery, y_queries, y_gallery = query_gallery_split(X[known], y[known], random_state=seed)
    search = SimilaritySearch(learner).fit(gallery, y_gallery)

    def rates(name="optimal"):
        evaluation = search.set_cutpoint(name).evaluate(queries, y_queries, X[strange], n_resamples=10)
        return evaluation, [evaluation["identified"], evaluation["unknown_accepted"]]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it accepts nearly everyone is what the table shows
        search.calibrate(protocol="closed")
    closed = rates()[1]
    search.calibrate(runner_up=0)
    evaluation, alone = rates()
    curve = evaluation.oscr_curve
    best = np.argmax(curve["identified"] - curve["unknown_accepted"])
    oracle = [curve["identified"][best], curve["unknown_accepted"][best]]
    targets = {f"{far:g}": ("false_accept_rate", far) for far in FAR}
    calibration = search.calibrate(targets=targets, extra_metrics=["recall", "false_accept_rate"])
    ours = rates()[1]
    met = []
    for name in targets:
        low, high = calibration.intervals[name]["false_accept_rate"]
        met.append((rates(name)[1][1], low, high))
    search.calibrate(per_class=True)
    return np.array([closed, alone, ours, rates()[1], oracle]), np.array(met), calibration.runner_up_weight


def measured(folder, name, n_splits, path):
    """`measure` of each split of a set; those that stand in the file at `path` are read from it."""
    lines = path.read_text().splitlines() if path is not None and path.exists() else []
    kept = {(found["set"], found["seed"]): found["parts"] for found in map(json.loads, lines)}
    samples = cache(lambda: read(folder, name))
    for seed in range(n_splits):
        if (name, seed) not in kept:
            rates, met, weight = measure(*samples(), seed)
            kept[name, seed] = [rates.tolist(), met.tolist(), weight]
            if path is not None:
                with path.open("a") as file:
                    print(json.dumps({"set": name, "seed": seed, "parts": kept[name, seed]}), file=file)
        yield kept[name, seed]


def balanced(rates):
    """Mean of identified and refused."""
    return (rates[..., 0] + 1 - rates[..., 1]) / 2


def compare(folder, names, n_splits, path=None):
    """Print two tables: balanced rates, and targets."""
    print(f"{n_splits} splits; identified / strangers accepted = balanced rate, means\n")
    columns = ["closed recipe", "distance", "runner-up", "runner-up, per class", "oracle"]
    head = " ".join(f"{column:^21}" for column in columns)
    print(f"{'':20} {head}  {'runner-up gains':16} {'per class gains':16} over oracle  weights", flush=True)
    lines, over = [], []
    for name in names:
        rates, met, weights = map(np.array, zip(*measured(folder, name, n_splits, path), strict=True))
        cells = [f"{a:.3f} / {b:.3f} = {balanced(np.array([a, b])):.3f}" for a, b in rates.mean(axis=0)]
        by_split = balanced(rates)  # (n_splits, n_columns)
        over.append((by_split[:, 2] - by_split[:, 4]).mean())
        values, counts = np.unique(weights, return_counts=True)
        print(
            f"{name:20} {' '.join(f'{cell:>21}' for cell in cells)}  {gain(by_split, 2):16} "
            f"{gain(by_split, 3):16} {over[-1]:+.3f}      ",
            ", ".join(f"{value:g}: {count}" for value, count in zip(values, counts, strict=True)),
            flush=True,
        )
        inside = ((met[..., 1] <= met[..., 0]) & (met[..., 0] <= met[..., 2])).sum(axis=0)
        cells = [
            f"  {far:.3f} [{low:.3f}, {high:.3f}] {n:2}/{n_splits}"
            for (far, low, high), n in zip(met.mean(axis=0), inside, strict=True)
        ]
        lines.append(f"{name:20}{''.join(cells)}")
    print(f"\nmean over the sets: {np.mean(over):+.4f} over the oracle's single threshold\n")
    print(f"{'':20}" + "".join(f"  far {far:<4g} [interval]     in" for far in FAR))
    print("\n".join(lines))


def gain(by_split, column):
    """Gain of a column over that of the distance alone, with its standard error."""
    found = by_split[:, column] - by_split[:, 1]
    error = found.std(ddof=1) / np.sqrt(len(found)) if len(found) > 1 else np.nan
    return f"{found.mean():+.3f} ± {error:.3f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with load.py and the sets")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="two small sets")
    parser.add_argument("--sets", nargs="+", default=SETS, help="names of sets")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="of splits that have been measured")
    arguments = parser.parse_args()
    names = QUICK_SETS if arguments.quick else arguments.sets
    compare(arguments.data.resolve(), names, arguments.splits, arguments.keep)
