"""What re-ranking, query expansion and augmentation are worth on classes that no metric was learned on.

    python benchmarks/reranking.py [--data DIR] [--quick]

Half of the classes train a `MetricLearner`; of the others half of the rows are the gallery and half ask. MAP@R,
recall@1 and seconds for all queries; options stand at their defaults.
"""

import argparse
import importlib.util
import time
from pathlib import Path

import numpy as np

from skmetric import MetricLearner, SimilaritySearch
from skmetric.model_selection import class_disjoint_split, query_gallery_split
from skmetric.search import KReciprocal, NeighborAverage

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


def compare(folder, names):
    """Print the table."""
    for name in names:
        train, unseen, y_train, y_unseen = class_disjoint_split(*read(folder, name), random_state=0)
        learner = MetricLearner(random_state=0).fit(train, y_train)
        parts = query_gallery_split(learner.transform(unseen), y_unseen, random_state=0)
        queries, gallery, y_queries, y_gallery = parts
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with load.py and the sets")
    parser.add_argument("--quick", action="store_true", help="one small set")
    arguments = parser.parse_args()
    compare(arguments.data.resolve(), SETS[:1] if arguments.quick else SETS)
