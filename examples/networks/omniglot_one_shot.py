"""
One-shot recognition
====================

One-shot recognition: one image of each class is known, and the classes were never trained on.

Without arguments, in seconds, on scikit-learn's digits: a network trains on 0 to 4, upright and turned, and
then tells 5 to 9 apart from one example each. Five classes are too few to learn from: raw pixels do as well.
With ``--full`` it is Omniglot's official task, 20 characters of one alphabet at a time, after training on the
alphabets of the background set: minutes, and a folder with the data.

    python examples/networks/omniglot_one_shot.py
    python examples/networks/omniglot_one_shot.py --full --data DIR
"""

import argparse
import importlib.util
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.preprocessing import normalize
from torch import nn

from skmetric import DeepMetricLearner
from skmetric.deep.augment import RandomAffine
from skmetric.deep.losses import MultiSimilarityLoss

DATA = Path("../shared/data")  # from the root of the clone
SIDE = 42  # pixels of a character
VIEWS = RandomAffine(degrees=5, scale=0.1, shear=0.1, shift=0.05)  # of an image that is to be recognised


class Runs(NamedTuple):
    """Tasks of `n_way` classes each: one example a class, and queries to find among them."""

    examples: np.ndarray  # (n_runs, n_way, H, W) uint8
    queries: np.ndarray  # (n_runs, n_way, H, W) uint8
    answers: np.ndarray  # (n_runs, n_way) which example has the class of the query


def main():
    """Train, and print one line for raw pixels and one for the network."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="Omniglot instead of digits")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with load.py and omniglot.npz")
    options = parser.parse_args()
    if options.full:
        data = read_omniglot(options.data)
        images, y, runs = data.data, data.target, official_runs(options.data)
        learner = omniglot_learner()
    else:
        images, y, runs = digits_in_two()
        learner = omniglot_learner(n_steps=120, network="conv4")
    began = perf_counter()
    images, y = with_rotations(images, y)
    learner.fit(images, y)
    print(f"Trained on {len(np.unique(y))} classes in {perf_counter() - began:.0f} seconds.")
    n_runs, n_way = runs.answers.shape
    print(f"One-shot accuracy, {n_way} classes never trained on, {n_runs} runs [95% interval over runs]:")
    for name, embed in [("raw pixels", pixels), ("network", learner.transform), ("network, 9 views", None)]:
        embed = embed or (lambda images: of_views(learner, images))
        print(f"{name:18}" + "{:.1%} [{:.1%}, {:.1%}]".format(*accuracy(embed, runs)))


# The recipe


def omniglot_learner(n_steps=2500, network=None, **settings):
    """Learner of characters, chosen on background alphabets held out; see the benchmark of this name."""
    defaults = {
        "loss": MultiSimilarityLoss(),
        "classes_per_batch": 32 if network is None else None,
        "samples_per_class": 4,
        "steps_per_epoch": n_steps // 10,
        "max_epochs": 10,
        "optimizer": "adamw",
        "learning_rate": 3e-3,
        "weight_decay": 1e-4,
        "schedule": "one_cycle",
        "augment": RandomAffine(degrees=15, scale=0.2, shear=0.2, shift=0.1),
        "random_state": 0,
    }
    return DeepMetricLearner(network or character_network, **(defaults | settings))


def character_network(input_shape, n_components=256):
    """Four blocks that grow wider as maps shrink; the last map keeps its places, for strokes have some."""
    layers, n_in, side = [], input_shape[0], input_shape[1]
    for n_out in (32, 64, 128, 256):
        layers += [nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()]
        if side >= 6:
            layers.append(nn.MaxPool2d(2))
            side //= 2
        n_in = n_out
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(n_in * side**2, n_components))
    return network.to(memory_format=torch.channels_last)  # a third faster on a CPU


def with_rotations(images, y):
    """Four times the classes: a character on its side is another character."""
    turned = [np.rot90(images, k, axes=(1, 2)) for k in range(4)]
    return np.concatenate(turned), np.concatenate([4 * y + k for k in range(4)])


def of_views(learner, images, n_views=8):
    """Mean embedding of images and of slightly changed copies of them."""
    total = learner.transform(images)
    batch = torch.from_numpy(images[:, None]).float() / 255
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for _ in range(n_views):
            total = total + learner.transform(VIEWS(batch).numpy())
    return normalize(total)


def pixels(images):
    """Raw pixels, of unit length."""
    return normalize(images.reshape(len(images), -1).astype(np.float32))


def accuracy(embed, runs, n_draws=1000):
    """Share of queries whose nearest example is the right one, and its bootstrap interval over runs."""
    n_runs, n_way, *shape = runs.examples.shape
    examples, queries = (embed(images.reshape(-1, *shape)).reshape(n_runs, n_way, -1) for images in runs[:2])
    nearest = (queries @ examples.swapaxes(1, 2)).argmax(-1)  # (n_runs, n_way): rows are of unit length
    of_runs = (nearest == runs.answers).mean(1)
    drawn = np.random.default_rng(0).choice(of_runs, (n_draws, n_runs)).mean(1)
    return of_runs.mean(), *np.quantile(drawn, [0.025, 0.975])


# Data


def digits_in_two(n_runs=100):
    """Images and labels of 0 to 4, and runs among 5 to 9."""
    digits = load_digits()
    images, y = (digits.images * (255 / 16)).astype(np.uint8), digits.target
    rng = np.random.default_rng(0)
    drawn = [
        [rng.choice(np.flatnonzero(y == c), 2, replace=False) for c in range(5, 10)] for _ in range(n_runs)
    ]
    rows = np.array(drawn)  # (n_runs, 5, 2)
    runs = Runs(images[rows[..., 0]], images[rows[..., 1]], np.tile(np.arange(5), (n_runs, 1)))
    return images[y < 5], y[y < 5], runs


def loader(folder):
    """Module that reads the data sets."""
    spec = importlib.util.spec_from_file_location("load", folder / "load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_omniglot(folder):
    """Background characters: ``data`` (n, 42, 42) uint8, ``target``, ``alphabet``, ``drawer``."""
    return loader(folder).load("omniglot", split="background", size=SIDE)


def official_runs(folder):
    """Omniglot's 20 runs of 20-way one-shot classification within an alphabet never trained on."""
    with np.load(folder / "oneshot/omniglot_runs.npz") as stored:
        bits = [np.unpackbits(stored[name], axis=-1)[..., : 105**2] for name in ("train", "test")]
        answers = stored["answer"]
    small = [loader(folder).resize(255 * b.reshape(-1, 105, 105), SIDE) for b in bits]
    examples, queries = (images.reshape(*answers.shape, SIDE, SIDE) for images in small)
    return Runs(examples, queries, answers)


if __name__ == "__main__":
    main()
