"""Batch-all triplet loss, forward and backward, against pytorch-metric-learning: seconds and peak memory.

Each loss runs in a process of its own, whose peak resident memory is read before and after.

    python benchmarks/losses.py [--batch-size 1024] [--per-class 32] [--components 128] [--repeats 3]
"""

import argparse
import json
import resource
import subprocess
import sys
import time

NAMES = ["skmetric", "pytorch-metric-learning"]


def make(name):
    """The loss of one library: Euclidean, margin 0.2, mean over the active triplets."""
    if name == "skmetric":
        from skmetric.deep.losses import TripletMarginLoss

        return TripletMarginLoss(margin=0.2)
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.losses import TripletMarginLoss

    return TripletMarginLoss(margin=0.2, distance=LpDistance(normalize_embeddings=False))


def peak():
    """Peak resident memory so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(name, options):
    """Best time, added peak memory, value and norm of the gradient."""
    import torch

    torch.manual_seed(0)
    embeddings = torch.nn.functional.normalize(torch.randn(options.batch_size, options.components))
    labels = torch.arange(options.batch_size) // options.per_class
    loss = make(name)
    loss(embeddings[:64].clone().requires_grad_(), labels[:64] % 2).backward()  # loads what loads lazily
    before, seconds = peak(), []
    for _ in range(options.repeats):
        leaf = embeddings.clone().requires_grad_()
        start = time.perf_counter()
        value = loss(leaf, labels)
        value.backward()
        seconds.append(time.perf_counter() - start)
    return {
        "seconds": min(seconds),
        "megabytes": peak() - before,
        "value": value.item(),
        "gradient": leaf.grad.norm().item(),
    }


def main():
    """Measure both and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--per-class", type=int, default=32)
    parser.add_argument("--components", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=NAMES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        print(json.dumps(measure(options.only, options)))
        return
    results = {}
    for name in NAMES:
        command = [sys.executable, __file__, *sys.argv[1:], "--only", name]
        run = subprocess.run(command, check=True, capture_output=True, text=True)
        results[name] = json.loads(run.stdout)
    print(f"{'batch-all triplet':26}{'s':>8}{'MB':>8}{'value':>11}{'|gradient|':>12}")
    for name, result in results.items():
        print(
            f"{name:26}{result['seconds']:8.3f}{result['megabytes']:8.0f}"
            f"{result['value']:11.6f}{result['gradient']:12.6f}"
        )
    ours, theirs = (results[name]["seconds"] for name in NAMES)
    print(f"ratio of times {theirs / ours:.1f}")


if __name__ == "__main__":
    main()
