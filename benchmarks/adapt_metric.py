"""A metric refitted to the labelled gallery: what new queries gain, and whether calibration keeps its word.

    python benchmarks/adapt_metric.py [--data DIR] [--sets NAME ...] [--seeds 0] [--per-class 8]

DIR holds `load.py` and its `.npz` files. Half of the classes train `MetricLearner()`. Of the others two
thirds are the gallery, with at most that many rows a class and never more than half of them, and one third
are strangers. Up to 20 further rows of each class of the gallery are queries. Each rate stands beside what
`calibrate` promised. Three ways: the metric of the training classes; `adapt_metric=True`; and the same metric
calibrated as if the gallery had not been learned from, which shows why the former refits.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
from metric_learner_quality import SHARED, half, read_sets

from skmetric import MetricLearner
from skmetric.search import SimilaritySearch

QUERIES, STRANGERS = 20, 1500  # of a class, and of all classes


def drawn(X, y, seed, per_class):
    """Masks or rows: training, gallery, queries, strangers."""
    train, rng = half(y, seed), np.random.default_rng(seed)
    classes = rng.permutation(np.unique(y[~train]))
    known = classes[: 2 * len(classes) // 3]
    gallery, queries = [], []
    for label in known:
        rows = rng.permutation(np.flatnonzero(y == label))
        n_items = min(per_class, len(rows) // 2)
        gallery.append(rows[:n_items])
        queries.append(rows[n_items : n_items + QUERIES])
    strangers = np.flatnonzero(~train & ~np.isin(y, known))
    return train, np.concatenate(gallery), np.concatenate(queries), rng.permutation(strangers)[:STRANGERS]


def measured(search, X, y, queries, strangers):
    """Columns of a search: MAP@R, then rates at the threshold and what was promised of them."""
    search.calibrate(n_resamples=100)
    rows = np.concatenate([queries, strangers])
    found = search.evaluate(X[rows], y[rows], n_resamples=100)
    promised = search.calibration_.cutpoints["optimal"]
    return (
        f"{found['map_at_r']:.3f}   {found['identified']:.3f} ({promised['recall']:.3f})   "
        f"{found['unknown_accepted']:.3f} ({promised['false_accept_rate']:.3f})   "
        f"{found['balanced_accuracy']:.3f}"
    )


def main():
    """Print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=SHARED, help="default: ../shared/data")
    parser.add_argument("--sets", nargs="+", default=[], metavar="NAME", help="default: all sets of features")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="of the classes")
    parser.add_argument("--per-class", type=int, default=8, help="rows of a class in the gallery, at most")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of galleries on which no threshold is good: the rates tell
    print("in brackets: promised by the calibration\n")
    print(f"  {'':28} MAP@R   identified       unknown accepted  balanced")
    for name, X, y in read_sets(options.data, options.sets):
        for seed in options.seeds:
            train, gallery, queries, strangers = drawn(X, y, seed, options.per_class)
            learner = MetricLearner(random_state=0).fit(X[train], y[train])
            print(
                f"{name}, seed {seed}: gallery of {len(gallery)} items, {len(np.unique(y[gallery]))} classes"
            )
            adapted = SimilaritySearch(learner, adapt_metric=True).fit(X[gallery], y[gallery])
            ways = {
                "as it was": SimilaritySearch(learner).fit(X[gallery], y[gallery]),
                "adapt_metric=True": adapted,
                "the same, naive threshold": SimilaritySearch(adapted.embedder_).fit(X[gallery], y[gallery]),
            }
            for way, search in ways.items():
                print(f"  {way:28} {measured(search, X, y, queries, strangers)}", flush=True)


if __name__ == "__main__":
    main()
