"""What re-ranking, query expansion and augmentation are worth on classes that no metric was learned on.

    python benchmarks/reranking.py [lookups | choices] [--data DIR] [--quick] [--sets NAME ...]

Half of the classes train a `MetricLearner`; of the others half of the rows are the gallery and half ask.

lookups: MAP@R, recall@1 and seconds for all queries; options stand at their defaults.

choices: what `ClassCenters(n_best=)` and `recommend(weight=)` change, mean over several splits with its
standard error. "Identified": share of queries given their class, in the gallery as it is and where the labels
of a fifth of the items were drawn at random. "Recommended": 3 items of a class are liked, the 3 nearest items
of other classes are not; share of that class in the first 10 recommendations, or in as many as it has items.
"""

import argparse
import importlib.util
import time
from pathlib import Path

import numpy as np

from skmetric import MetricLearner, SimilaritySearch
from skmetric.model_selection import class_disjoint_split, query_gallery_split
from skmetric.search import ClassCenters, KReciprocal, NeighborAverage

DATA = Path(__file__).parents[1] / "../shared/data"
SETS = ["orl_faces_features", "lfw_faces_features", "banking77", "grocery_features", "caltech101_features"]
OPTIONS = {
    "none": {},
    "average expansion": {"query_expansion": NeighborAverage(alpha=0)},
    "alpha expansion": {"query_expansion": NeighborAverage()},
    "augmented gallery": {"augment_gallery": NeighborAverage()},
    "both": {"query_expansion": NeighborAverage(), "augment_gallery": NeighborAverage()},
    "k-reciprocal": {"rerank": KReciprocal()},
    "all three": {
        "query_expansion": NeighborAverage(),
        "augment_gallery": NeighborAverage(),
        "rerank": KReciprocal(),
    },
}


MATCHERS = {
    "nearest item": "nearest",
    "ClassCenters()": ClassCenters(),
    "ClassCenters(n_best=3)": ClassCenters(n_best=3),
    "ClassCenters(n_best=5)": ClassCenters(n_best=5),
}
WEIGHTS = [0.0, 0.25, 0.5, 1.0]
CHOICE_SETS = ["orl_faces_features", "banking77"]
N_SPLITS, N_ASKED = 3, 200  # halves of the classes; recommendations of each
WRONG = 0.2  # share of labels drawn at random


def read(folder, name):
    """Rows and labels of a set."""
    spec = importlib.util.spec_from_file_location("load", folder / "load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    data = module.load(name)
    X, y = data.data.reshape(len(data.data), -1).astype(np.float32), data.target
    if name == "caltech101_features":  # "Faces" again, cropped
        kept = y != data.target_names.index("Faces_easy")
        X, y = X[kept], y[kept]
    return X, y


def split(X, y, seed):
    """Embedded queries and gallery of classes that the metric was not learned on, and their labels."""
    train, unseen, y_train, y_unseen = class_disjoint_split(X, y, random_state=seed)
    learner = MetricLearner(random_state=0).fit(train, y_train)
    return query_gallery_split(learner.transform(unseen), y_unseen, random_state=seed)


def compare(folder, names):
    """Print the table of lookups."""
    for name in names:
        queries, gallery, y_queries, y_gallery = split(*read(folder, name), 0)
        print(
            f"{name}: {len(queries)} queries in {len(gallery)} items of {len(np.unique(y_gallery))} classes"
        )
        for label, options in OPTIONS.items():
            search = SimilaritySearch(**options).fit(gallery, y_gallery)
            start = time.perf_counter()
            found = search.evaluate(queries, y_queries)
            seconds = time.perf_counter() - start
            print(
                f"    {label:18} MAP@R {found['map_at_r']:.3f}  recall@1 {found['recall_at_1']:.3f}"
                f"  {seconds:6.1f} s",
                flush=True,
            )


def identified(queries, gallery, y_queries, y_gallery):
    """Share of queries given their class, by matcher."""
    searches = [SimilaritySearch(matcher=matcher).fit(gallery, y_gallery) for matcher in MATCHERS.values()]
    return [np.mean(search.predict(queries) == y_queries) for search in searches]


def recommended(gallery, y_gallery, rng):
    """Share of recommendations of the class that is liked, by weight."""
    search, found = SimilaritySearch().fit(gallery, y_gallery), []
    labels, counts = np.unique(y_gallery, return_counts=True)
    for label in rng.choice(labels[counts > 3], N_ASKED):
        like = rng.choice(np.flatnonzero(y_gallery == label), 3, replace=False)
        others = np.flatnonzero(y_gallery != label)
        distances = np.linalg.norm(gallery[others] - gallery[like].mean(axis=0), axis=1)
        unlike = others[np.argsort(distances)[:3]]
        tables = [search.recommend(like, unlike, 10, weight=weight) for weight in WEIGHTS]
        most = min(10, (y_gallery == label).sum() - 3)  # items there are to find
        found.append([np.sum(table["label"] == label) / most for table in tables])
    return np.mean(found, axis=0)


def choices(folder, names):
    """Print the table of matchers and weights."""
    for name in names:
        X, y = read(folder, name)
        clean, noisy, liked = [], [], []
        for seed in range(N_SPLITS):
            queries, gallery, y_queries, y_gallery = split(X, y, seed)
            rng = np.random.default_rng(seed)
            drawn = rng.random(len(y_gallery)) < WRONG
            labels = np.where(drawn, rng.choice(y_gallery, len(y_gallery)), y_gallery)
            clean.append(identified(queries, gallery, y_queries, y_gallery))
            noisy.append(identified(queries, gallery, y_queries, labels))
            liked.append(recommended(gallery, y_gallery, rng))
        n_items = np.unique(y_gallery, return_counts=True)[1]
        print(f"{name}: {len(n_items)} classes of {np.median(n_items):g} items, {N_SPLITS} splits")
        for label, right, wrong in zip(MATCHERS, np.transpose(clean), np.transpose(noisy), strict=True):
            print(f"    {label:24} identified {shown(right)}, of {WRONG:.0%} wrong labels {shown(wrong)}")
        for weight, share in zip(WEIGHTS, np.transpose(liked), strict=True):
            print(f"    {f'recommend(weight={weight:g})':24} recommended {shown(share)}", flush=True)


def shown(values):
    """Mean with its standard error over splits."""
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1) / np.sqrt(len(values)):.3f}"


PARTS = {"lookups": (compare, SETS), "choices": (choices, CHOICE_SETS)}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="?", choices=PARTS, help="default: both")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with load.py and the sets")
    parser.add_argument("--quick", action="store_true", help="one small set")
    parser.add_argument("--sets", nargs="+", metavar="NAME", help="default: several for each part")
    arguments = parser.parse_args()
    for part in [arguments.part] if arguments.part else PARTS:
        show, names = PARTS[part]
        show(arguments.data.resolve(), arguments.sets or (names[:1] if arguments.quick else names))
