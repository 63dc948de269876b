"""The CIFAR-10 tutorial of TensorFlow Similarity, as one scikit-learn estimator.

Batches of 10 classes x 8 images, multi-similarity loss with its mining, Adam at 0.002, embeddings on the
unit sphere. Without arguments it runs, in seconds, on scikit-learn's digits with a smaller network;
``--full`` takes CIFAR-10 and the tutorial's network, 3 epochs of 4000 steps: for a GPU. On a CPU lower
``--steps``.

    python examples/cifar10_tutorial.py
    python examples/cifar10_tutorial.py --full --data DIR [--steps 4000]

Classes are those it was trained on, the images are new: how well the nearest of them are of the right class.
"""

import argparse
import importlib.util
from pathlib import Path
from time import perf_counter

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skmetric import DeepMetricLearner
from skmetric.deep.losses import MultiSimilarityLoss
from skmetric.metrics import retrieval_report

DATA = Path(__file__).parents[1] / "../shared/data"
SCORES = {"recall@1": "recall_at_1", "MAP@R": "map_at_r"}


def main():
    """Train, and print the scores of new images."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="CIFAR-10 instead of digits")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with load.py and cifar10.npz")
    parser.add_argument("--steps", type=int, help="an epoch (default: 4000, and 30 for digits)")
    options = parser.parse_args()
    if options.full:
        train, y_train, test, y_test = read_cifar10(options.data)
        learner = tutorial_learner(options.steps or 4000)
    else:
        digits = load_digits()
        train, test, y_train, y_test = train_test_split(
            digits.images / 16, digits.target, stratify=digits.target, random_state=0
        )
        learner = tutorial_learner(options.steps or 30, module="conv4")
    began = perf_counter()
    learner.fit(train, y_train)
    for row in learner.history_:
        print(f"epoch {row['epoch']}: loss {row['loss']:.3f}, {row['seconds']:.0f} seconds")
    print(f"{perf_counter() - began:.0f} seconds of training.\n")
    print_scores(train, y_train, test, y_test, "raw pixels", flat)
    print_scores(train, y_train, test, y_test, "network", learner.transform)


def tutorial_learner(steps_per_epoch, max_epochs=3, module="tutorial_conv", **settings):
    """Learner with the settings of the tutorial."""
    return DeepMetricLearner(
        module,
        loss=MultiSimilarityLoss(alpha=2, beta=40, base=0.5, epsilon=0.1),
        classes_per_batch=10,
        samples_per_class=8,
        optimizer="adam",
        learning_rate=0.002,
        steps_per_epoch=steps_per_epoch,
        max_epochs=max_epochs,
        random_state=0,
        **settings,
    )


def print_scores(train, y_train, test, y_test, name, embed):
    """Search test images among each other, and in an index of training images."""
    began = perf_counter()
    queries, index = embed(test), embed(train)
    among = retrieval_report(queries, y_test, scores=list(SCORES.values()))
    in_index = retrieval_report(
        queries, y_test, gallery=index, y_gallery=y_train, scores=list(SCORES.values())
    )
    seconds = perf_counter() - began
    print(f"{name}: {len(test)} test images ({seconds:.0f} seconds) [95% interval over images]")
    for where, report in [("among each other", among), (f"in {len(train)} of training", in_index)]:
        cells = [
            "{} {:.3f} [{:.3f}, {:.3f}]".format(label, report.scores[key], *report.intervals[key])
            for label, key in SCORES.items()
        ]
        print(f"  {where:26}" + "   ".join(cells), flush=True)


def flat(images):
    """Pixels as rows."""
    return images.reshape(len(images), -1) / 255


def read_cifar10(folder):
    """Images (n, 32, 32, 3) uint8 and labels, of training and of test."""
    spec = importlib.util.spec_from_file_location("load", folder / "load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    data = module.load("cifar10")
    train, test = data.split == "train", data.split == "test"
    return data.data[train], data.target[train], data.data[test], data.target[test]


if __name__ == "__main__":
    main()
