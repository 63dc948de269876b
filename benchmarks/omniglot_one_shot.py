"""Omniglot's official one-shot task: 20 runs of 20 characters of one alphabet, one example of each.

    python benchmarks/omniglot_one_shot.py [--data DIR] [--steps 4000] [--develop]

It trains on the background characters alone, upright and turned, each cut out around its ink; the closed form
is the last layer, and views of an image are averaged.
``--develop`` is for choosing: it holds out six background alphabets, makes runs of them as the official ones
are made (two drawers, 20 characters of one alphabet), and does not open the official file. Published: people
95.5 %, Bayesian program learning 96.7 % (Lake et al., Science 2015), Koch's siamese network 92.0 % (2015).
"""

import argparse
import importlib.util
from pathlib import Path
from time import perf_counter, process_time
from typing import NamedTuple

import numpy as np
import torch
from sklearn.preprocessing import normalize
from torch import nn
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample

from skmetric import DeepMetricLearner
from skmetric.deep.augment import RandomAffine
from skmetric.deep.losses import MultiSimilarityLoss

DATA = Path(__file__).parents[1] / "../shared/data"
SIDE, MARGIN = 28, 0.08  # pixels of a character, and its surroundings as a share of it
VIEWS = RandomAffine(degrees=5, scale=0.1, shear=0.1, shift=0.05)  # of an image that is to be recognised
N_HELD_OUT, N_WAY, N_DRAWERS = 6, 20, 20


class Runs(NamedTuple):
    """Tasks of `n_way` classes each: one example a class, and queries to find among them."""

    examples: np.ndarray  # (n_runs, n_way, H, W) uint8
    queries: np.ndarray  # (n_runs, n_way, H, W) uint8
    answers: np.ndarray  # (n_runs, n_way) which example has the class of the query


def made_runs(data, alphabets, n_runs):
    """Runs like the official ones: 20 characters of an alphabet, by one drawer and by another."""
    rng = np.random.default_rng(1)
    pairs = []
    for run in range(n_runs):
        characters = np.unique(data.target[data.alphabet == alphabets[run % len(alphabets)]])
        drawn = rng.permutation(characters)[:N_WAY]
        drawers = rng.choice(np.arange(1, N_DRAWERS + 1), 2, replace=False)
        rows = [
            [np.flatnonzero((data.target == c) & (data.drawer == drawer))[0] for c in drawn]
            for drawer in drawers
        ]
        pairs.append(rows)
    examples, queries = data.data[np.array(pairs)].swapaxes(0, 1)  # (n_runs, n_way, H, W) each
    return Runs(examples, queries, np.tile(np.arange(N_WAY), (n_runs, 1)))


def main():
    """Print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder with load.py and the sets")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--develop", action="store_true", help="score held-out background alphabets")
    parser.add_argument("--runs", type=int, default=120, help="runs made with --develop")
    options = parser.parse_args()

    data = read_omniglot(options.data)
    images, y = data.data, data.target
    if options.develop:
        names, sizes = np.unique(data.alphabet[data.drawer == 1], return_counts=True)
        held_out = np.random.default_rng(0).permutation(names[sizes >= N_WAY])[:N_HELD_OUT]
        runs = made_runs(data, held_out, options.runs)
        known = ~np.isin(data.alphabet, held_out)
        images, y = images[known], y[known]
    else:
        runs = framed_runs(official_runs(options.data))
    images, y = with_rotations(images, y)
    wall, computing = perf_counter(), process_time()
    learner = omniglot_learner(options.steps).fit(images, y)
    wall, computing = perf_counter() - wall, process_time() - computing
    print(f"{options.steps} steps of 128 images of {SIDE}x{SIDE}, {len(np.unique(y))} classes,")
    print(f"{wall:.0f} s by the clock, {computing:.0f} s of computing, {torch.get_num_threads()} threads")
    source = "made of held-out background alphabets" if options.develop else "official"
    print(
        f"{len(runs.answers)} runs, {source}: {runs.answers.size} answers; 95 % interval over runs; seconds"
    )
    for name, embed in [
        ("raw pixels", pixels),
        ("network", learner.transform),
        ("network, mean of 5 views", lambda images: of_views(learner, images)),
    ]:
        began = perf_counter()
        share, low, high = accuracy(embed, runs)
        print(f"{name:26}{share:7.2%} [{low:.2%}, {high:.2%}]{perf_counter() - began:8.1f} s", flush=True)


def omniglot_learner(n_steps):
    """Learner of characters, chosen on background alphabets held out: ``--develop``."""
    return DeepMetricLearner(
        character_network,
        loss=MultiSimilarityLoss(),
        classes_per_batch=32,
        samples_per_class=4,
        steps_per_epoch=n_steps // 10,
        max_epochs=10,
        optimizer="adamw",
        learning_rate=3e-3,
        weight_decay=1e-4,
        schedule="one_cycle",
        augment=RandomAffine(degrees=15, scale=0.2, shear=0.2, shift=0.1),
        head="closed_form",
        validation_fraction=None,  # all characters train, once
        random_state=0,
    )


def character_network(input_shape, n_components=256):
    """Four blocks that grow wider as maps shrink; the last map keeps its places, for strokes have some.

    The first block halves the image at once: at full size a third of the time went into its 32 maps.
    """

    def block(n_in, n_out, size=3, stride=1):
        convolution = nn.Conv2d(n_in, n_out, size, stride, size // 2, bias=False)
        return [convolution, nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)]

    places = (-(-input_shape[1] // 2) // 4) ** 2
    layers = [*block(input_shape[0], 32, 5, 2), *block(32, 64), nn.MaxPool2d(2), *block(64, 128)]
    layers += [nn.MaxPool2d(2), *block(128, 256), nn.Flatten(), nn.Linear(256 * places, n_components)]
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)  # a third faster on a CPU


def with_rotations(images, y):
    """Four times the classes: a character on its side is another character."""
    turned = [np.rot90(images, k, axes=(1, 2)) for k in range(4)]
    return np.concatenate(turned), np.concatenate([4 * y + k for k in range(4)])


def of_views(learner, images, n_views=4):
    """Mean embedding of images and of slightly changed copies of them."""
    total = learner.transform(images)
    batch = torch.from_numpy(images[:, None]).float() / 255
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for _ in range(n_views):
            total = total + learner.transform(VIEWS(batch).numpy())
    return normalize(total)


def framed(images):
    """Square around the ink and a margin, brought to `SIDE` pixels: drawers differ in place and size.

    Each pixel is the mean of nine points, between which the image is linear.
    """
    n, side = len(images), images.shape[1]
    ink = images > 0
    first = np.stack([ink.any(2).argmax(1), ink.any(1).argmax(1)])  # (2, n): row, column
    last = side - np.stack([ink.any(2)[:, ::-1].argmax(1), ink.any(1)[:, ::-1].argmax(1)])
    width = (last - first).max(0) * (1 + 2 * MARGIN)  # (n,)
    maps = np.zeros((n, 2, 3), np.float32)  # from places in the result to places in the image, -1 to 1
    maps[:, 0, 0] = maps[:, 1, 1] = width / side
    maps[:, :, 2] = ((first + last) / side - 1)[::-1].T
    out = np.empty((n, SIDE, SIDE), np.uint8)
    for rows in np.array_split(np.arange(n), max(1, n // 2000)):
        shape = [len(rows), 1, 3 * SIDE, 3 * SIDE]
        grid = affine_grid(torch.from_numpy(maps[rows]), shape, align_corners=False)
        points = grid_sample(torch.from_numpy(images[rows, None]).float(), grid, align_corners=False)
        out[rows] = avg_pool2d(points, 3)[:, 0].round().clamp(0, 255).byte().numpy()
    return out


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


def loader(folder):
    """Module that reads the data sets."""
    spec = importlib.util.spec_from_file_location("load", folder / "load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_omniglot(folder):
    """Background characters: ``data`` (n, SIDE, SIDE) uint8, ``target``, ``alphabet``, ``drawer``."""
    data = loader(folder).load("omniglot", split="background")
    data.data = framed(data.data)
    return data


def official_runs(folder):
    """Omniglot's 20 runs of 20-way one-shot classification within an alphabet, images of 105 pixels."""
    with np.load(folder / "oneshot/omniglot_runs.npz") as stored:
        bits = [np.unpackbits(stored[name], axis=-1)[..., : 105**2] for name in ("train", "test")]
        answers = stored["answer"]
    return Runs(*(255 * b.reshape(*answers.shape, 105, 105) for b in bits), answers)


def framed_runs(runs):
    """Runs whose images are cut out around the ink."""
    n_runs, n_way, *shape = runs.examples.shape
    images = (framed(part.reshape(-1, *shape)).reshape(n_runs, n_way, SIDE, SIDE) for part in runs[:2])
    return Runs(*images, runs.answers)


if __name__ == "__main__":
    main()
