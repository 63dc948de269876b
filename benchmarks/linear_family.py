"""The linear family: speed and memory beside peers, defaults on four sets, classes never trained on.

    python benchmarks/linear_family.py speed [--metric-learn PYTHON]
    python benchmarks/linear_family.py defaults [--learners NAME ...]
    python benchmarks/linear_family.py quality [--data DIR] [--sets NAME ...] [--seeds SEED ...]
    python benchmarks/linear_family.py summary [--file FILE]

`speed`: one objective and gradient of NCA beside scikit-learn's, by turns in one process, the least of five;
memory is the peak of a fresh process above its peak once the data is made. LMNN is fitted with defaults, in
CPU seconds, and both maps are judged by the plain hinge loss in float64. metric-learn 0.7.0 does not run on
scikit-learn 1.9: PYTHON is an interpreter that has it with `force_all_finite` renamed `ensure_all_finite`.

`defaults`: every learner on whole sets, CPU seconds, and whether all components are finite.

`quality`: DIR holds `load.py` and its `.npz` files. Features are the first 64 right singular vectors of the
training rows, of which at most 1000 are drawn; they are the same for all. Learners see half of the classes,
at random, and are scored on at most 2000 rows of the other half, each searched among the others.

`summary` averages what `quality` printed: the recorded tables are made by several commands, a set each.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from metric_learner_quality import SHARED, half, read_sets
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import TruncatedSVD
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler

from skmetric import MetricLearner
from skmetric.linear import GMML, LFDA, LMNN, MLKR, NCA, RCA, Covariance
from skmetric.metrics import map_at_r, recall_at_k

N_COMPONENTS, N_ROWS, N_QUERIES = 64, 1000, 2000
N_OPTIMUM = 5  # directions that NCA is fitted for beside scikit-learn
RECORDED = Path(__file__).parents[1] / "doc/measured/linear_family.txt"
PEER_LMNN = """
import json, sys, time
import numpy as np
from metric_learn import LMNN
with np.load(sys.argv[1]) as data:
    X, y = data["X"], data["y"]
start = time.process_time()
learner = LMNN().fit(X, y)
seconds = time.process_time() - start
print(json.dumps([seconds, int(learner.n_iter_), learner.components_.tolist()]))
"""


def made(n_samples, n_features, n_classes, dtype=np.float64):
    """Make classes that overlap, sorted."""
    rng = np.random.default_rng(0)
    y = np.sort(np.arange(n_samples) % n_classes)
    means = rng.normal(size=(n_classes, n_features)) / 2
    return (means[y] + rng.normal(size=(n_samples, n_features))).astype(dtype), y


# Speed


def nca_ours(A, X, y):
    """One objective and gradient."""
    from skmetric.linear._descent._centred import Centred
    from skmetric.linear._losses._nca_loss import NCALoss

    return NCALoss("sum", 1.0, False)(A, Centred(X, None), y)


def nca_peer(A, X, y):
    """The same by scikit-learn."""
    from sklearn.neighbors import NeighborhoodComponentsAnalysis

    peer = NeighborhoodComponentsAnalysis()
    peer.n_iter_, peer.verbose = 0, 0
    value, gradient = peer._loss_grad_lbfgs(A.ravel(), X, y[:, None] == y)
    return value, gradient.reshape(A.shape)


def nca_optima():
    """Expected numbers of rows classified right by both after `fit`, by scikit-learn in float64."""
    from sklearn.neighbors import NeighborhoodComponentsAnalysis

    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    ours = NCA(N_OPTIMUM, init="pca", max_iter=500, random_state=0).fit(X, y)
    peer = NeighborhoodComponentsAnalysis(
        n_components=N_OPTIMUM, init="pca", max_iter=500, random_state=0
    ).fit(X, y)
    return [abs(nca_peer(learner.components_.astype(float), X, y)[0]) for learner in (ours, peer)]


def nca_case(n, d, k, dtype):
    """Map, rows and classes."""
    X, y = made(n, d, 50, dtype)
    return 0.05 * np.random.default_rng(1).normal(size=(k, d)), X, y


def memory(which, n, d, k):
    """Megabytes of one objective and gradient above its input: for a fresh process."""
    ours = which == "ours"
    step = nca_ours if ours else nca_peer
    step(*nca_case(200, d, k, np.float32 if ours else np.float64))
    case = nca_case(n, d, k, np.float32 if ours else np.float64)
    before = peak()
    step(*case)
    return peak() - before


def peak():
    """Largest memory of this process so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_fresh_process(*arguments):
    """What `memory` says when called in a process of its own."""
    command = [sys.executable, __file__, "memory", json.dumps(arguments)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def seconds(call):
    """CPU seconds of a call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def speed(options):
    """Print the table of speed and memory."""
    row = "{:58} {:>10} {:>12} {:>7}".format
    print(row("", "ours", "peer", "ratio"))
    n, d, k = 4000, 128, 64
    our_megabytes, megabytes = in_fresh_process("ours", n, d, k), in_fresh_process("peer", n, d, k)
    large = in_fresh_process("ours", 20_000, 512, 512)
    ours, peer = nca_case(n, d, k, np.float32), nca_case(n, d, k, np.float64)
    taken = [(seconds(lambda: nca_ours(*ours)), seconds(lambda: nca_peer(*peer))) for _ in range(5)]
    fast, slow = (min(side) for side in zip(*taken, strict=True))
    print(
        row(
            f"NCA, objective and gradient, {n} x {d} to {k}, s",
            f"{fast:.2f}",
            f"{slow:.2f}",
            f"{fast / slow:.2f}",
        )
    )
    print(
        row(
            "the same, MB above the input",
            f"{our_megabytes:.0f}",
            f"{megabytes:.0f}",
            f"{our_megabytes / megabytes:.2f}",
        )
    )
    print(row("the same, 20000 x 512 to 512, MB", f"{large:.0f}", "", ""))
    ours_value, peer_value = nca_ours(*ours)[0] * n, -abs(nca_peer(*peer)[0])
    print(
        row("expected number of rows classified right", f"{-ours_value:.2f}", f"{-peer_value:.2f}", ""),
        flush=True,
    )
    print(
        row(f"the same after fit, breast cancer to {N_OPTIMUM}", *map("{:.2f}".format, nca_optima()), ""),
        flush=True,
    )
    X, y = made(2500, 128, 50)
    learner = LMNN()
    fast = seconds(lambda: learner.fit(X, y))
    objective = hinge_loss(learner.components_, X, y)
    if options.metric_learn is None:
        print(row("LMNN, 2500 x 128, 50 classes, fit, s", f"{fast:.1f}", "", ""))
        return
    slow, n_iter, components = peer_lmnn(options.metric_learn, X, y)
    peer_objective = hinge_loss(components, X, y)
    print(row("LMNN, 2500 x 128, 50 classes, fit, s", f"{fast:.1f}", f"{slow:.1f}", f"{fast / slow:.3f}"))
    print(
        row(
            "plain hinge loss reached",
            f"{objective:.1f}",
            f"{peer_objective:.1f}",
            f"{objective / peer_objective:.4f}",
        )
    )
    print(row("iterations", f"{learner.n_iter_}", f"{n_iter}", ""))


def peer_lmnn(python, X, y):
    """CPU seconds, iterations and map of metric-learn's LMNN."""
    path = Path.cwd() / "linear_family_lmnn.npz"
    np.savez(path, X=X, y=y)
    try:
        command = [python, "-c", PEER_LMNN, str(path)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    finally:
        path.unlink()
    taken, n_iter, components = json.loads(answer.splitlines()[-1])
    return taken, n_iter, np.array(components)


def hinge_loss(components, X, y, n_neighbors=3):
    """Half the pull and half the push of Weinberger and Saul, in float64."""
    targets = np.empty((len(X), n_neighbors), int)
    for c in np.unique(y):
        rows = np.flatnonzero(y == c)
        squares = np.square(X[rows, None] - X[rows]).sum(axis=2)
        np.fill_diagonal(squares, np.inf)
        targets[rows] = rows[np.argsort(squares, axis=1)[:, :n_neighbors]]
    e = X @ components.T
    norms = np.square(e).sum(axis=1)
    total = 0.0
    for i in range(len(e)):
        near = np.square(e[i] - e[targets[i]]).sum(axis=1)
        far = (norms[i] + norms - 2 * e @ e[i])[y != y[i]]
        total += near.sum() + np.maximum(0, 1 + near[:, None] - far).sum()
    return total / 2


# Defaults


def defaults(options):
    """Print seconds of every learner on four sets."""
    sets = {
        "digits": load_digits(return_X_y=True),
        "wine": load_wine(return_X_y=True),
        "breast cancer": load_breast_cancer(return_X_y=True),
        "made, 3500 x 128, 50 classes": made(3500, 128, 50),
    }
    kinds = {kind.__name__: kind for kind in (Covariance, RCA, LFDA, GMML, NCA, LMNN, MLKR)}
    print(("{:12}" + " {:>30}" * 4).format("CPU s", *sets))
    for name in options.learners or kinds:
        learner, cells = kinds[name](), []
        for X, y in sets.values():
            taken = seconds(lambda X=X, y=y, learner=learner: learner.fit(X, y))
            is_right = np.isfinite(learner.components_).all() and learner.components_.any()
            cells.append(f"{taken:.2f} {'finite' if is_right else 'NOT FINITE'}")
        print(("{:12}" + " {:>30}" * 4).format(name, *cells), flush=True)


# Quality


def learners():
    """Make what is compared, by name."""
    sphere = NCA(objective="log", normalize=True, temperature=0.1, random_state=0)
    return {
        "Euclid": FunctionTransformer(),
        "cosine": Normalizer(),
        "MetricLearner()": MetricLearner(random_state=0),
        "Covariance()": Covariance(),
        "RCA()": RCA(),
        "RCA(shrinkage=0.3)": RCA(shrinkage=0.3),
        "LFDA()": LFDA(),
        "GMML()": GMML(),
        "NCA()": NCA(random_state=0),
        "NCA, log, sphere, 0.1": sphere,
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
        results.setdefault(name, []).append(
            (map_at_r(embeddings, y[queries]), recall_at_k(embeddings, y[queries]), taken)
        )


def quality(options):
    """Print MAP@R, recall@1 and the gain in MAP@R of each learner, a table a set."""
    print(f"{'':24} {'MAP@R':>7} {'recall@1':>9} {'over Euclid':>12} {'over cosine':>12} {'fit, s':>7}")
    for name, X, y in read_sets(options.data, options.sets):
        results = {}
        for seed in options.seeds:
            compare(X, y, half(y, seed), results)
        print(f"{name}, mean of {len(options.seeds)} random halves of {len(np.unique(y))} classes")
        base = {key: np.array([scores[0] for scores in results[key]]) for key in ("Euclid", "cosine")}
        for learner, scores in results.items():
            maps = np.array([score[0] for score in scores])
            relative = [np.mean(maps / base[key] - 1) for key in base]
            print(
                f"  {learner:22} {maps.mean():7.3f} {np.mean([s[1] for s in scores]):9.3f}"
                f" {relative[0]:+12.1%} {relative[1]:+12.1%} {np.mean([s[2] for s in scores]):7.1f}",
                flush=True,
            )


def summary(options):
    """Average the tables of `quality` that a file holds, over its sets."""
    gains = {}
    for line in options.file.read_text("utf-8").splitlines():
        name, cells = line[2:24].strip(), line[24:].split()
        if line.startswith("  ") and len(cells) == 5 and cells[2].endswith("%"):
            gains.setdefault(name, []).append([float(cell.rstrip("%")) for cell in cells[2:4]])
    print("Mean relative gain in MAP@R over the sets; sets on which it is above Euclid")
    for name, values in gains.items():
        over_euclid, over_cosine = np.array(values).T
        above = f"{(over_euclid > 0).sum()} of {len(values)}"
        print(f"  {name:22} {'':17} {over_euclid.mean():+11.1f}% {over_cosine.mean():+11.1f}%  {above}")


def main():
    """Print one of the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", choices=["speed", "defaults", "quality", "summary", "memory"])
    parser.add_argument("arguments", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("--metric-learn", metavar="PYTHON", help="interpreter that has metric-learn, patched")
    parser.add_argument("--learners", nargs="+", metavar="NAME", help="of `defaults`; default: all")
    parser.add_argument("--file", type=Path, default=RECORDED, help="of `summary`; default: what is recorded")
    parser.add_argument("--data", type=Path, default=SHARED, help="default: ../shared/data")
    parser.add_argument("--sets", nargs="+", default=[], metavar="NAME", help="default: all sets of features")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1], metavar="SEED", help="random halves")
    options = parser.parse_args()
    if options.table == "memory":
        print(memory(*json.loads(options.arguments)))
    elif options.table == "quality" and not (options.data / "load.py").is_file():
        parser.error(f"no load.py in {options.data}: give --data a folder of feature sets")
    else:
        {"speed": speed, "defaults": defaults, "quality": quality, "summary": summary}[options.table](options)


if __name__ == "__main__":
    main()
