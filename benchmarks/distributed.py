"""Two processes against one that is held to one thread, on the same batches: samples a second, and losses.

Both train a small convolutional network by `DeepMetricLearner.fit`, on noisy images of ten classes. It has no
batch norm, whose statistics would be those of the share of a process: its norm is that of groups of channels.
The seconds are those of an epoch, as `history_` has them: starting the processes and reading do not count.
The two take turns, and the fastest epoch of each counts; the first epoch of a fit is left out.

Two numbers say what can be reached: the samples a second of two fits that know nothing of each other, and how
far the losses of one process move if its weights at the start change by a factor of 1e-7, about the last
digit of a float32.

    OMP_NUM_THREADS=1 python benchmarks/distributed.py [--steps 20] [--epochs 3] [--repeats 3] [--each 8]
"""

import argparse
import itertools
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import torch
from torch import nn

from skmetric.deep import DeepMetricLearner, Distributed

N_CLASSES = 10


def network(relative_change=0.0):
    """Five convolutions, the same weights each time."""
    torch.manual_seed(0)
    layers, widths = [], (3, 32, 64, 64, 128, 128)
    for n_in, n_out in itertools.pairwise(widths):
        layers += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.GroupNorm(8, n_out), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if n_out > n_in else []
    made = nn.Sequential(*layers, nn.Flatten())
    with torch.no_grad():
        for weights in made.parameters():
            weights.mul_(1 + relative_change * torch.randn_like(weights))
    return made


def history(images, y, n_each, n_steps, n_epochs, devices=1, relative_change=0.0):
    """Rows of the epochs of a fit by so many processes."""
    model = DeepMetricLearner(
        network(relative_change),
        loss="sup_con",
        classes_per_batch=N_CLASSES,
        samples_per_class=n_each,
        steps_per_epoch=n_steps,
        max_epochs=n_epochs,
        learning_rate=1e-4,
        precision="fp32",
        device="cpu",
        random_state=0,
        distributed=None if devices == 1 else Distributed("ddp_fork", devices=devices),
    )
    return model.fit(images, y).history_


def two_fits(*asked):
    """Rows of the epochs of two fits at once, each in its own process, that know nothing of each other."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        return [future.result() for future in [pool.submit(history, *asked) for _ in range(2)]]


def losses(rows):
    """Of each epoch."""
    return np.array([row["loss"] for row in rows])


def seconds(rows):
    """Of each epoch but the first."""
    return [row["seconds"] for row in rows[1:]]


def main():
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--each", type=int, default=8, help="samples of a class in a batch, of ten classes")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(400) % N_CLASSES)
    classes = rng.integers(0, 156, (N_CLASSES, 3, 32, 32))
    images = (classes[y] + rng.integers(0, 100, (len(y), 3, 32, 32))).astype(np.uint8)
    fit = images, y, asked.each, asked.steps, asked.epochs
    n_samples = asked.steps * N_CLASSES * asked.each
    one, two, apart = [], [], []
    for _ in range(asked.repeats):
        alone = history(*fit)
        together = history(*fit, devices=2)
        one += seconds(alone)
        two += seconds(together)
        apart += [max(pair) / 2 for pair in zip(*map(seconds, two_fits(*fit)), strict=True)]
    print(f"batches of {N_CLASSES * asked.each} samples, {asked.steps} an epoch, {os.cpu_count()} cores")
    print(f"load of the machine over the last minute: {os.getloadavg()[0]:.1f}\n")
    rows = (
        ("one process, one thread", one),
        ("two processes, one thread each", two),
        ("two fits at once", apart),
    )
    for name, found in rows:
        print(f"{name:40s} {n_samples / min(found):8.1f} samples a second  {min(one) / min(found):5.2f}")
    curve = losses(alone)
    print(f"\nlosses of the epochs of one process: {' '.join(f'{loss:.4f}' for loss in curve)}")
    for name, other in (
        ("two processes", together),
        ("one, weights changed by 1e-7", history(*fit, relative_change=1e-7)),
    ):
        print(f"{name:40s} {np.abs(losses(other) / curve - 1).max():8.1e} apart, relative, at most")


if __name__ == "__main__":
    main()
