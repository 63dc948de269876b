"""Train a small network on half of scikit-learn's digits, and see whom it helps: a few seconds on a CPU.

Two questions are asked of the network and of raw pixels: how well are *new images of the digits it was
trained on* found, and how well are *digits it never saw*? Five classes teach a network to tell these five
apart; what carries over to others takes many classes, as the characters of many alphabets or many faces.

    python examples/deep_digits.py [--epochs 10]
"""

import argparse
from time import perf_counter

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skmetric.deep import DeepMetricLearner
from skmetric.metrics import retrieval_report
from skmetric.model_selection import class_disjoint_split

SCORES = {"recall@1": "recall_at_1", "R-precision": "r_precision", "MAP@R": "map_at_r"}


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()

    digits = load_digits()
    images = digits.images / 16  # (1797, 8, 8), from 0 to 1
    known, strange, y_known, y_strange = class_disjoint_split(images, digits.target, random_state=0)
    train, test, y_train, y_test = train_test_split(
        known, y_known, test_size=0.5, stratify=y_known, random_state=0
    )
    began = perf_counter()
    learner = DeepMetricLearner(
        "conv4", n_components=32, augment=shift, max_epochs=options.epochs, random_state=0
    ).fit(train, y_train)
    print(f"Trained on {len(train)} images of {listed(y_train)} in {perf_counter() - began:.1f} seconds;")
    first, last = learner.history_[0], learner.history_[-1]
    print(f"the loss went from {first['loss']:.3f} to {last['loss']:.3f}.\n")

    print(f"{'':47}" + "".join(f"{name:>13}" for name in SCORES))
    for name, X, y in [("trained on, new images", test, y_test), ("never seen", strange, y_strange)]:
        print_scores(f"digits {name}: raw pixels", X.reshape(len(X), -1), y)
        print_scores(f"digits {name}: network", learner.transform(X), y)


def shift(images):
    """Move a batch of images by up to a pixel."""
    height, width = images.shape[-2:]
    top, left = torch.randint(0, 3, (2,)).tolist()
    return torch.nn.functional.pad(images, (1, 1, 1, 1))[..., top : top + height, left : left + width]


def print_scores(name, embeddings, y):
    """Search each row among the others, and print a line."""
    scores = retrieval_report(embeddings, y).scores
    print(f"{name:47}" + "".join(f"{scores[key]:>13.3f}" for key in SCORES.values()))


def listed(y):
    """Name some classes."""
    return "the digits " + ", ".join(map(str, np.unique(y)))


if __name__ == "__main__":
    main()
