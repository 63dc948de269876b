"""Which loss: the same network, batches and number of steps for each, scored on classes never trained on.

    python benchmarks/which_loss.py [--data DIR] [--sets NAME ...] [--losses NAME ...] [--steps 300]

DIR holds `load.py` and its `.npz` files. On frozen features of unit length each loss trains twice: a linear
map to 64 numbers that starts at random, and a square map that starts from the closed form. On characters of
28 x 28 pixels it trains a network of four convolutions. Losses have their defaults and the learning rates of
`DeepMetricLearner`; batches are 16 classes of 4; no class is held out, so the last step counts. The first
half of the classes trains (of Omniglot the background set), the other is scored, each row among the others. A
loss that is tuned, trained longer or given another network may do better than its row: the table compares
defaults, and says no more.
"""

import argparse
import importlib.util
import warnings
from pathlib import Path
from time import process_time

import numpy as np
from sklearn.preprocessing import FunctionTransformer, normalize

from skmetric import DeepMetricLearner, MetricLearner
from skmetric.exceptions import TrainingWarning
from skmetric.metrics import retrieval_report

DATA = Path(__file__).parents[1] / "../shared/data"
SETS = {
    "grocery_features": "linear",
    "banking77": "linear",
    "lfw_faces_features": "linear",
    "omniglot": "conv4",
}
LOSSES = [
    "contrastive",
    "triplet",
    "margin",
    "multi_similarity",
    "circle",
    "sup_con",
    "fast_ap",
    "smooth_ap",
    "normalized_softmax",
    "arc_face",
    "proxy_nca",
    "proxy_anchor",
    "soft_triple",
]
SCORED = 4000  # rows at most, of whole classes


def loader(folder):
    """Module that reads the data sets."""
    spec = importlib.util.spec_from_file_location("load", folder / "load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(folder, name):
    """Training rows and labels, then those of the unseen classes."""
    module = loader(folder)
    if name == "omniglot":
        seen, unseen = (module.load(name, split=split, size=28) for split in ("background", "evaluation"))
        parts = seen.data, seen.target, unseen.data, unseen.target
    else:
        data = module.load(name)
        X, known = normalize(data.data.astype(np.float32)), module.disjoint(data.target)
        parts = X[known], data.target[known], X[~known], data.target[~known]
    X, y, X_unseen, y_unseen = parts
    order = np.random.default_rng(0).permutation(np.unique(y_unseen))
    rows_up_to = np.cumsum([np.sum(y_unseen == label) for label in order])
    scored = np.isin(y_unseen, order[rows_up_to <= SCORED])
    return X, y, X_unseen[scored], y_unseen[scored]


def candidates(network, losses, steps, seed):
    """Yield a name and a learner: without training, in closed form, and with each loss."""
    yield "cosine, untrained", FunctionTransformer(lambda X: normalize(_rows(X)))
    if network == "linear":
        yield "MetricLearner()", MetricLearner(random_state=seed)
    starts = {"": {"init": "random", "n_components": 64}}
    if network == "linear":
        starts[", from closed form"] = {"init": "closed_form"}
    for loss in losses:
        for suffix, start in starts.items():
            yield (
                loss + suffix,
                DeepMetricLearner(
                    network,
                    loss=loss,
                    classes_per_batch=16,
                    samples_per_class=4,
                    steps_per_epoch=steps,
                    max_epochs=1,
                    validation_fraction=None,
                    random_state=seed,
                    device="cpu",
                    **start,
                ),
            )


def compare(X, y, X_unseen, y_unseen, learners):
    """Print a row for each learner."""
    for name, learner in learners:
        start = process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TrainingWarning)  # the scores tell
            learner.fit(X, y)
        seconds = process_time() - start
        report = retrieval_report(learner.transform(X_unseen), y_unseen, scores=["map_at_r", "recall_at_1"])
        cells = (_cell(report, score) for score in ("map_at_r", "recall_at_1"))
        print(f"  {name:38} {'  '.join(cells)} {seconds:8.0f}", flush=True)


def _rows(X):
    return X.reshape(len(X), -1).astype(np.float32)


def _cell(report, score):
    low, high = report.intervals[score]
    return f"{report[score]:.3f} [{low:.3f}, {high:.3f}]"


def main():
    """Print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder with load.py and the sets")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS), metavar="NAME")
    parser.add_argument("--losses", nargs="+", default=LOSSES, metavar="NAME")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="of weights and batches")
    options = parser.parse_args()
    print(f"{options.steps} steps of 16 x 4 samples; 95% bootstrap intervals over unseen classes.\n")
    print(f"  {'':38} {'MAP@R':22} {'recall@1':20} {'fit, CPU s':>11}")
    for name in options.sets:
        X, y, X_unseen, y_unseen = read(options.data.resolve(), name)
        for seed in options.seeds:
            print(
                f"{name}, {SETS[name]}, seed {seed}: {len(y)} rows of {len(np.unique(y))} classes ->"
                f" {len(y_unseen)} queries of {len(np.unique(y_unseen))}"
            )
            learners = candidates(SETS[name], options.losses, options.steps, seed)
            compare(X, y, X_unseen, y_unseen, learners)


if __name__ == "__main__":
    main()
