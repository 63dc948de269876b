"""
Faces never seen
================

Recognise people whom nobody was trained on: raw pixels, a linear metric, and a network.

Without arguments it runs, in seconds, on portraits that are drawn: each person has eyes, brows and a mouth of
certain places and sizes, and each picture another light and another place in the frame. With ``--full`` it
takes photographs of people, trains on some people and is scored on others.

    python examples/search/faces_never_seen.py
    python examples/search/faces_never_seen.py --full --data DIR [--set lfw_faces]

Learning from few pictures of few people is no matter of course: the last line says what won.
"""

import argparse
import importlib.util
from pathlib import Path
from time import perf_counter

import numpy as np
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, normalize
from torch import nn

from skmetric import DeepMetricLearner, MetricLearner
from skmetric.deep.augment import ColorJitter, RandomAffine, RandomErasing, RandomFlip, RandomShift
from skmetric.metrics import retrieval_report
from skmetric.model_selection import class_disjoint_split

DATA = Path("../shared/data")  # from the root of the clone
PHOTOGRAPHS = [  # what may change in a picture of a person
    RandomFlip(),
    RandomAffine(degrees=5, scale=0.1, shift=0.05),
    ColorJitter(),
    RandomErasing(largest=0.2),
]
DRAWINGS = [RandomShift(pixels=1)]  # strong changes take long training
SCORES = {"recall@1": "recall_at_1", "MAP@R": "map_at_r"}


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="photographs instead of drawings")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with load.py and the sets")
    parser.add_argument("--set", default="lfw_faces", choices=["lfw_faces", "orl_faces"])
    parser.add_argument("--steps", type=int, help="of training (default: 1500, and 100 for drawings)")
    options = parser.parse_args()
    if options.full:
        train, test, y_train, y_test = read_faces(options.data, options.set)
        network = face_network(options.steps or 1500, PHOTOGRAPHS)
    else:
        train, test, y_train, y_test = class_disjoint_split(*draw_portraits(), test_size=0.3, random_state=0)
        network = face_network(options.steps or 100, DRAWINGS)
    print(f"Trained on {len(y_train)} pictures of {len(np.unique(y_train))} people,")
    print(f"scored on {len(y_test)} of {len(np.unique(y_test))} others, each searched among the rest.\n")
    print(f"{'':22}" + "".join(f"{name:>24}" for name in SCORES) + f"{'seconds':>10}")
    flat = FunctionTransformer(as_rows)
    reports = {
        name: score(name, model, train, y_train, test, y_test)
        for name, model in {
            "raw pixels, cosine": make_pipeline(flat, FunctionTransformer(normalize)),
            "linear metric": make_pipeline(flat, PCA(256, random_state=0), MetricLearner(random_state=0)),
            "network": network,
        }.items()
    }
    print("\nBrackets: 95% bootstrap intervals over the pictures. Seconds: fit and transform.")
    print(verdict(reports))


def score(name, model, train, y_train, test, y_test):
    """Fit, search, and print a line of the table."""
    began = perf_counter()
    embeddings = model.fit(train, y_train).transform(test)
    seconds = perf_counter() - began
    report = retrieval_report(embeddings, y_test, scores=list(SCORES.values()))
    cells = [
        "{:.3f} [{:.3f}, {:.3f}]".format(report.scores[key], *report.intervals[key])
        for key in SCORES.values()
    ]
    print(f"{name:22}" + "".join(f"{cell:>24}" for cell in cells) + f"{seconds:10.1f}", flush=True)
    return report


def verdict(reports):
    """Say which row is best by recall@1, and whether the intervals tell it from the next."""
    key = SCORES["recall@1"]
    first, second, *_ = sorted(reports, key=lambda name: -reports[name].scores[key])
    apart = reports[first].intervals[key][0] > reports[second].intervals[key][1]
    return f"Best by recall@1: {first}; " + (
        f"its interval lies above that of the next, {second}."
        if apart
        else f"its interval overlaps that of the next, {second}: no clear winner."
    )


def face_network(n_steps, augment):
    """Learner of faces that stand upright in the frame."""
    return DeepMetricLearner(
        place_aware,
        loss="multi_similarity",
        classes_per_batch=16,
        samples_per_class=4,
        steps_per_epoch=max(1, n_steps // 10),
        max_epochs=10,
        optimizer="adamw",
        learning_rate=2e-3,
        weight_decay=1e-3,
        schedule="one_cycle",
        augment=augment,
        random_state=0,
    )


def place_aware(input_shape, n_components=128):
    """Four blocks of convolution; the last map keeps its places, since aligned faces have theirs."""
    layers, n_in, (height, width) = [nn.BatchNorm2d(input_shape[0])], input_shape[0], input_shape[1:]
    for n_out in (32, 64, 128, 128):
        layers += [nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()]
        if min(height, width) >= 6:
            layers.append(nn.MaxPool2d(2))
            height, width = height // 2, width // 2
        n_in = n_out
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(n_in * height * width, n_components)
    )


def as_rows(images):
    """Pixels as rows, from 0 to 1."""
    return images.reshape(len(images), -1).astype(np.float32) / 255


def read_faces(folder, name):
    """Pictures (n, H, W) uint8 of people to train on and of others, and who they are."""
    spec = importlib.util.spec_from_file_location("load", folder / "load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    data = module.load(name)
    images = data.data[:, ::2, ::2] if name == "orl_faces" else data.data  # ORL's are twice as large
    train = data.split == "train"
    return images[train], images[~train], data.target[train], data.target[~train]


def draw_portraits(n_people=100, n_each=8, height=24, width=20):
    """Portraits (n, 24, 20) uint8 of people who do not exist, and their numbers."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(n_people), n_each)
    spread, eyes_up, mouth_down, eye, mouth, brow = (
        np.repeat(rng.uniform(*bounds, n_people), n_each)[:, None, None]
        for bounds in [(0.25, 0.5), (0.0, 0.35), (0.25, 0.6), (0.06, 0.14), (0.12, 0.35), (0.12, 0.3)]
    )
    shift = rng.uniform(-0.1, 0.1, (2, len(y), 1, 1))
    rows = np.linspace(-1, 1, height)[:, None] + shift[0]  # (n, height, 1)
    columns = np.linspace(-1, 1, width)[None, :] + shift[1]  # (n, 1, width)

    def spot(row, column, tall, wide):
        return np.exp(-(((rows - row) / tall) ** 2) - ((columns - column) / wide) ** 2)

    face = 0.6 * spot(0, 0, 0.9, 0.75)
    for side in (-1, 1):
        face -= 0.5 * spot(-eyes_up, side * spread, eye, 1.4 * eye)
        face -= 0.3 * spot(-eyes_up - brow, side * spread, 0.06, 0.2)
    face -= 0.4 * spot(mouth_down, 0, 0.08, mouth)
    light = rng.normal(0, 0.3, (2, len(y), 1, 1))
    face = (0.3 + face) * np.exp(light[0] * rows + light[1] * columns) + rng.normal(0, 0.05, face.shape)
    return (255 * face.clip(0, 1)).astype(np.uint8), y


if __name__ == "__main__":
    main()
