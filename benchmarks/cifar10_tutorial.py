"""The CIFAR-10 tutorial of TensorFlow Similarity: retrieval scores on the test split, and seconds.

    python benchmarks/cifar10_tutorial.py [--data DIR] [--epochs 3] [--steps N] [--index 5000]

Batches of 10 classes x 8 images, multi-similarity loss with its mining, Adam at 0.002, embeddings on the unit
sphere. With a CUDA device it trains 3 epochs of 4000 steps, as the tutorial does (34 to 38 seconds an epoch
on a Colab GPU, as it prints); on a CPU 3 epochs of 200, which take minutes on 2 cores. Test images are
searched among each other and in an index of training images.
"""

import argparse
import importlib.util
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import torch

from skmetric import DeepMetricLearner
from skmetric.deep.losses import MultiSimilarityLoss
from skmetric.metrics import retrieval_report

DATA = Path(__file__).parents[1] / "../shared/data"
SCORES = {"recall@1": "recall_at_1", "MAP@R": "map_at_r"}


def main():
    """Print seconds and scores."""
    on_gpu = torch.cuda.is_available()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder with load.py and the sets")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4000 if on_gpu else 200, help="in an epoch")
    parser.add_argument("--index", type=int, default=5000, help="training images in the index")
    options = parser.parse_args()
    train, y_train, test, y_test = read_cifar10(options.data)
    wall, computing = perf_counter(), process_time()
    learner = tutorial_learner(options.steps, options.epochs).fit(train, y_train)
    wall, computing = perf_counter() - wall, process_time() - computing
    where = torch.cuda.get_device_name() if on_gpu else f"CPU, {torch.get_num_threads()} threads"
    of_epochs = ", ".join(f"{row['seconds']:.1f}" for row in learner.history_)
    print(f"{options.epochs} x {options.steps} steps of 80 images, {where}: seconds an epoch {of_epochs};")
    print(f"{wall:.0f} s by the clock, {computing:.0f} s of computing")
    rows = np.random.default_rng(0).permutation(len(train))[: options.index]
    for name, embed in [("raw pixels", flat), ("network", learner.transform)]:
        print_scores(train[rows], y_train[rows], test, y_test, name, embed)


def tutorial_learner(steps_per_epoch, max_epochs=3):
    """Learner with the settings of the tutorial."""
    return DeepMetricLearner(
        "tutorial_conv",
        loss=MultiSimilarityLoss(alpha=2, beta=40, base=0.5, epsilon=0.1),
        classes_per_batch=10,
        samples_per_class=8,
        optimizer="adam",
        learning_rate=0.002,
        steps_per_epoch=steps_per_epoch,
        max_epochs=max_epochs,
        random_state=0,
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
