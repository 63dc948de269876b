"""The CIFAR-10 tutorial of TensorFlow Similarity: retrieval scores on the test split, and seconds.

    python benchmarks/cifar10_tutorial.py [--data DIR] [--epochs 3] [--steps N] [--index 5000]

The recipe is that of ``examples/cifar10_tutorial.py``. With a CUDA device it trains 3 epochs of 4000 steps,
as the tutorial does (34 to 38 seconds an epoch on a Colab GPU, as it prints); on a CPU 3 epochs of 200, which
take minutes on 2 cores. Test images are searched among each other and in an index of training images.
"""

import argparse
import importlib.util
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import torch

HERE = Path(__file__).parent


def recipe():
    """Module of the example, which holds the tutorial's settings."""
    spec = importlib.util.spec_from_file_location("recipe", HERE / "../examples/cifar10_tutorial.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main():
    """Print seconds and scores."""
    example = recipe()
    on_gpu = torch.cuda.is_available()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=example.DATA, help="folder with load.py and the sets")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4000 if on_gpu else 200, help="in an epoch")
    parser.add_argument("--index", type=int, default=5000, help="training images in the index")
    options = parser.parse_args()
    train, y_train, test, y_test = example.read_cifar10(options.data)
    wall, computing = perf_counter(), process_time()
    learner = example.tutorial_learner(options.steps, options.epochs).fit(train, y_train)
    wall, computing = perf_counter() - wall, process_time() - computing
    where = torch.cuda.get_device_name() if on_gpu else f"CPU, {torch.get_num_threads()} threads"
    of_epochs = ", ".join(f"{row['seconds']:.1f}" for row in learner.history_)
    print(f"{options.epochs} x {options.steps} steps of 80 images, {where}: seconds an epoch {of_epochs};")
    print(f"{wall:.0f} s by the clock, {computing:.0f} s of computing")
    rows = np.random.default_rng(0).permutation(len(train))[: options.index]
    for name, embed in [("raw pixels", example.flat), ("network", learner.transform)]:
        example.print_scores(train[rows], y_train[rows], test, y_test, name, embed)


if __name__ == "__main__":
    main()
