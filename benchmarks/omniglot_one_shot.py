"""Omniglot's official one-shot task: 20 runs of 20 characters of one alphabet, one example of each.

    python benchmarks/omniglot_one_shot.py [--data DIR] [--steps 2500] [--develop]

The recipe is that of ``examples/networks/omniglot_one_shot.py``; it trains on the background characters alone.
``--develop`` is for choosing: it holds out six background alphabets, makes runs of them as the official ones
are made (two drawers, 20 characters of one alphabet), and does not open the official file. Published: people
95.5 %, Bayesian program learning 96.7 % (Lake et al., Science 2015), Koch's siamese network 92.0 % (2015).
"""

import argparse
import importlib.util
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import torch

HERE = Path(__file__).parent
N_HELD_OUT, N_WAY, N_DRAWERS = 6, 20, 20


def recipe():
    """Module of the example, which holds network, loss, augmentation and schedule."""
    spec = importlib.util.spec_from_file_location(
        "recipe", HERE / "../examples/networks/omniglot_one_shot.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def made_runs(example, data, alphabets, n_runs):
    """Runs like the official ones: 20 characters of an alphabet, by one drawer and by another."""
    rng = np.random.default_rng(1)
    pairs = []
    for run in range(n_runs):
        characters = np.unique(data.target[data.alphabet == alphabets[run % len(alphabets)]])
        drawn = rng.permutation(characters)[:N_WAY]
        drawers = rng.choice(np.arange(1, N_DRAWERS + 1), 2, replace=False)
        rows = [
            [np.flatnonzero((data.target == c) & (data.drawer == drawer))[0] for c in drawn]
            for drawer in drawers
        ]
        pairs.append(rows)
    examples, queries = data.data[np.array(pairs)].swapaxes(0, 1)  # (n_runs, n_way, H, W) each
    return example.Runs(examples, queries, np.tile(np.arange(N_WAY), (n_runs, 1)))


def main():
    """Print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    example = recipe()
    parser.add_argument("--data", type=Path, default=example.DATA, help="folder with load.py and the sets")
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--develop", action="store_true", help="score held-out background alphabets")
    parser.add_argument("--runs", type=int, default=120, help="runs made with --develop")
    options = parser.parse_args()

    data = example.read_omniglot(options.data)
    images, y = data.data, data.target
    if options.develop:
        names, sizes = np.unique(data.alphabet[data.drawer == 1], return_counts=True)
        held_out = np.random.default_rng(0).permutation(names[sizes >= N_WAY])[:N_HELD_OUT]
        runs = made_runs(example, data, held_out, options.runs)
        known = ~np.isin(data.alphabet, held_out)
        images, y = images[known], y[known]
    else:
        runs = example.official_runs(options.data)
    images, y = example.with_rotations(images, y)
    wall, computing = perf_counter(), process_time()
    learner = example.omniglot_learner(options.steps).fit(images, y)
    wall, computing = perf_counter() - wall, process_time() - computing
    print(
        f"{options.steps} steps of 128 images of {example.SIDE}x{example.SIDE}, {len(np.unique(y))} classes,"
    )
    print(f"{wall:.0f} s by the clock, {computing:.0f} s of computing, {torch.get_num_threads()} threads")
    source = "made of held-out background alphabets" if options.develop else "official"
    print(
        f"{len(runs.answers)} runs, {source}: {runs.answers.size} answers; 95 % interval over runs; seconds"
    )
    for name, embed in [
        ("raw pixels", example.pixels),
        ("network", learner.transform),
        ("network, mean of 9 views", lambda images: example.of_views(learner, images)),
    ]:
        began = perf_counter()
        share, low, high = example.accuracy(embed, runs)
        print(f"{name:26}{share:7.2%} [{low:.2%}, {high:.2%}]{perf_counter() - began:8.1f} s", flush=True)


if __name__ == "__main__":
    main()
