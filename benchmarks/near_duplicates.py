"""How often `calibrate` warns of near-duplicates: parts of real sets, points at random, made sessions.

    python benchmarks/near_duplicates.py [--data DIR] [--quick]

Each part has 3 to 40 classes of 3 to 20 items, drawn from a set, without groups. Sessions of 2 to 7 items
differ by noise, as a part of the differences between the sessions of a class.
"""

import argparse
import importlib.util
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.preprocessing import normalize

from skmetric.search import SimilaritySearch

DATA = Path(__file__).parents[1] / "../shared/data"
SETS = [
    "orl_faces_features",
    "lfw_faces_features",
    "banking77",
    "grocery_features",
    "caltech101_features",
    "cifar10_features",
]
OTHERS = {"digits": load_digits, "iris": load_iris, "wine": load_wine, "breast cancer": load_breast_cancer}


def read(folder, name):
    """Rows on the unit sphere, and labels, of a set."""
    spec = importlib.util.spec_from_file_location("load", folder / "load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    data = module.load(name)
    return normalize(data.data), data.target


def at_random(n_features, rng):
    """Normal classes."""
    y = np.repeat(np.arange(60), 25)
    return 2 * rng.normal(size=(60, n_features))[y] + rng.normal(size=(len(y), n_features)), y


def sessions(noise, rng):
    """Classes of five sessions, in 8 dimensions, each session of 2 to 7 items."""
    session = np.repeat(np.arange(300), rng.integers(2, 8, 300))
    y = session // 5
    X = 1.5 * rng.normal(size=(60, 8))[y] + rng.normal(size=(300, 8))[session]
    return X + noise * rng.normal(size=X.shape), y, session


def warns(X, y):
    """Whether the calibration of a gallery speaks of near-duplicates."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        SimilaritySearch().fit(X, y).calibrate(n_resamples=1, runner_up=0)
    return any("near-duplicates" in str(warning.message) for warning in said)


def part(X, y, rng):
    """Some items of some classes."""
    classes = np.unique(y)
    drawn = rng.choice(classes, min(len(classes), rng.integers(3, 41)), replace=False)
    size = rng.integers(3, 21)
    rows = np.concatenate([rng.permutation(np.flatnonzero(y == label))[:size] for label in drawn])
    return X[rows], y[rows]


def whole_sessions(X, y, session, rng):
    """Some classes, with all items of three of their sessions."""
    drawn = rng.choice(60, rng.integers(3, 41), replace=False)
    rows = np.flatnonzero(np.isin(y, drawn) & (session % 5 < 3))
    return X[rows], y[rows]


def row(name, parts):
    """Print how many parts warn."""
    found = [warns(X, y) for X, y in parts]
    print(f"{name:32}{sum(found):5} of {len(found)}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--quick", action="store_true", help="five parts, no folder of data")
    options = parser.parse_args()
    n_parts, rng = (5 if options.quick else 100), np.random.default_rng(0)
    print(f"{'':32}parts with a warning")
    for name in [] if options.quick else SETS:
        X, y = read(options.data, name)
        row(name, (part(X, y, rng) for _ in range(n_parts)))
    for name, load in OTHERS.items():
        X, y = load(return_X_y=True)
        row(f"{name}, as it is", (part(X, y, rng) for _ in range(n_parts)))
    for n_features in (1, 2, 3, 8):
        X, y = at_random(n_features, rng)
        row(f"normal, {n_features} dimension(s)", (part(X, y, rng) for _ in range(n_parts)))
    for noise in (0.05, 0.1, 0.2, 0.3, 0.5, 1.0):
        made = sessions(noise, rng)
        row(f"sessions, noise {noise}", (whole_sessions(*made, rng) for _ in range(n_parts)))
