"""What the defaults do for classes never trained on, against cosine, NCA and LDA, on frozen features.

    python benchmarks/metric_learner_quality.py [--data DIR] [--sets NAME ...] [--seeds 0 1] [--short]

DIR holds `load.py` and its `.npz` files; each set of features in it is a group of rows. Half of the classes
train, drawn anew for each seed, and the other half is scored: mean of the halves, in brackets the lowest and
the highest. Three tables a set:

unseen classes: each row is searched among the others. All learners have their defaults. NCA takes time
quadratic in the rows, so it alone gets the first principal components of some rows and few iterations.

unseen, pool known: half of the unseen rows are a pool without labels, to which `adapt` moves the metric; the
other half is scored.

few shots: two rows of each unseen class, or half of its rows, are a labelled gallery; the other rows are
queries. `partial_fit(choose=True)` learns from the gallery, whose classes are then no longer unseen.
"""

import argparse
import importlib.util
import time
import warnings
from copy import deepcopy
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer

from skmetric import DeepMetricLearner, MetricLearner
from skmetric.metrics import compare, map_at_r, recall_at_k

SHARED = Path(__file__).parents[1] / "../shared/data"
TWICE = {"caltech101_features": "Faces_easy"}  # the pictures of "Faces", cropped once more
NCA_ROWS, NCA_COMPONENTS, NCA_ITERATIONS = 1500, 64, 30
COSINE, OURS, DEEP = "cosine", "MetricLearner()", "DeepMetricLearner()"
SHORT = [COSINE, OURS, DEEP]


def learners():
    """Make what is compared, by name; each is a transformer, Euclidean distance follows."""
    reduced = NeighborhoodComponentsAnalysis(max_iter=NCA_ITERATIONS, random_state=0)
    return {
        "Euclid": FunctionTransformer(),
        COSINE: Normalizer(),
        OURS: MetricLearner(random_state=0),
        DEEP: DeepMetricLearner(random_state=0, device="cpu"),
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


def half(y, seed):
    """Mask of the training rows: a random half of the classes."""
    classes = np.random.default_rng(seed).permutation(np.unique(y))
    return np.isin(y, classes[: len(classes) // 2])


def fitted(name, learner, X, y):
    """Fit, NCA on some rows only; return it and the CPU seconds taken."""
    if name == "NCA" and len(X) > NCA_ROWS:
        rows = np.random.default_rng(0).choice(len(X), NCA_ROWS, replace=False)
        X, y = X[rows], y[rows]
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the cap on iterations is meant
        learner.fit(X, y)
    return learner, time.process_time() - start


def unseen(X, y, train, names):
    """MAP@R, recall@1 and seconds by name of the learner; the linear one; its comparison with the network."""
    rows, embedded, linear, made = {}, {}, None, learners()
    for name, learner in ((name, made[name]) for name in names):
        learner, seconds = fitted(name, learner, X[train], y[train])
        embeddings = learner.transform(X[~train])
        rows[name] = (map_at_r(embeddings, y[~train]), recall_at_k(embeddings, y[~train]), seconds)
        if name in (OURS, DEEP):
            embedded[name] = embeddings
        linear = learner if name == OURS else linear
    return rows, linear, compare(embedded[OURS], embedded[DEEP], y[~train], scores=["map_at_r"])


def pool_known(X, y, linear, rng):
    """MAP@R of half of the rows: cosine, the linear learner, and adapted to the other half."""
    order = rng.permutation(len(y))
    pool, scored = order[: len(y) // 2], np.sort(order[len(y) // 2 :])
    adapted = deepcopy(linear).adapt(X[pool])
    made = (Normalizer(), linear, adapted)
    return [map_at_r(each.transform(X[scored]), y[scored]) for each in made]


def few_shots(X, y, linear, rng, per_class):
    """MAP@R of queries in a gallery: cosine, the linear learner, and what it is with the gallery."""
    groups = [rng.permutation(np.flatnonzero(y == label)) for label in np.unique(y)]
    counts = [per_class or len(rows) // 2 for rows in groups]
    gallery = np.concatenate([rows[:n] for rows, n in zip(groups, counts, strict=True)])
    queries = np.concatenate([rows[n:] for rows, n in zip(groups, counts, strict=True)])
    made = [Normalizer(), linear]
    made += [deepcopy(linear).partial_fit(X[gallery], y[gallery], choose=choose) for choose in (False, True)]
    return [
        map_at_r(
            each.transform(X[queries]), y[queries], gallery=each.transform(X[gallery]), y_gallery=y[gallery]
        )
        for each in made
    ]


def spread(values):
    """Mean, lowest and highest, as in '0.812 [0.790, 0.833]'."""
    return f"{np.mean(values):.3f} [{min(values):.3f}, {max(values):.3f}]"


def gains(values, base):
    """Mean relative gain, lowest and highest."""
    gain = np.asarray(values) / np.asarray(base) - 1
    return f"{gain.mean():+.1%} [{gain.min():+.1%}, {gain.max():+.1%}]"


def show_unseen(found, comparisons):
    """Print the table of unseen classes."""
    for name in found[0]:
        scores, recalls, seconds = zip(*(rows[name] for rows in found), strict=True)
        base = [rows[COSINE][0] for rows in found]
        print(
            f"  {name:20} {spread(scores)}  {spread(recalls)}  {gains(scores, base):26}"
            f" {np.mean(seconds):6.1f}"
        )
    for comparison in comparisons:
        low, high = comparison.intervals["map_at_r"]
        print(f"    {DEEP} less {OURS}: {comparison['map_at_r']:+.4f} [{low:+.4f}, {high:+.4f}]")


def show_table(title, names, found):
    """Print MAP@R of several ways, with gains over the linear learner."""
    print(f"    {title}")
    for name, values in zip(names, zip(*found, strict=True), strict=True):
        base = [row[1] for row in found]
        print(f"    {name:34} {spread(values)}  {gains(values, base)}")


def main():
    """Print three tables a set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=SHARED, help="default: ../shared/data")
    parser.add_argument("--sets", nargs="+", default=[], metavar="NAME", help="default: all sets of features")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1], help="of the halves")
    parser.add_argument("--short", action="store_true", help=f"unseen classes by {', '.join(SHORT)} alone")
    options = parser.parse_args()
    if not (options.data / "load.py").is_file():
        parser.error(f"no load.py in {options.data}: give --data a folder of feature sets")
    print(
        f"Mean of {len(options.seeds)} halves [lowest, highest]; gain of MAP@R over cosine, below over"
        f" {OURS}.\nNCA: {NCA_COMPONENTS} principal components of at most {NCA_ROWS} rows, at most"
        f" {NCA_ITERATIONS} iterations.\n"
    )
    print(f"  {'':20} {'MAP@R':20}  {'recall@1':20}  {'gain':26} {'CPU s':>6}")
    n_sets = 0
    for name, X, y in read_sets(options.data, options.sets):
        n_sets += 1
        train = half(y, options.seeds[0])
        print(
            f"{name}, {len(options.seeds)} halves: {train.sum()} x {X.shape[1]}, {len(np.unique(y[train]))}"
            f" classes -> {(~train).sum()} queries, {len(np.unique(y[~train]))} classes",
            flush=True,
        )
        found, comparisons, pools, pairs, many = [], [], [], [], []
        for seed in options.seeds:
            train, rng = half(y, seed), np.random.default_rng(seed)
            rows, linear, comparison = unseen(X, y, train, SHORT if options.short else learners())
            found.append(rows)
            comparisons.append(comparison)
            if options.short:
                continue
            others = X[~train], y[~train], linear, rng
            pools.append(pool_known(*others))
            pairs.append(few_shots(*others, 2))
            many.append(few_shots(*others, None))
        show_unseen(found, comparisons)
        if options.short:
            continue
        show_table("unseen, pool known", [COSINE, OURS, "adapt(pool)"], pools)
        ways = [COSINE, OURS, "partial_fit(gallery)", "partial_fit(gallery, choose=True)"]
        show_table("few shots, two rows a class", ways, pairs)
        show_table("few shots, half of the rows", ways, many)
    if not n_sets:
        parser.error(f"no set of features in {options.data}")


if __name__ == "__main__":
    main()
