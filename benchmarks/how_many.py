"""How many classes and images a learner needs, and how long it takes, on classes never trained on.

    python benchmarks/how_many.py [--data DIR] [--classes 10 30 100 300] [--images 2 4 12] [--no-network]

Characters are drawn (`make_glyphs`): 100 of them are scored, others train. With `--data DIR`, a folder with
`load.py` and `banking77.npz`, the embeddings of messages to a bank are a second set. Scores are MAP@R of
unseen classes, each item searched among the others. Seconds are of computing, on all cores together.
"""

import argparse
import importlib.util
import os
from pathlib import Path

import numpy as np
from sklearn.preprocessing import normalize

from skmetric import DeepMetricLearner, MetricLearner
from skmetric.datasets import make_glyphs
from skmetric.metrics import retrieval_report

SHARED = Path(__file__).parents[1] / "../shared/data"
N_TEST = 100  # characters that are scored


def main():
    """Print a table a set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=SHARED, help="default: beside the clone")
    parser.add_argument("--classes", type=int, nargs="+", default=[10, 30, 100, 300])
    parser.add_argument("--images", type=int, nargs="+", default=[2, 4, 12])
    parser.add_argument("--epochs", type=int, default=8, help="passes of the network over 300 x 12 images")
    parser.add_argument("--no-network", action="store_true", help="the linear learner alone")
    options = parser.parse_args()
    most = max(options.images)
    glyphs = make_glyphs(N_TEST + max(options.classes), most, random_state=0)
    kinds = {"MetricLearner": linear} | ({} if options.no_network else {"DeepMetricLearner": network})
    table("characters, 32 x 32 pixels", glyphs.images, glyphs.target, N_TEST, kinds, options)
    if (options.data / "banking77.npz").is_file():
        spec = importlib.util.spec_from_file_location("load", options.data / "load.py")
        reader = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(reader)
        data = reader.load("banking77")
        n_classes = len(np.unique(data.target))
        options.classes = [n for n in options.classes if n < n_classes - 27] + [n_classes - 27]
        options.images = [2, 4, 16, 64]
        order = np.random.default_rng(0).permutation(n_classes)[data.target]  # which classes are scored
        table("messages to a bank, 384 features", data.data, order, 27, {"MetricLearner": linear}, options)


def table(name, X, y, n_test, kinds, options):
    """Score learners fitted on more and more classes, and on more and more images of each."""
    test = y < n_test
    report = retrieval_report(normalize(flat(X[test])), y[test], scores=["recall_at_1", "map_at_r"])
    print(f"\n{name}: {test.sum()} of {n_test} classes are scored")
    print(f"{'':18} classes  images      MAP@R  recall@1  seconds")
    print(f"{'cosine':18} {'-':>7} {'-':>7} {report['map_at_r']:10.3f}{report['recall_at_1']:10.3f}")
    most = max(options.images)
    pairs = [(n, most) for n in options.classes] + [
        (max(options.classes), m) for m in options.images if m != most
    ]
    for kind, learn in kinds.items():
        for n_classes, n_images in pairs:
            rows = some(y, range(n_test, n_test + n_classes), n_images)
            began = computing()
            embeddings = learn(X[rows], y[rows], options).transform(
                X[test] if kind != "MetricLearner" else flat(X[test])
            )
            seconds = computing() - began
            report = retrieval_report(embeddings, y[test], scores=["recall_at_1", "map_at_r"])
            print(
                f"{kind:18} {n_classes:7} {n_images:7} {report['map_at_r']:10.3f}"
                f"{report['recall_at_1']:10.3f}{seconds:9.1f}",
                flush=True,
            )


def some(y, classes, n_images):
    """The first rows of each class."""
    return np.concatenate([np.flatnonzero(y == label)[:n_images] for label in classes])


def flat(X):
    """Rows of pixels from 0 to 1, or the features."""
    return X.reshape(len(X), -1) / 255 if X.dtype == np.uint8 else X


def linear(X, y, options):
    """The linear default."""
    return MetricLearner(random_state=0).fit(flat(X), y)


def network(X, y, options):
    """A small network, with the same number of steps whatever the number of images."""
    return DeepMetricLearner(
        "conv4",
        augment="affine",
        learning_rate=3e-3,
        schedule="one_cycle",
        max_epochs=options.epochs,
        steps_per_epoch=300 * 12 // 128,
        classes_per_batch=min(32, len(np.unique(y))),
        samples_per_class=min(4, len(y) // len(np.unique(y))),
        validation_fraction=0,
        random_state=0,
    ).fit(X, y)


def computing():
    """Seconds of computing of this process until now."""
    times = os.times()
    return times.user + times.system


if __name__ == "__main__":
    main()
