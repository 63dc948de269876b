"""Fine-tuning a pretrained network on small photographs, against the closed form on its frozen features.

    python benchmarks/fine_tuning.py [--data DIR] [--seeds 0 1 2] [--epochs 3]

DIR holds `load.py`, `torchvision_cpu.py`, `grocery.npz` and the weights of MobileNetV2. Half of the products
train, drawn by seed; 1200 photographs of the others are scored, each searched among the others. The recipe is
that of `DeepMetricLearner` for a network by name; all products train (`validation_fraction=None`), and the
number of epochs was chosen on other halves than those of the seeds above.
"""

import argparse
import sys
from pathlib import Path
from time import process_time

import numpy as np
from sklearn.preprocessing import Normalizer

DATA = Path(__file__).parents[1] / "../shared/data"
NETWORK = "mobilenetv2_100"
SCORED = 1200


def halves(y, seed):
    """Mask of the rows of the half of the classes that trains."""
    classes = np.random.default_rng(seed).permutation(np.unique(y))
    return np.isin(y, classes[: len(classes) // 2])


def show(name, report, seconds, best=None):
    """Print scores with intervals, the ratio to the best closed form, and CPU seconds."""
    cells = "  ".join(
        f"{report[score]:.3f} [{report.intervals[score][0]:.3f}, {report.intervals[score][1]:.3f}]"
        for score in ("map_at_r", "recall_at_1")
    )
    ratio = "" if best is None else f"{report['map_at_r'] / best:.2f}"
    print(f"  {name:26} {cells} {ratio:>6} {seconds:8.0f}", flush=True)


def compare(X, y, train, weights, epochs):
    """Print a row for each way; return MAP@R of the tuned network over the best without."""
    from skmetric import DeepMetricLearner, FrozenFeatures, MetricLearner
    from skmetric.metrics import retrieval_report

    kept = np.random.default_rng(0).permutation(np.flatnonzero(~train))[:SCORED]

    def report(embeddings):
        return retrieval_report(embeddings, y[kept], scores=["map_at_r", "recall_at_1"])

    network = {"weights": weights, "model_kwargs": {"pad_type": "same"}, "device": "cpu"}
    start = process_time()
    features = FrozenFeatures(NETWORK, image_size=64, crop_pct=1.0, **network)
    known, unseen = features.fit_transform(X[train]), features.transform(X[kept])
    spent = process_time() - start
    cosine = report(Normalizer().transform(unseen))
    show("cosine of frozen features", cosine, spent)
    learner = MetricLearner(random_state=0).fit(known, y[train])
    closed = report(learner.transform(unseen))
    show("MetricLearner()", closed, process_time() - start)
    best = max(cosine["map_at_r"], closed["map_at_r"])
    start = process_time()
    tuned = DeepMetricLearner(
        NETWORK, max_epochs=epochs, validation_fraction=None, random_state=0, **network
    ).fit(X[train], y[train])
    spent = process_time() - start
    scores = report(tuned.transform(X[kept]))
    show("fine-tuned", scores, spent, best)
    return scores["map_at_r"] / best


def main():
    """Print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder with load.py and the sets")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of the halves")
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    sys.path.insert(0, str(options.data.resolve()))
    import torchvision_cpu  # noqa: F401  before timm
    from load import load

    weights = str(options.data.resolve() / "weights" / "mobilenetv2_100_tf2_in1k.safetensors")
    data = load("grocery")
    print(
        f"{NETWORK}, groceries at 64 px, {options.epochs} epochs; 95% bootstrap intervals over unseen"
        " products.\nratio: MAP@R over the best without tuning.\n"
    )
    print(f"  {'':26} {'MAP@R':20}  {'recall@1':20} {'ratio':>6} {'CPU s':>8}")
    ratios = []
    for seed in options.seeds:
        train = halves(data.target, seed)
        print(f"seed {seed}: {train.sum()} photographs of {len(np.unique(data.target[train]))} products")
        ratios.append(compare(data.data, data.target, train, weights, options.epochs))
    print(f"\nmean ratio over seeds: {np.mean(ratios):.2f} ({len(ratios)})")


if __name__ == "__main__":
    main()
