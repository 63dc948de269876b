"""What `groups=` costs in `retrieval_report`, and whether it is the protocol of Market-1501.

    python benchmarks/groups.py [--quick] [--before DIR]

Made data of the size of Market-1501: 750 persons before six cameras, each of which shifts what it sees. The
scores of each query are compared with a loop written from the description of the protocol's evaluation
script: per query, images of its person by its own camera are dropped, the others sorted by distance, and the
list scored. Each side runs in a fresh process, one after the other. Memory is the peak of the process above
its peak once the data is made and everything is imported. DIR is a checkout of another version of this
package: its report without groups is timed beside that of this version, in turns.
"""

import argparse
import json
import os
import subprocess
import sys
import time

import numpy as np
from retrieval_report import peak_megabytes

N_PERSONS, N_CAMERAS, N_FEATURES = 750, 6, 128
SIZES, QUICK_SIZES = (20_000, 3_000), (2_000, 300)  # items of the gallery, queries
NAMES = ["recall_at_1", "recall_at_5", "mean_average_precision"]
LIMIT = 2.0  # times the plain report
N_TURNS = 3  # of each version


def make_data(n_samples, seed=0):
    """Photos in float64, their persons and their cameras."""
    rng, people = np.random.default_rng(seed), np.random.default_rng(9)
    person, camera = rng.integers(0, N_PERSONS, n_samples), rng.integers(0, N_CAMERAS, n_samples)
    persons = people.normal(size=(N_PERSONS, N_FEATURES)) / 2
    cameras = people.normal(size=(N_CAMERAS, N_FEATURES)) / 2
    return persons[person] + cameras[camera] + rng.normal(size=(n_samples, N_FEATURES)), person, camera


def sides_of(n_gallery, n_queries, is_grouped):
    """Arguments of `retrieval_report`: queries and a gallery, or without queries one set of rows."""
    gallery, y_gallery, groups_gallery = make_data(n_gallery)
    if not n_queries:
        return (gallery, y_gallery), {"groups": groups_gallery} if is_grouped else {}
    queries, y, groups = make_data(n_queries, seed=1)
    options = {"gallery": gallery, "y_gallery": y_gallery}
    if is_grouped:
        options |= {"groups": groups, "groups_gallery": groups_gallery}
    return (queries, y), options


def report(side, n_gallery, n_queries):
    """Run one report in this process and print what it cost, and the scores of the queries."""
    from skmetric.metrics import retrieval_report

    rows, options = sides_of(500, n_queries and 100, side == "groups")
    retrieval_report(*rows, **options)  # imports and first calls are not what is measured
    rows, options = sides_of(n_gallery, n_queries, side == "groups")
    before, start, start_cpu = peak_megabytes(), time.perf_counter(), time.process_time()
    found = retrieval_report(*rows, **options)
    cost = {
        "seconds": time.perf_counter() - start,
        "CPU seconds": time.process_time() - start_cpu,
        "MB above the input": peak_megabytes() - before,
    }
    if side == "groups" and n_queries:
        found = retrieval_report(*rows, **options, scores=NAMES, per_query=True, n_resamples=1)
        cost["per_query"] = {name: values.tolist() for name, values in found.per_query.items()}
    print(json.dumps(cost))


def measured(side, n_gallery, n_queries, path=None):
    """What one side costs, from a fresh process; `path` is where it imports this package from."""
    command = [sys.executable, __file__, "--side", side, str(n_gallery), str(n_queries)]
    environment = os.environ | ({"PYTHONPATH": path} if path else {})
    run = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(run.stdout.splitlines()[-1])


def by_the_script(n_gallery, n_queries):
    """Scores of each query by the loop, (n_names, n_queries); NaN where nothing is left to find."""
    (queries, y), options = sides_of(n_gallery, n_queries, is_grouped=True)
    gallery, y_gallery = options["gallery"], options["y_gallery"]
    values = np.full((len(NAMES), n_queries), np.nan)
    for i in range(n_queries):
        kept = ~((y_gallery == y[i]) & (options["groups_gallery"] == options["groups"][i]))
        distance = np.sqrt(((gallery[kept] - queries[i]) ** 2).sum(axis=1))
        hits = (y_gallery[kept] == y[i])[np.argsort(distance, kind="stable")]
        if hits.any():
            precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
            values[:, i] = hits[0], hits[:5].any(), precision[hits].mean()
    return values


def compare(n_gallery, n_queries):
    """Print a table: queries in a gallery, then all rows of the gallery among one another."""
    print(f"{n_gallery} x {N_FEATURES}, {N_PERSONS} persons, {N_CAMERAS} cameras")
    row = "  {:40} {:>10} {:>10} {:>8}".format
    print(row("", "groups", "plain", "ratio"))
    for name, n in ((f"{n_queries} queries", n_queries), ("each row among the others", 0)):
        plain, grouped = (measured(side, n_gallery, n) for side in ("plain", "groups"))
        if n:
            per_query = np.array([grouped["per_query"][name] for name in NAMES])
        for unit, digits in (("seconds", 2), ("CPU seconds", 2), ("MB above the input", 0)):
            ratio = f"{grouped[unit] / plain[unit]:.2f}"
            print(row(f"{name}, {unit}", f"{grouped[unit]:.{digits}f}", f"{plain[unit]:.{digits}f}", ratio))
    print(f"  limit of the ratio of seconds {LIMIT}")
    print(f"  a matrix of all rows by all rows, one byte an entry: {n_gallery**2 / 2**20:.0f} MB")
    expected = by_the_script(n_gallery, n_queries)
    assert np.array_equal(np.isnan(expected), np.isnan(per_query))
    for name, ours, loop in zip(NAMES, per_query, expected, strict=True):
        print(f"  {name:40} {np.nanmean(ours):10.6f}, by the loop {np.nanmean(loop):.6f}")
    difference = np.nanmax(np.abs(per_query - expected))
    print(f"  largest difference of a score of a query from the loop {difference:.1e}\n")


def against(path, n_gallery):
    """Print the time of the report without groups, in turns with that of another version."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    seconds = {"this version": [], "the other version": []}
    for _ in range(N_TURNS):
        for version, where in zip(seconds, (here, path), strict=True):
            seconds[version].append(measured("plain", n_gallery, 0, where)["CPU seconds"])
    print(
        f"without groups, each of {n_gallery} rows among the others, {N_TURNS} turns: CPU seconds, the least"
    )
    for version, found in seconds.items():
        print(f"  {version:40} {min(found):10.2f}   {' '.join(f'{value:.2f}' for value in found)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer items")
    parser.add_argument("--before", metavar="DIR", help="a checkout of another version")
    parser.add_argument("--side", nargs=3, metavar=("SIDE", "N_GALLERY", "N_QUERIES"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        report(arguments.side[0], *map(int, arguments.side[1:]))
    else:
        size = QUICK_SIZES if arguments.quick else SIZES
        compare(*size)
        if arguments.before:
            against(arguments.before, size[0])
