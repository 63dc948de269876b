"""Learners of tuples: beside metric-learn, on whole sets, on classes never trained on.

    python benchmarks/weak_supervision.py speed --metric-learn PYTHON [--learners NAME ...] [--limit SECONDS]
    python benchmarks/weak_supervision.py memory
    python benchmarks/weak_supervision.py sampling
    python benchmarks/weak_supervision.py defaults [--learners NAME ...]
    python benchmarks/weak_supervision.py quality [--data DIR] [--sets NAME ...] [--seeds SEED ...]
    python benchmarks/weak_supervision.py summary [--file FILE]

`speed`: the same tuples, prior, bounds, basis and weights for both, each fit in a fresh process: CPU seconds
(the least of three where they are few), megabytes above what the process had before, and the objective of the
map that came out, computed here for both. Ours come first. MMC's objective is less the logarithm of what it
maximises. The peer of SCML takes 20 times its default iterations. A peer gets SECONDS at most. metric-learn
0.7.0 does not run on scikit-learn 1.9: PYTHON is an interpreter that has it with `force_all_finite` renamed
`ensure_all_finite`; two more faults, of SCML and SDML, are got around here.

`memory`: the most that `fit` of ITML and SCML holds at a time, for ever more tuples of 64 features, ten for
each row, in three iterations; and its share of 8 bytes for each tuple and feature, one row a tuple.

`sampling`: tuples of a million rows in 1000 classes, the least of three.

`defaults`: `FromLabels` of every learner on whole sets: CPU seconds, whether all components are finite, and
whether the fit ended at `max_iter`.

`quality`: DIR holds `load.py` and its `.npz` files. Features are the first 64 right singular vectors of the
training rows, of which at most 1000 are drawn. Learners see half of the classes, at random, with their
defaults (tuples: ten for each row), and are scored on at most 2000 rows of the other half, each searched
among the others. Gains in MAP@R are means over the halves, with 95% intervals of Student's t.

`summary` averages what `quality` printed, over sets; the interval is over sets.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import tracemalloc
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from linear_family import N_COMPONENTS, N_QUERIES, N_ROWS, made, peak, seconds
from metric_learner_quality import SHARED, half, read_sets
from scipy.stats import t as student
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler

from skmetric import MetricLearner
from skmetric.linear import (
    GMML,
    ITML,
    LFDA,
    LMNN,
    LSML,
    MMC,
    NCA,
    RCA,
    SCML,
    SDML,
    Covariance,
)
from skmetric.metrics import map_at_r, recall_at_k
from skmetric.weak import FromLabels, sample_chunks, sample_pairs, sample_quadruplets, sample_triplets

RECORDED = Path(__file__).parents[1] / "doc/measured/weak_supervision.txt"
SCML_ITERATIONS = 200_000  # of the peer: with its 10,000 it ends far from the minimum
ON_TUPLES = {"ITML": ITML, "MMC": MMC, "SDML": SDML, "SCML": SCML, "LSML": LSML}
PEER = """
import json, resource, sys, time
import numpy as np
import metric_learn
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
name, path, parameters = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
with np.load(path) as data:
    X, tuples, y, basis, bounds = (data[key] for key in ("X", "tuples", "y", "basis", "bounds"))
more = {} if name in ("SCML", "LSML") else {"y": y}
if name == "ITML":
    more["bounds"] = bounds**2
learner = getattr(metric_learn, name)(preprocessor=X, **parameters)
fit = learner.fit
if name == "SCML":  # whose fit refuses a basis that is an array
    learner._check_preprocessor()
    fit, more = learner._fit, {"basis": basis, "n_basis": len(basis)}
if name == "SDML":  # which passes an argument that scikit-learn no longer has
    lasso = metric_learn.sdml.graphical_lasso
    metric_learn.sdml.graphical_lasso = lambda emp_cov, alpha, verbose, cov_init: lasso(emp_cov, alpha)
before, taken = peak(), []
while len(taken) < 3 and sum(taken) < 3:
    start = time.process_time()
    fit(tuples, **more)
    taken.append(time.process_time() - start)
print(json.dumps([min(taken), peak() - before, learner.components_.tolist()]))
"""


# Beside metric-learn


def problem(name, X, y, n_tuples):
    """Make the arrays of a problem, our learner, and the parameters of metric-learn's."""
    signs, basis, bounds = np.ones(n_tuples, int), np.empty(0), np.empty(0)
    if name == "SCML":
        tuples = sample_triplets(y, n_tuples, random_state=0)
        gaps = X[tuples[:, 0]] - X[tuples[:, 2]]
        basis = gaps[: max(200, 4 * X.shape[1])]
        basis /= np.linalg.norm(basis, axis=1, keepdims=True)
        ours, theirs = {"basis": basis}, {"random_state": 0, "max_iter": SCML_ITERATIONS}
    elif name == "LSML":
        tuples = sample_quadruplets(y, n_tuples, random_state=0)
        ours, theirs = {}, {}
    else:
        tuples, signs = sample_pairs(y, n_tuples, random_state=0)
    if name == "ITML":
        gaps = np.linalg.norm(X[tuples[:, 0]] - X[tuples[:, 1]], axis=1)
        bounds = np.percentile(gaps, (5, 95))
        ours, theirs = {"bounds": tuple(bounds)}, {"random_state": 0}
    elif name == "MMC":
        ours, theirs = {"shrinkage": 0.0}, {"random_state": 0}
    elif name == "SDML":
        balance = SDML("identity", max_iter=1).fit(X, signs, pairs=tuples).balance_
        ours = {"prior": "identity", "balance": balance, "alpha": 0.01}
        theirs = {"prior": "identity", "balance_param": balance / n_tuples, "sparsity_param": 0.01}
    return {"X": X, "tuples": tuples, "y": signs, "basis": basis, "bounds": bounds}, ours, theirs


def objective(name, M, data, ours):
    """Value that both minimise, of any matrix."""
    X, tuples, y = data["X"], data["tuples"], data["y"]

    def squares(i, j):
        gap = X[tuples[:, i]] - X[tuples[:, j]]
        return np.einsum("ij,jk,ik->i", gap, M, gap, optimize=True)

    log_det = np.trace(M) - np.linalg.slogdet(M)[1] - len(M)
    if name == "ITML":
        ratio = squares(0, 1) / np.where(y == 1, *np.square(data["bounds"]))
        ratio = np.where(np.where(y == 1, ratio > 1, ratio < 1), ratio, 1)
        return log_det + np.sum(ratio - np.log(ratio) - 1)
    if name == "LSML":
        near, far = np.sqrt(squares(0, 1)), np.sqrt(squares(2, 3))
        return log_det + np.mean(np.maximum(near - far, 0) ** 2)
    if name == "SCML":  # without beta times the weights, which is 1e-5 of them
        return np.maximum(1 + squares(0, 1) - squares(0, 2), 0).mean()
    if name == "MMC":  # less the logarithm of the ratio, which has no scale
        values = squares(0, 1)
        return -np.log(np.sqrt(values[y == -1]).sum() / np.sqrt(values[y == 1].sum()))
    penalty = ours["alpha"] * (np.abs(M).sum() - np.trace(np.abs(M)))
    return log_det + len(M) + ours["balance"] * np.mean(y * squares(0, 1)) + penalty


def fit_ours(name, path, parameters):
    """Fit in this process, which does nothing else."""
    with np.load(path) as data:
        X, tuples, y = data["X"], data["tuples"], data["y"]
        if name == "SCML":
            parameters["basis"] = data["basis"]
    kind = {"SCML": "triplets", "LSML": "quadruplets"}.get(name, "pairs")
    learner = ON_TUPLES[name](**parameters)
    before = peak()
    taken = []
    while len(taken) < 3 and sum(taken) < 3:
        taken.append(seconds(lambda: learner.fit(X, y if kind == "pairs" else None, **{kind: tuples})))
    return [min(taken), peak() - before, learner.components_.tolist()]


def run(command, limit):
    """Seconds, megabytes and map that a process prints, or why there is none."""
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return f"over {limit} s"
    except subprocess.CalledProcessError as error:
        return error.stderr.strip().splitlines()[-1][:60]
    taken, megabytes, components = json.loads(done.stdout.splitlines()[-1])
    components = np.array(components)
    return taken, megabytes, components.T @ components


def speed(options):
    """Print seconds, megabytes and objective of both."""
    row = "{:42} {:>8} {:>8} {:>7} {:>7} {:>7} {:>12} {:>12}".format
    print(row("", "ours, s", "peer, s", "times", "MB", "MB", "objective", "objective"))
    warnings.simplefilter("ignore", ConvergenceWarning)  # of learners that only say their parameters
    X, y = load_breast_cancer(return_X_y=True)
    sets = {
        "breast cancer": (StandardScaler().fit_transform(X), y, 1000),
        "2500 x 128, 50 classes": (*made(2500, 128, 50), 10_000),
    }
    for name in options.learners or ON_TUPLES:
        for title, (X, y, n_tuples) in sets.items():
            n_tuples = min(n_tuples, 3000) if name == "ITML" else n_tuples  # more take the peer too long
            data, ours, theirs = problem(name, X, y, n_tuples)
            with tempfile.TemporaryDirectory() as folder:
                path = f"{folder}/problem.npz"
                np.savez(path, **data)
                given = json.dumps({key: value for key, value in ours.items() if key != "basis"})
                mine = run([sys.executable, __file__, "fit", name, path, given], None)
                peer = [options.metric_learn, "-W", "ignore", "-c", PEER, name, path, json.dumps(theirs)]
                other = run(peer, options.limit) if options.metric_learn else "not given"
            cells = [f"{mine[0]:.2f}", "", "", f"{mine[1]:.0f}", ""]
            values = [f"{objective(name, mine[2], data, ours):.5g}", ""]
            if isinstance(other, str):
                values[1] = other
            else:
                cells[1:3] = f"{other[0]:.2f}", f"{other[0] / mine[0]:.0f}"
                cells[4], values[1] = f"{other[1]:.0f}", f"{objective(name, other[2], data, ours):.5g}"
            print(row(f"{name}, {title}, {n_tuples} tuples"[:42], *cells, *values), flush=True)


def memory(options):
    """Print megabytes of ever more tuples."""
    row = "{:28} {:>8} {:>18}".format
    print(row("", "MB", "of a row a tuple"))
    warnings.simplefilter("ignore", ConvergenceWarning)  # three iterations are few
    for name in ("ITML", "SCML"):
        for n_tuples in (10_000, 40_000, 160_000):
            X, y = made(n_tuples // 10, N_COMPONENTS, 50)
            data = problem(name, X, y, n_tuples)[0]
            given = {"triplets": data["tuples"]} if name == "SCML" else {"pairs": data["tuples"]}
            learner = ON_TUPLES[name](max_iter=3, random_state=0)
            tracemalloc.start()
            learner.fit(X, None if name == "SCML" else data["y"], **given)
            held = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            share = held / (8 * n_tuples * N_COMPONENTS)
            print(row(f"{name}, {n_tuples} tuples", f"{held / 1e6:.1f}", f"{share:.2f}"), flush=True)


def sampling(options):
    """Print seconds of the samplers."""
    y = np.random.default_rng(0).integers(0, 1000, 10**6)
    for labels in (y, y.astype(str)):
        for sample in (sample_pairs, sample_triplets, sample_quadruplets, sample_chunks):
            count = None if sample is sample_chunks else 10**6  # None: all chunks of two
            draw = partial(sample, labels, count, random_state=0)
            taken = min(seconds(draw) for _ in range(3))
            print(f"{sample.__name__ + ', ' + str(labels.dtype):30} {taken:.2f} s", flush=True)


def defaults(options):
    """Print seconds of every learner on four sets."""
    sets = {
        "digits": load_digits(return_X_y=True),
        "wine": load_wine(return_X_y=True),
        "breast cancer": load_breast_cancer(return_X_y=True),
        "made, 3500 x 128, 50 classes": made(3500, 128, 50),
    }
    print(("{:12}" + " {:>30}" * 4).format("CPU s", *sets))
    for name in options.learners or ON_TUPLES:
        learner, cells = FromLabels(ON_TUPLES[name](), random_state=0), []
        for X, y in sets.values():
            with warnings.catch_warnings(record=True) as caught:
                taken = seconds(lambda X=X, y=y, learner=learner: learner.fit(X, y))
            is_right = np.isfinite(learner.components_).all() and learner.components_.any()
            stopped = ", max_iter" if any(w.category is ConvergenceWarning for w in caught) else ""
            cells.append(f"{taken:.2f} {'finite' if is_right else 'NOT FINITE'}{stopped}")
        print(("{:12}" + " {:>30}" * 4).format(name, *cells), flush=True)


# Quality


class OnPairs(TransformerMixin, BaseEstimator):
    """`fit_pairs` on ten pairs a row."""

    def fit(self, X, y):
        """Draw the pairs."""
        pairs, y_pairs = sample_pairs(y, random_state=0)
        self.learner_ = MetricLearner(random_state=0).fit_pairs(X, y_pairs, pairs=pairs)
        return self

    def transform(self, X):
        """Embed."""
        return self.learner_.transform(X)


def learners():
    """Make what is compared, by name."""
    of_tuples = {f"{name}()": FromLabels(kind(), random_state=0) for name, kind in ON_TUPLES.items()}
    return {
        "Euclid": FunctionTransformer(),
        "cosine": Normalizer(),
        "MetricLearner()": MetricLearner(random_state=0),
        "MetricLearner, fit_pairs": OnPairs(),
        **of_tuples,
        'ITML("covariance")': FromLabels(ITML("covariance"), random_state=0),
        'LSML("covariance")': FromLabels(LSML("covariance"), random_state=0),
        "Covariance()": Covariance(),
        "RCA()": RCA(),
        "LFDA()": LFDA(),
        "GMML()": GMML(),
        "NCA()": NCA(random_state=0),
        "LMNN()": LMNN(random_state=0),
    }


def compare(X, y, train, results):
    """Score the classes that are not in `train`."""
    rows = np.flatnonzero(train)
    if len(rows) > N_ROWS:
        rows = np.random.default_rng(0).choice(rows, N_ROWS, replace=False)
    reduced = TruncatedSVD(min(N_COMPONENTS, len(rows) - 1), random_state=0).fit(X[rows])
    queries = np.flatnonzero(~train)
    if len(queries) > N_QUERIES:
        queries = np.random.default_rng(1).choice(queries, N_QUERIES, replace=False)
    known, new = reduced.transform(X[rows]), reduced.transform(X[queries])
    for name, learner in learners().items():
        taken = seconds(lambda learner=learner: learner.fit(known, y[rows]))
        embeddings = learner.transform(new)
        scores = map_at_r(embeddings, y[queries]), recall_at_k(embeddings, y[queries])
        results.setdefault(name, []).append((*scores, taken))


def interval(values):
    """Mean and half the width of its 95% interval, of Student's t."""
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    return np.mean(values), error * student.ppf(0.975, len(values) - 1)


def quality(options):
    """Print MAP@R, recall@1 and gains in MAP@R of each learner, a table a set."""
    row = "{:26} {:>7} {:>9} {:>18} {:>18} {:>7}".format
    print(row("", "MAP@R", "recall@1", "over Euclid, %", "over cosine, %", "fit, s"))
    warnings.simplefilter("ignore")  # of convergence; of fewer tuples than asked for
    for name, X, y in read_sets(options.data, options.sets):
        results = {}
        for seed in options.seeds:
            compare(X, y, half(y, seed), results)
        print(f"{name}, mean of {len(options.seeds)} random halves of {len(np.unique(y))} classes")
        base = {key: np.array([scores[0] for scores in results[key]]) for key in ("Euclid", "cosine")}
        for learner, scores in results.items():
            maps = np.array([score[0] for score in scores])
            gains = [interval(100 * (maps / base[key] - 1)) for key in base]
            cells = [f"{mean:+.1f} +- {half:.1f}" for mean, half in gains]
            means = np.mean(scores, axis=0)
            print(
                row(f"  {learner}", f"{means[0]:.3f}", f"{means[1]:.3f}", *cells, f"{means[2]:.1f}"),
                flush=True,
            )


def summary(options):
    """Average the tables of `quality` that a file holds, over its sets."""
    gains = {}
    for line in options.file.read_text("utf-8").splitlines():
        name, cells = line[2:26].strip(), line[26:].split()
        if line.startswith("  ") and len(cells) == 9 and cells[3] == "+-":
            gains.setdefault(name, []).append([float(cells[2]), float(cells[5])])
    print("Mean gain in MAP@R over the sets, %; sets on which it is above Euclid")
    for name, values in gains.items():
        over_euclid, over_cosine = np.array(values).T
        above = f"{(over_euclid > 0).sum()} of {len(values)}"
        cells = [f"{mean:+.1f} +- {half:.1f}" for mean, half in map(interval, (over_euclid, over_cosine))]
        print(f"  {name:24} {'':17} {cells[0]:>18} {cells[1]:>18}  {above}")


def main():
    """Print one of the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    tables = {f.__name__: f for f in (speed, memory, sampling, defaults, quality, summary)}
    parser.add_argument("table", choices=[*tables, "fit"])
    parser.add_argument("arguments", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--metric-learn", metavar="PYTHON", help="interpreter that has metric-learn, patched")
    parser.add_argument("--limit", type=float, default=200, metavar="SECONDS", help="of a fit of the peer")
    parser.add_argument("--learners", nargs="+", choices=list(ON_TUPLES), metavar="NAME", help="default: all")
    parser.add_argument("--file", type=Path, default=RECORDED, help="of `summary`; default: what is recorded")
    parser.add_argument("--data", type=Path, default=SHARED, help="default: ../shared/data")
    parser.add_argument("--sets", nargs="+", default=[], metavar="NAME", help="default: all sets of features")
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[0, 1, 2, 3], metavar="SEED", help="random halves"
    )
    options = parser.parse_args()
    if options.table == "fit":
        name, path, parameters = options.arguments
        print(json.dumps(fit_ours(name, path, json.loads(parameters))))
    elif options.table == "quality" and not (options.data / "load.py").is_file():
        parser.error(f"no load.py in {options.data}: give --data a folder of feature sets")
    else:
        tables[options.table](options)


if __name__ == "__main__":
    main()
