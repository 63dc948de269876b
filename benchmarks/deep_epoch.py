"""Seconds for an epoch of DeepMetricLearner.fit on the tutorial network, against a bare torch loop.

The bare loop does forward, loss, backward and step on the same batches of the same uint8 images; `fit` does
that and everything else: reading, sampling, statistics, snapshots, checks. Both take turns, and the fastest
of each counts. Images are noise, which changes no speed.

    python benchmarks/deep_epoch.py [--steps 20] [--epochs 2] [--repeats 3]
"""

import argparse
import time

import numpy as np
import torch
from torch.nn import functional as F

from skmetric.deep import DeepMetricLearner
from skmetric.deep.losses import MultiSimilarityLoss
from skmetric.deep.modules import TutorialConv
from skmetric.deep.samplers import BalancedBatchSampler

N_CLASSES, N_EACH, LEARNING_RATE = 10, 8, 0.002  # of the tutorial


def bare_loop(images, y, n_epochs, n_steps, device):
    """Train without a word; seconds an epoch."""
    began = time.perf_counter()
    network = TutorialConv(images.shape[1:]).to(device)
    loss = MultiSimilarityLoss().bind(256, N_CLASSES)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    samples, labels = torch.from_numpy(images).to(device), torch.from_numpy(y).to(device)
    sampler = BalancedBatchSampler(y, N_CLASSES, N_EACH, steps_per_epoch=n_steps)
    for _ in range(n_epochs):
        for rows in sampler:
            rows = torch.tensor(rows, device=device)
            embeddings = F.normalize(network(samples[rows].float() / 255))
            optimizer.zero_grad()
            loss(embeddings, labels[rows]).backward()
            optimizer.step()
    finish(device)
    return (time.perf_counter() - began) / n_epochs


def learner(images, y, n_epochs, n_steps, device):
    """Train by `fit`; seconds an epoch, all that comes before and after shared out."""
    model = DeepMetricLearner(
        "tutorial_conv",
        loss="multi_similarity",
        classes_per_batch=N_CLASSES,
        samples_per_class=N_EACH,
        steps_per_epoch=n_steps,
        max_epochs=n_epochs,
        learning_rate=LEARNING_RATE,
        precision="fp32",
        device=device,
        random_state=0,
    )
    began = time.perf_counter()
    model.fit(images, y)
    finish(device)
    return (time.perf_counter() - began) / n_epochs


def finish(device):
    """Wait for a GPU."""
    if device == "cuda":
        torch.cuda.synchronize()


def main():
    """Print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=20, help="batches in an epoch")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2000, 3, 32, 32), dtype=np.uint8)
    y = rng.permutation(2000) % N_CLASSES
    arguments = options.epochs, options.steps, options.device
    bare_loop(images, y, 1, 2, options.device)  # warm up
    pairs = [
        (bare_loop(images, y, *arguments), learner(images, y, *arguments)) for _ in range(options.repeats)
    ]
    bare, fit = (min(seconds) for seconds in zip(*pairs, strict=True))
    n_threads = torch.get_num_threads()
    print(f"{options.steps} batches of {N_CLASSES}x{N_EACH}, {options.device}, {n_threads} threads")
    print(f"{'':10}{'s an epoch':>12}{'of bare':>9}")
    print(f"{'bare loop':10}{bare:12.3f}{1:9.2f}")
    print(f"{'fit':10}{fit:12.3f}{fit / bare:9.3f}")


if __name__ == "__main__":
    main()
