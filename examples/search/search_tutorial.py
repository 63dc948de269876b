"""
From balanced batches to a confusion matrix with strangers in it
================================================================

From balanced batches to a confusion matrix with strangers in it: train, index, calibrate, match.

The steps of TensorFlow Similarity's tutorial, to its last table. A network learns from six classes, 200
images of these make an index, 1,000 others calibrate it, and queries come from all ten classes: four are
strangers. Both protocols of calibration stand side by side, so that one sees what each lets in.

    python examples/search/search_tutorial.py                     scikit-learn's digits, some seconds
    python examples/search/search_tutorial.py --full --data DIR   CIFAR-10, minutes; DIR has load.py and cifar10.npz
"""

import argparse
import importlib.util
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split

from skmetric import DeepMetricLearner, SimilaritySearch

DATA = Path("../shared/data")  # from the root of the clone
N_INDEX, N_CALIBRATION, N_TRAINED = 200, 1000, 6


class Parts(NamedTuple):
    """Images and labels of each step; strangers are among the queries only."""

    train: tuple
    index: tuple
    calibration: tuple
    queries: tuple
    strangers: np.ndarray


def main(arguments=None):
    """Run all steps; returns the search and the evaluation of each protocol."""
    options = parse_options(arguments)
    if options.full:
        parts, names = split(*read_cifar10(options.data), per_class=options.per_class)
        learner = DeepMetricLearner("tutorial_conv", max_epochs=options.epochs or 6, **BATCHES)
    else:
        parts, names = split(*read_digits())
        learner = DeepMetricLearner("conv4", max_epochs=options.epochs or 10, **BATCHES)
    learner.fit(*parts.train)
    print(f"Trained on {len(parts.train[1])} images of {', '.join(np.unique(parts.train[1]))};")
    print(f"the loss went from {learner.history_[0]['loss']:.3f} to {learner.history_[-1]['loss']:.3f}.\n")

    search = SimilaritySearch(learner, n_neighbors=5).fit(*parts.index)
    print(f"The index, asked for the neighbours of one query, a {parts.queries[1][0]}:")
    print(search.lookup(parts.queries[0][:1]), "\n")

    evaluations = {}
    for protocol in ("closed", "open"):
        evaluations[protocol] = calibrate_and_match(search, parts, protocol)
        draw(evaluations[protocol], protocol, options.out)
    print(f"{'':30}" + "".join(f"{protocol:>10}" for protocol in evaluations))
    for score, label in SCORES.items():
        print(f"{label:30}" + "".join(f"{found[score]:>10.3f}" for found in evaluations.values()))
    print(
        f"\n{N_TRAINED} of {len(names)} classes are known; confusion matrices: {options.out}/confusion_*.png"
    )
    print(
        "The network has learned the classes that stand in for strangers in calibration: real ones are let\n"
        "in more often than the table of the open protocol says. Classes not trained on make it honest."
    )
    return search, evaluations


BATCHES = {
    "loss": "multi_similarity",
    "n_components": 64,
    "classes_per_batch": N_TRAINED,
    "samples_per_class": 16,
    "random_state": 0,
}
SCORES = {
    "recall_at_1": "recall@1",
    "map_at_r": "MAP@R",
    "identified": "known, under their own name",
    "unknown_accepted": "strangers let in",
    "balanced_accuracy": "balanced accuracy",
}


def calibrate_and_match(search, parts, protocol):
    """Print the cutpoints and some matches; returns the evaluation of the queries."""
    targets = {"strict": ("false_accept_rate", 0.05)} if protocol == "open" else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that "closed" lets nearly all in is what the table shows
        calibration = search.calibrate(*parts.calibration, protocol=protocol, targets=targets)
    print(f"Calibrated, {protocol} protocol:\n{calibration}\n")
    known, y_known = parts.queries
    shown, labels = np.concatenate([known[:4], parts.strangers[:4]]), [*y_known[:4], *["a stranger"] * 4]
    for label, match in zip(labels, search.predict(shown), strict=True):
        print(f"    {label:>12} -> {match}")
    print()
    return search.evaluate(known, y_known, parts.strangers)


def split(X, y, X_test, y_test, per_class=None):
    """Train, index and calibrate on the first six classes; queries are of the test set."""
    names = np.unique(y)
    known = np.isin(y, names[:N_TRAINED])
    train, rest, y_train, y_rest = train_test_split(
        X[known], y[known], test_size=N_INDEX + min(N_CALIBRATION, known.sum() // 4), stratify=y[known],
        random_state=0,
    )  # fmt: skip
    if per_class is not None:
        first = np.concatenate([np.flatnonzero(y_train == name)[:per_class] for name in np.unique(y_train)])
        train, y_train = train[first], y_train[first]
    index, calibration, y_index, y_calibration = train_test_split(
        rest, y_rest, train_size=N_INDEX, stratify=y_rest, random_state=0
    )
    asked = np.isin(y_test, names[:N_TRAINED])
    parts = Parts(
        (train, y_train),
        (index, y_index),
        (calibration, y_calibration),
        (X_test[asked], y_test[asked]),
        X_test[~asked],
    )
    return parts, names


def read_digits():
    """Small images of digits, named; a third is the test set."""
    digits = load_digits()
    words = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
    X, X_test, y, y_test = train_test_split(
        digits.images / 16, words[digits.target], test_size=1 / 3, stratify=digits.target, random_state=0
    )
    return X, y, X_test, y_test


def read_cifar10(folder):
    """CIFAR-10 as the folder has it: 20,000 images to train on, 10,000 to test."""
    spec = importlib.util.spec_from_file_location("load", folder / "load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    parts = [module.load("cifar10", split=part) for part in ("train", "test")]
    names = np.array(parts[0].target_names)
    return tuple(array for part in parts for array in (part.data, names[part.target]))


def draw(evaluation, protocol, folder):
    """Write the confusion matrix; strangers are the last row."""
    folder.mkdir(parents=True, exist_ok=True)
    axes = Figure(figsize=(7, 7), layout="constrained").add_subplot()
    ConfusionMatrixDisplay(evaluation.confusion, display_labels=evaluation.labels).plot(
        ax=axes, colorbar=False, xticks_rotation="vertical"
    )
    axes.set_title(f"{protocol} protocol")
    axes.figure.savefig(folder / f"confusion_{protocol}.png")


def parse_options(arguments):
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="CIFAR-10 in place of digits")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with load.py and cifar10.npz")
    parser.add_argument("--epochs", type=int, help="passes over the training images")
    parser.add_argument("--per-class", type=int, help="training images of each class; all by default")
    parser.add_argument("--out", type=Path, default=Path("search_tutorial"), help="folder for the pictures")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
