"""Two processes against one that is held to one thread, on the same batches: samples a second, and losses.

Both train a small convolutional network by `DeepMetricLearner.fit`, on noisy images of ten classes. It has no
batch norm, whose statistics would be those of the share of a process. The seconds are those of an epoch, as
`history_` has them: starting the processes and reading do not count. The two take turns, and the fastest
epoch of each counts; the first epoch of a fit is left out. The optimizer is SGD: with Adam the losses were
farther apart.

    OMP_NUM_THREADS=1 python benchmarks/distributed.py [--steps 10] [--epochs 3] [--repeats 3]
"""

import argparse
import itertools
import os

import numpy as np
import torch
from torch import nn

from skmetric.deep import DeepMetricLearner, Distributed

N_CLASSES, N_EACH = 10, 8


def network():
    """Five convolutions, the same weights each time."""
    torch.manual_seed(0)
    layers, widths = [], (3, 32, 64, 64, 128, 128)
    for n_in, n_out in itertools.pairwise(widths):
        layers += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if n_out > n_in else []
    return nn.Sequential(*layers, nn.Flatten())


def history(images, y, n_steps, n_epochs, devices):
    """Rows of the epochs of a fit by so many processes."""
    model = DeepMetricLearner(
        network(),
        loss="multi_similarity",
        optimizer="sgd",
        classes_per_batch=N_CLASSES,
        samples_per_class=N_EACH,
        steps_per_epoch=n_steps,
        max_epochs=n_epochs,
        learning_rate=0.1,
        precision="fp32",
        device="cpu",
        random_state=0,
        distributed=None if devices == 1 else Distributed("ddp_fork", devices=devices),
    )
    return model.fit(images, y).history_


def main():
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(400) % N_CLASSES)
    classes = rng.integers(0, 156, (N_CLASSES, 3, 32, 32))
    images = (classes[y] + rng.integers(0, 100, (len(y), 3, 32, 32))).astype(np.uint8)
    seconds, losses = {1: [], 2: []}, {}
    for _ in range(asked.repeats):
        for devices in (1, 2):
            rows = history(images, y, asked.steps, asked.epochs, devices)
            seconds[devices] += [row["seconds"] for row in rows[1:]]
            losses[devices] = np.array([row["loss"] for row in rows])
    n_samples = asked.steps * N_CLASSES * N_EACH
    rates = {devices: n_samples / min(found) for devices, found in seconds.items()}
    print(f"batches of {N_CLASSES * N_EACH} samples, {asked.steps} an epoch, {os.cpu_count()} cores")
    print(f"load of the machine over the last minute: {os.getloadavg()[0]:.1f}\n")
    for devices, name in ((1, "one process, one thread"), (2, "two processes, one thread each")):
        print(f"{name:32s} {rates[devices]:8.1f} samples a second")
    print(f"{'ratio':32s} {rates[2] / rates[1]:8.2f}")
    difference = np.abs(losses[2] / losses[1] - 1).max()
    print(f"{'losses of the epochs':32s} {difference:8.1e} apart, relative, at most")


if __name__ == "__main__":
    main()
