"""Open-set benchmark: who is let in by the usual closed recipe, by ours, and by the best threshold there is.

    python benchmarks/open_set.py [--data DIR] [--splits 10] [--quick] [--sets NAME ...]

The closed recipe is that of TensorFlow Similarity from version 0.16 on: the best F1 at all distances. Classes
are cut at random in three: a metric is learned on the first, the second is the gallery (half of its
rows) and known queries (the other half), the third are strangers. Thresholds see the gallery alone. Balanced
rate: mean of known queries identified and strangers refused. "In": splits in which the interval of a
false-accept target holds the rate of the strangers. "Per class": thresholds of classes, and what they gain,
with the standard error over splits, which share classes: the true one is larger.
"""

import argparse
import importlib.util
import warnings
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
    """One split: rows of the table of (identified, strangers accepted), and what became of the targets."""
    classes = np.array_split(np.random.default_rng(seed).permutation(np.unique(y)), 3)
    train, known, strange = (np.isin(y, part) for part in classes)
    learner = MetricLearner(random_state=0).fit(X[train], y[train])
    queries, gallery, y_queries, y_gallery = query_gallery_split(X[known], y[known], random_state=seed)
    search = SimilaritySearch(learner).fit(gallery, y_gallery)

    def rates(name="optimal"):
        evaluation = search.set_cutpoint(name).evaluate(queries, y_queries, X[strange])
        return evaluation, [evaluation["identified"], evaluation["unknown_accepted"]]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it accepts nearly everyone is what the table shows
        search.calibrate(protocol="closed")
    closed = rates()[1]
    targets = {f"{far:g}": ("false_accept_rate", far) for far in FAR}
    calibration = search.calibrate(targets=targets, extra_metrics=["recall", "false_accept_rate"])
    evaluation, ours = rates()
    curve = evaluation.oscr_curve
    best = np.argmax(curve["identified"] - curve["unknown_accepted"])
    oracle = [curve["identified"][best], curve["unknown_accepted"][best]]
    met = []
    for name in targets:
        low, high = calibration.intervals[name]["false_accept_rate"]
        met.append((rates(name)[1][1], low, high))
    search.calibrate(per_class=True)
    return np.array([closed, ours, rates()[1], oracle]), np.array(met)


def balanced(rates):
    """Mean of identified and refused."""
    return (rates[..., 0] + 1 - rates[..., 1]) / 2


def compare(folder, names, n_splits):
    """Print the table."""
    print(f"{n_splits} splits; identified / strangers accepted = balanced rate, means\n")
    columns = ["closed recipe", "ours", "ours, per class", "oracle"]
    head = " ".join(f"{column:^20}" for column in columns)
    print(
        f"{'':20} {head}  {'gap: mean, worst':17} {'per class gains':16}"
        + "".join(f"  far {far:<4g} [interval]     in" for far in FAR)
    )
    for name in names:
        X, y = read(folder, name)
        rates, met = map(np.array, zip(*(measure(X, y, seed) for seed in range(n_splits)), strict=True))
        cells = [f"{a:.3f} / {b:.3f} = {balanced(np.array([a, b])):.3f}" for a, b in rates.mean(axis=0)]
        gap = balanced(rates[:, 3]) - balanced(rates[:, 1])
        gain = balanced(rates[:, 2]) - balanced(rates[:, 1])
        error = gain.std(ddof=1) / np.sqrt(n_splits) if n_splits > 1 else np.nan
        inside = ((met[..., 1] <= met[..., 0]) & (met[..., 0] <= met[..., 2])).sum(axis=0)
        targets = [
            f"  {far:.3f} [{low:.3f}, {high:.3f}] {n:2}/{n_splits}"
            for (far, low, high), n in zip(met.mean(axis=0), inside, strict=True)
        ]
        print(
            f"{name:20} {' '.join(f'{c:>20}' for c in cells)}  {gap.mean():.3f}, {gap.max():.3f}     ",
            f"{gain.mean():+.3f} ± {error:.3f} ",
            *targets,
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with load.py and the sets")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="two small sets")
    parser.add_argument("--sets", nargs="+", default=SETS, help="names of sets")
    arguments = parser.parse_args()
    compare(arguments.data.resolve(), QUICK_SETS if arguments.quick else arguments.sets, arguments.splits)
