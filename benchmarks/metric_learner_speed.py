"""What `MetricLearner` costs: its fit against one matrix product, the choice of its shrinkage, its import.

    python benchmarks/metric_learner_speed.py [--quick] [--before DIR]

The fit and the product of the same data run by turns in one process; seconds are medians. Memory is the peak
of a fresh process above its peak once the data is made and a small fit has run. Imports run by turns, each in
a fresh process, the start of Python included. Threads are those that OMP_NUM_THREADS allows.

With `--before`, a checkout of another version, it prints the CPU seconds of the default fit by both, from few
classes to many, in turns, each in a fresh process; the least of three counts.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np

SIZE, CV_SIZE = (100_000, 512, 1_000), (5_000, 512, 200)  # samples, features, classes
QUICK_SIZE, QUICK_CV_SIZE = (10_000, 128, 100), (1_000, 64, 40)
GIVEN = (0.3, 0.1)
REPEATS, IMPORTS = 5, 11
CHOSEN_SIZES = [
    *[(400, 512, 20), (1_600, 1_280, 38), (1_500, 512, 5), (4_000, 512, 10)],
    *[(5_000, 512, 200), (2_000, 128, 1_000)],
]
QUICK_CHOSEN_SIZES = [(200, 32, 5), (200, 32, 20)]
N_TURNS = 3


def make_data(n_samples, n_features, n_classes):
    """Classes that overlap, in float32, made in place."""
    rng = np.random.default_rng(0)
    y = np.arange(n_samples) % n_classes
    X = rng.standard_normal((n_samples, n_features), dtype=np.float32)
    means = rng.standard_normal((n_classes, n_features), dtype=np.float32)
    for rows in np.array_split(np.arange(n_samples), 100):
        X[rows] += means[y[rows]] / 2
    return X, y


def seconds(run):
    """Seconds that a call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def by_turns(first, second, repeats):
    """Median seconds of two calls, made by turns so that a busy machine hurts both."""
    taken = [(seconds(first), seconds(second)) for _ in range(repeats)]
    return [median(side) for side in zip(*taken, strict=True)]


def fit_against_product(size):
    """Seconds of the fit and of X.T @ X."""
    from skmetric.linear import MetricLearner

    learner = MetricLearner(shrinkage=GIVEN)
    learner.fit(*make_data(200, 16, 8))  # first calls are not what is measured
    X, y = make_data(*size)
    return by_turns(lambda: learner.fit(X, y), lambda: X.T @ X, REPEATS)


def search(size):
    """Seconds of a fit that chooses its shrinkage."""
    from skmetric.linear import MetricLearner

    X, y = make_data(*size)
    learner = MetricLearner(shrinkage="cv", random_state=0)
    return median(seconds(lambda: learner.fit(X, y)) for _ in range(3))


def memory(shrinkage, *size):
    """Megabytes of a fit above the input: for a fresh process."""
    from skmetric.linear import MetricLearner

    learner = MetricLearner(shrinkage=shrinkage, random_state=0)
    learner.fit(*make_data(200, 16, 8))
    X, y = make_data(*size)
    before = peak_megabytes()
    learner.fit(X, y)
    return peak_megabytes() - before


def peak_megabytes():
    """Largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_fresh_process(*arguments):
    """What `memory` says when called in a process of its own."""
    command = [sys.executable, __file__, "--memory", json.dumps(arguments)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def default_fit(*size):
    """CPU seconds of the default fit: for a fresh process."""
    from skmetric.linear import MetricLearner

    MetricLearner().fit(*make_data(200, 16, 8))
    X, y = make_data(*size)
    learner, start = MetricLearner(random_state=0), time.process_time()
    learner.fit(X, y)
    return time.process_time() - start


def against(path, sizes):
    """Print the default fit by this version and by that in a folder."""
    here, row = str(Path(__file__).resolve().parents[1]), "{:32} {:>10} {:>10} {:>8}".format
    print(row("default fit, CPU seconds", "this", "before", "ratio"))
    for size in sizes:
        taken = {here: [], path: []}
        for _ in range(N_TURNS):
            for where, found in taken.items():
                command = [sys.executable, __file__, "--default", json.dumps(size)]
                environment = os.environ | {"PYTHONPATH": where}
                run = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
                found.append(float(run.stdout.splitlines()[-1]))
        ours, before = map(min, taken.values())
        label = "{} x {}, {} classes".format(*size)
        print(row(label, f"{ours:.2f}", f"{before:.2f}", f"{ours / before:.2f}"), flush=True)


def importing(module):
    """Make a call that imports a module in a fresh process."""
    return lambda: subprocess.run([sys.executable, "-c", f"import {module}"], check=True)


def compare(size, cv_size):
    """Print the table."""
    row = "{:50} {:>10} {:>10} {:>8}".format
    print(row("", "ours", "peer", "ratio"))

    def line(label, one, other=None, digits=2):
        shown = [
            "" if other is None else text
            for text in (f"{other or 0:.{digits}f}", f"{one / (other or 1):.2f}")
        ]
        print(row(label, f"{one:.{digits}f}", *shown), flush=True)

    shape, cv_shape = (f"{n} x {d}" for n, d, _ in (size, cv_size))
    # before this process holds data: a child's peak begins at its parent's size
    megabytes, cv_megabytes = in_fresh_process(GIVEN, *size), in_fresh_process("cv", *cv_size)
    line(f"fit, shrinkage={GIVEN}, {shape}, s; X.T @ X", *fit_against_product(size))
    line("the same, MB above the input", megabytes, digits=0)
    line(f"fit, shrinkage='cv', {cv_shape}, {cv_size[2]} classes, s", search(cv_size))
    line("the same, MB above the input", cv_megabytes, digits=0)
    ours, peer = importing("skmetric.linear"), importing("sklearn.neighbors")
    by_turns(ours, peer, 1)  # fills the disk cache
    line("import skmetric.linear, s; sklearn.neighbors", *by_turns(ours, peer, IMPORTS), digits=3)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller sets")
    parser.add_argument(
        "--before", metavar="DIR", help="a checkout of another version: the default fit alone"
    )
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    parser.add_argument("--default", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        print(memory(*json.loads(options.memory)))
    elif options.default:
        print(default_fit(*json.loads(options.default)))
    elif options.before:
        against(options.before, QUICK_CHOSEN_SIZES if options.quick else CHOSEN_SIZES)
    elif options.quick:
        compare(QUICK_SIZE, QUICK_CV_SIZE)
    else:
        compare(SIZE, CV_SIZE)
