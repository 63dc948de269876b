"""Seconds for an epoch of DeepMetricLearner.fit on the tutorial network, against other loops.

The bare loop does forward, loss, backward and step on the same batches of the same uint8 images; `fit` does
that and everything else: reading, sampling, statistics, snapshots, checks. On a CPU it also hands the images
over channels last, as the second bare loop does: what `fit` adds shows beside that one. The trainer of
pytorch-metric-learning has its own loss, miner and sampler; the loop of skorch, run where skorch is
installed, has our loss and sampler. All take turns, and the fastest of each counts. Images are noise, which
changes no speed. On a machine that others use as well, look at the seconds that the process itself computed,
with one thread (OMP_NUM_THREADS=1).

    python benchmarks/deep_epoch.py [--steps 20] [--epochs 2] [--repeats 3]
"""

import argparse
import time
from functools import partial
from importlib.util import find_spec

import numpy as np
import torch
from pytorch_metric_learning import losses, miners, samplers, trainers
from torch import nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from skmetric.deep import DeepMetricLearner
from skmetric.deep.losses import MultiSimilarityLoss
from skmetric.deep.modules import L2Normalize, TutorialConv
from skmetric.deep.samplers import BalancedBatchSampler

N_CLASSES, N_EACH, LEARNING_RATE = 10, 8, 0.002  # of the tutorial


def bare_loop(images, y, n_epochs, n_steps, device, layout=torch.contiguous_format):
    """Train without a word."""
    network = TutorialConv(images.shape[1:]).to(device)
    loss = MultiSimilarityLoss().bind(256, N_CLASSES)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    samples, labels = torch.from_numpy(images).to(device), torch.from_numpy(y).to(device)
    sampler = BalancedBatchSampler(y, N_CLASSES, N_EACH, steps_per_epoch=n_steps)
    for _ in range(n_epochs):
        for rows in sampler:
            rows = torch.tensor(rows, device=device)
            batch = (samples[rows].float() / 255).contiguous(memory_format=layout)
            embeddings = F.normalize(network(batch))
            optimizer.zero_grad()
            loss(embeddings, labels[rows]).backward()
            optimizer.step()


def fit(images, y, n_epochs, n_steps, device):
    """Train by `fit`."""
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
    model.fit(images, y)


def peer(images, y, n_epochs, n_steps, device):
    """Train by the trainer of pytorch-metric-learning, with its sampler, miner and loss of the same kind."""
    network = TutorialConv(images.shape[1:]).to(device)
    trainer = trainers.MetricLossOnly(
        models={"trunk": network},
        optimizers={"trunk_optimizer": torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)},
        batch_size=N_CLASSES * N_EACH,
        loss_funcs={"metric_loss": losses.MultiSimilarityLoss(2, 40, 0.5)},
        mining_funcs={"tuple_miner": miners.MultiSimilarityMiner(0.1)},
        iterations_per_epoch=n_steps,
        dataset=TensorDataset(torch.from_numpy(images).float() / 255, torch.from_numpy(y)),
        sampler=samplers.MPerClassSampler(y, N_EACH, N_CLASSES * N_EACH, n_steps * N_CLASSES * N_EACH),
        dataloader_num_workers=0,
    )
    trainer.train(num_epochs=n_epochs)


class Criterion(nn.Module):
    """Our loss as skorch takes it."""

    def __init__(self):
        super().__init__()
        self.loss = MultiSimilarityLoss().bind(256, N_CLASSES)

    def forward(self, embeddings, labels):
        """Value for a batch."""
        return self.loss(embeddings, labels)


def skorch_loop(images, y, n_epochs, n_steps, device):
    """Train by skorch, on the same batches."""
    from skorch import NeuralNet

    net = NeuralNet(
        nn.Sequential(TutorialConv(images.shape[1:]), L2Normalize()),
        Criterion(),
        optimizer=torch.optim.Adam,
        lr=LEARNING_RATE,
        max_epochs=n_epochs,
        iterator_train__batch_sampler=BalancedBatchSampler(y, N_CLASSES, N_EACH, steps_per_epoch=n_steps),
        iterator_train__batch_size=1,  # torch's default, which a batch sampler must find
        train_split=None,
        verbose=0,
        device=device,
    )
    net.fit(images.astype(np.float32) / 255, y)


def seconds(run, images, y, n_epochs, n_steps, device):
    """Wall-clock and computing seconds an epoch; what comes before and after is shared out."""
    wall, computing = time.perf_counter(), time.process_time()
    run(images, y, n_epochs, n_steps, device)
    if device == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - wall) / n_epochs, (time.process_time() - computing) / n_epochs


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
    seconds(bare_loop, images, y, 1, 2, options.device)  # warm up
    runs = {
        "bare loop": bare_loop,
        "same, channels last": partial(bare_loop, layout=torch.channels_last),
        "fit": fit,
        "pytorch-metric-learning": peer,
        "skorch": skorch_loop,
    }
    if find_spec("skorch") is None:
        print("skorch is not installed, so its loop is left out: pip install skorch")
        del runs["skorch"]
    taken = {name: [] for name in runs}
    for _ in range(options.repeats):
        for name, run in runs.items():
            taken[name].append(seconds(run, images, y, *arguments))
    best = {name: np.min(times, axis=0) for name, times in taken.items()}  # (wall, computing)
    n_threads = torch.get_num_threads()
    print(f"{options.steps} batches of {N_CLASSES}x{N_EACH}, {options.device}, {n_threads} threads")
    print(f"{'seconds an epoch':25}{'wall':>9}{'of bare':>9}{'computing':>11}{'of bare':>9}")
    for name, (wall, computing) in best.items():
        ratios = best[name] / best["bare loop"]
        print(f"{name:25}{wall:9.3f}{ratios[0]:9.3f}{computing:11.3f}{ratios[1]:9.3f}")


if __name__ == "__main__":
    main()
