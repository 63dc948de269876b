"""What `retrieval_report` costs: against the bare matrix product, and against pytorch-metric-learning.

    python benchmarks/retrieval_report.py [--quick]

Each side runs in a fresh process, one after the other. Memory is the peak of the process above its peak once
the data is made and everything is imported. Threads are those that OMP_NUM_THREADS allows.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np

SIZES = [(10_000, 10), (60_000, 1_000)]  # samples, classes
QUICK_SIZES = [(2_000, 10), (6_000, 100)]
N_FEATURES = 128
WHOLE_RANKING_LIMIT = 10_000  # samples: beyond, the peer's rankings of the whole gallery do not fit in memory

PEER_NAMES = {
    "recall_at_1": "precision_at_1",
    "r_precision": "r_precision",
    "map_at_r": "mean_average_precision_at_r",
    "mean_average_precision": "mean_average_precision",
    "mean_reciprocal_rank": "mean_reciprocal_rank",
}


def make_data(n_samples, n_classes):
    """Classes that overlap, made in place."""
    rng = np.random.default_rng(0)
    y = np.arange(n_samples) % n_classes
    X = rng.standard_normal((n_samples, N_FEATURES), dtype=np.float32)
    means = rng.standard_normal((n_classes, N_FEATURES), dtype=np.float32)
    for rows in np.array_split(np.arange(n_samples), 100):
        X[rows] += means[y[rows]] / 2
    return X, y


def product(X, y):
    """The bare float32 product of all rows with all rows, in blocks."""
    out = np.empty((256, len(X)), dtype=np.float32)
    for start in range(0, len(X), 256):
        part = X[start : start + 256]
        np.matmul(part, X.T, out=out[: len(part)])
    return {}


def ours(X, y):
    """All eight scores with intervals and chance levels."""
    from skmetric.metrics import retrieval_report

    return retrieval_report(X, y).scores


def ours_as_peer(X, y):
    """Only the scores that `peer` computes on as many rows, with intervals."""
    from skmetric.metrics import retrieval_report

    return retrieval_report(X, y, scores=peer_scores(X)).scores


def bootstrap(X, y):
    """The part of `ours` that makes the intervals: eight scores a query, resampled 1000 times."""
    from skmetric.metrics._bootstrap import resampled_means

    resampled_means(X[:, :8].T.astype(np.float64), 1000, np.random.default_rng(0))
    return {}


def peer_scores(X):
    """Names of the scores that `peer` can compute on so many rows."""
    names = list(PEER_NAMES)
    return names if len(X) <= WHOLE_RANKING_LIMIT else names[:3]


def peer(X, y):
    """What AccuracyCalculator has of them, with its own search in torch."""
    import torch
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
    from pytorch_metric_learning.utils.inference import CustomKNN

    names = peer_scores(X)
    calculator = AccuracyCalculator(
        include=tuple(PEER_NAMES[name] for name in names),
        k=None if "mean_average_precision" in names else "max_bin_count",
        device=torch.device("cpu"),
        knn_func=CustomKNN(LpDistance(normalize_embeddings=False), batch_size=1000),
    )
    scores = calculator.get_accuracy(X, y)
    return {name: scores[PEER_NAMES[name]] for name in names}


SIDES = {side.__name__: side for side in (product, ours, ours_as_peer, bootstrap, peer)}


def peak_megabytes():
    """Largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(side, n_samples, n_classes):
    """Run one side in this process and print what it cost."""
    run = SIDES[side]
    run(*make_data(500, 10))  # imports and first calls are not what is measured
    X, y = make_data(n_samples, n_classes)
    before, start = peak_megabytes(), time.perf_counter()
    scores = run(X, y)
    print(
        json.dumps(
            {"seconds": time.perf_counter() - start, "MB": peak_megabytes() - before, "scores": scores}
        )
    )


def measured(side, n_samples, n_classes):
    """What one side costs, from a fresh process."""
    command = [sys.executable, __file__, "--side", side, str(n_samples), str(n_classes)]
    return json.loads(
        subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    )


def compare(n_samples, n_classes):
    """Print the table of one size."""
    results = {side: measured(side, n_samples, n_classes) for side in SIDES}
    mine, theirs = results["ours"], results["peer"]
    difference = max(abs(mine["scores"][name] - value) for name, value in theirs["scores"].items())
    print(f"{n_samples} x {N_FEATURES}, {n_classes} classes")
    row = "  {:52} {:>12} {:>12} {:>8}".format
    print(row("", "ours", "peer", "ratio"))

    def line(label, one, other, digits):
        print(row(label, f"{one:.{digits}f}", f"{other:.{digits}f}", f"{one / other:.2f}"))

    line("seconds; peer: bare product of X and X.T", mine["seconds"], results["product"]["seconds"], 2)
    line("seconds; peer: AccuracyCalculator", mine["seconds"], theirs["seconds"], 2)
    line(
        f"the same, its {len(theirs['scores'])} scores only",
        results["ours_as_peer"]["seconds"],
        theirs["seconds"],
        2,
    )
    line("MB above the input; peer: AccuracyCalculator", mine["MB"], theirs["MB"], 0)
    for name, value in theirs["scores"].items():
        line(f"{name}; peer: AccuracyCalculator", mine["scores"][name], value, 6)
    print(f"  largest difference of a score {difference:.1e}")
    intervals = results["bootstrap"]
    print(f"  scores: ours {len(mine['scores'])}, with intervals, peer {len(theirs['scores'])}")
    print(f"  intervals alone: {intervals['seconds']:.2f} s, {intervals['MB']:.0f} MB\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller sets")
    parser.add_argument("--side", nargs=3, metavar=("SIDE", "N_SAMPLES", "N_CLASSES"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        measure(arguments.side[0], *map(int, arguments.side[1:]))
    else:
        for size in QUICK_SIZES if arguments.quick else SIZES:
            compare(*size)
