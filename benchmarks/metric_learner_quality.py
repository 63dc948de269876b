"""What `MetricLearner()` does for classes never trained on, against cosine, NCA and LDA, on frozen features.

    python benchmarks/metric_learner_quality.py [--data DIR] [--sets NAME ...] [--seeds SEED ...]

DIR holds `load.py` and its `.npz` files; each set of features in it is a group of rows of the table. Learners
are fitted on the first half of the classes and scored on the other half, each row searched among the others;
`--seeds` adds halves drawn at random. All have their defaults. NCA takes time quadratic in the rows, so it
alone gets the first principal components of some rows and few iterations: the table says how many.
"""

import argparse
import importlib.util
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer

from skmetric import MetricLearner
from skmetric.metrics import retrieval_report

SHARED = Path(__file__).parents[1] / "../shared/data"
TWICE = {"caltech101_features": "Faces_easy"}  # the pictures of "Faces", cropped once more
NCA_ROWS, NCA_COMPONENTS, NCA_ITERATIONS = 1500, 64, 30
OURS, COSINE, PEERS = "MetricLearner()", "cosine", ("LDA", "NCA")


def learners():
    """Make what is compared, by name; each is a transformer, Euclidean distance follows."""
    reduced = NeighborhoodComponentsAnalysis(max_iter=NCA_ITERATIONS, random_state=0)
    return {
        "Euclid": FunctionTransformer(),
        COSINE: Normalizer(),
        OURS: MetricLearner(random_state=0),
        "LDA": LinearDiscriminantAnalysis(),
        "NCA": make_pipeline(PCA(NCA_COMPONENTS, random_state=0), reduced),
    }


def read_sets(folder, names):
    """Yield name, features and labels of each set of features in a folder."""
    spec = importlib.util.spec_from_file_location("load", folder / "load.py")
    reader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reader)
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as arrays:
            holds_features = "features" in arrays
        if holds_features and (not names or path.stem in names):
            data = reader.load(path.stem)
            kept = np.asarray(data.target_names)[data.target] != TWICE.get(path.stem)
            yield path.stem, data.data[kept], data.target[kept]


def halves(y, seeds):
    """Yield a name and the mask of the training rows: the first half of the classes, then random halves."""
    classes = np.unique(y)
    for seed in [None, *seeds]:
        order = classes if seed is None else np.random.default_rng(seed).permutation(classes)
        yield "first" if seed is None else f"seed {seed}", np.isin(y, order[: len(classes) // 2])


def fitted(name, learner, X, y):
    """Fit, NCA on some rows only; return it and the seconds taken."""
    if name == "NCA" and len(X) > NCA_ROWS:
        rows = np.random.default_rng(0).choice(len(X), NCA_ROWS, replace=False)
        X, y = X[rows], y[rows]
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the cap on iterations is meant
        learner.fit(X, y)
    return learner, time.perf_counter() - start


def compare(X, y, train):
    """Scores of the classes that are not in `train`, by name of the learner, each row printed."""
    reports = {}
    for name, learner in learners().items():
        learner, seconds = fitted(name, learner, X[train], y[train])
        report = retrieval_report(learner.transform(X[~train]), y[~train], scores=["map_at_r", "recall_at_1"])
        reports[name] = report
        gain = report["map_at_r"] / reports[COSINE]["map_at_r"] - 1 if COSINE in reports else np.nan
        print(
            f"  {name:16} {with_interval(report, 'map_at_r')}  {with_interval(report, 'recall_at_1')}"
            f"  {'' if np.isnan(gain) else f'{gain:+.1%}':>8} {seconds:8.1f}",
            flush=True,
        )
    return reports


def with_interval(report, score):
    """Score and bounds, as in '.812 [.790, .833]'."""
    low, high = report.intervals[score]
    return f"{report[score]:.3f} [{low:.3f}, {high:.3f}]"


def summarise(results):
    """Print what the rows say together."""
    gain = {key: r[OURS]["map_at_r"] / r[COSINE]["map_at_r"] - 1 for key, r in results.items()}
    sets = list(dict.fromkeys(name for name, _ in gain))
    print(f"\nRelative gain of {OURS} in MAP@R over cosine, mean of the splits:")
    means = {s: np.mean([value for (name, _), value in gain.items() if name == s]) for s in sets}
    for name, value in means.items():
        print(f"  {name:24} {value:+.1%}")
    print(f"  {'average':24} {np.mean(list(means.values())):+.1%}")
    first = [
        all(r[OURS]["map_at_r"] >= r[other]["map_at_r"] for other in (COSINE, *PEERS))
        for r in results.values()
    ]
    below = [key for key, r in results.items() if r[OURS]["map_at_r"] < r[COSINE].intervals["map_at_r"][0]]
    print(f"First of the four in MAP@R on {sum(first)} of {len(first)} splits.")
    print(f"Below the interval of cosine: {', '.join(map(' '.join, below)) or 'nowhere'}.")


def main():
    """Print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=SHARED, help="default: ../shared/data")
    parser.add_argument("--sets", nargs="+", default=[], metavar="NAME", help="default: all sets of features")
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[], metavar="SEED", help="more halves, at random"
    )
    options = parser.parse_args()
    if not (options.data / "load.py").is_file():
        parser.error(f"no load.py in {options.data}: give --data a folder of feature sets")
    print(
        f"Unseen half of the classes, 95% bootstrap intervals over classes. NCA: {NCA_COMPONENTS} principal"
    )
    print(f"components of at most {NCA_ROWS} rows, at most {NCA_ITERATIONS} iterations.\n")
    print(f"  {'':16} {'MAP@R':22} {'recall@1':22} {'gain':>8} {'fit, s':>8}")
    results = {}
    for name, X, y in read_sets(options.data, options.sets):
        for split, train in halves(y, options.seeds):
            print(
                f"{name}, {split}: {train.sum()} x {X.shape[1]}, {len(np.unique(y[train]))} classes ->"
                f" {(~train).sum()} queries, {len(np.unique(y[~train]))} classes"
            )
            results[name, split] = compare(X, y, train)
    if not results:
        parser.error(f"no set of features in {options.data}")
    summarise(results)


if __name__ == "__main__":
    main()
