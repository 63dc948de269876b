"""
The main job
============

Learn a metric on half of the classes and score it on the other half.

Without arguments it runs on scikit-learn's handwritten digits, without a network and without downloads.
With ``--images DIR`` it runs on your own images, one folder for each class. It prints retrieval scores of
the unseen classes, draws queries with their nearest neighbours, saves the model and uses it in a second
process.

    python examples/main_job.py
    python examples/main_job.py --images photos
    python examples/main_job.py --images photos --network mobilenetv2_100 --weights weights.safetensors

Images are resized and normalised as timm does for the named network. Weights from other sources may need
other settings: weights trained with TensorFlow, for example, need ``--options '{"mean": 0.5, "std": 0.5,
"model_kwargs": {"pad_type": "same"}}'``.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from textwrap import shorten
from time import perf_counter

import joblib
import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import normalize

from skmetric import MetricLearner
from skmetric.metrics import retrieval_report
from skmetric.model_selection import class_disjoint_split, query_gallery_split
from skmetric.retrieval import nearest

SCORES = {"recall@1": "recall_at_1", "recall@10": "recall_at_10", "MAP@R": "map_at_r"}
N_QUERIES, N_NEIGHBORS = 8, 5
N_CLASSES = 4  # at least
N_LEFT_OUT = 20  # files that are listed as left out
HIT, MISS = (
    ("#0072b2", "\N{CHECK MARK}"),
    ("#d55e00", "\N{BALLOT X}"),
)  # distinguishable for colour-blind readers

SECOND_PROCESS = """
import json, sys, joblib
from skmetric.retrieval import nearest
model, (queries, gallery, k) = map(joblib.load, sys.argv[1:])
print(json.dumps(nearest(model.transform(queries), gallery, k=k).indices.tolist()))
"""


def main():
    """Run the whole job; the exit status tells whether the second process agreed."""
    options, start = parse_options(), perf_counter()
    options.out.mkdir(parents=True, exist_ok=True)
    pixels, y, pictures = read_folder(options.images) if options.images else read_digits()
    check_classes(y)
    train, test, y_train, y_test, pictures_train, pictures_test = class_disjoint_split(
        pixels, y, pictures, random_state=0
    )
    print(f"Trained on {len(y_train)} images of {listed(y_train)},")
    print(f"scored on {len(y_test)} images of {listed(y_test)},\nnone of them trained on.\n")

    print(f"{'':16}" + "".join(f"{name:>22}" for name in SCORES) + f"{'seconds':>10}")
    before = baseline("raw pixels", test, y_test, perf_counter())
    steps = []
    if options.network:
        from skmetric import FrozenFeatures

        began = perf_counter()
        steps = [FrozenFeatures(options.network, weights=options.weights, **options.options)]
        train, test = steps[0].fit_transform(pictures_train), steps[0].transform(pictures_test)
        before = baseline("frozen network", test, y_test, began)
    began = perf_counter()
    learner = MetricLearner(random_state=0).fit(train, y_train)
    embeddings = learner.transform(test)
    after = score("learned metric", embeddings, y_test, began)
    print("\nBrackets: 95% bootstrap intervals over the unseen classes. Seconds: fit, transform and search.")
    print(what_was_learned(learner, before, after))
    if not options.images:
        print(
            "On digits no gain is expected: what distinguishes some does not help with others. Try --images."
        )
    elif not options.network:
        print("These are raw pixels. Features of a network are better: see --network, extra 'vision'.")

    model = make_pipeline(*steps, learner)
    inputs = pictures_test if options.network else test
    same = search_twice(model, inputs, embeddings, y_test, pictures_test, options.out)
    print(f"A second process loaded the saved model and gave {'the same' if same else 'OTHER'} answers.")
    print(f"Written to {options.out}: neighbors.png, which shows them, and model.joblib.")
    print(f"{perf_counter() - start:.0f} seconds in all.")
    return 0 if same else 1


def parse_options():
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--images", metavar="DIR", type=Path, help="images, one folder for each class (default: digits)"
    )
    parser.add_argument("--network", metavar="NAME", help="timm network whose features to learn on")
    parser.add_argument(
        "--weights", metavar="FILE", default="pretrained", help="its weights (default: downloaded from timm)"
    )
    parser.add_argument(
        "--options", metavar="JSON", type=json.loads, default={}, help="other parameters of FrozenFeatures"
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("skmetric-demo"), help="default: %(default)s"
    )
    options = parser.parse_args()
    if options.network and not options.images:
        parser.error("--network needs --images: digits are 8 by 8 pixels, too small for it")
    return options


def read_digits():
    """Return pixels as rows, labels, and the 8 by 8 pictures."""
    digits = load_digits()
    return digits.data, digits.target, digits.images


def read_folder(folder, side=16):
    """Return the pixels of images shrunk to small squares as rows, labels, and the paths of the images."""
    from skmetric.datasets import load_image_folder

    try:
        images = load_image_folder(folder, check=True)  # warns of images that cannot be read, and goes on
    except (OSError, ValueError) as error:
        sys.exit(f"--images {folder}: {error}")
    for left in images.left_out[:N_LEFT_OUT]:
        print(f"Left out: {left.path}: {left.reason}")
    if len(images.left_out) > N_LEFT_OUT:
        print(f"Left out: {len(images.left_out) - N_LEFT_OUT} more")
    pixels = [np.asarray(picture(path, side), dtype=np.float32).ravel() / 255 for path in images.data]
    return np.stack(pixels), images.target_names[images.target], images.data


def check_classes(y):
    """End with a message if there are too few classes to train on some and to score on others."""
    _, counts = np.unique(y, return_counts=True)
    if sum(counts > 1) < N_CLASSES:
        sys.exit(
            f"Half of the classes are trained on and half are scored: at least {N_CLASSES} classes of "
            f"several images are needed, and {sum(counts > 1)} of {len(counts)} classes have more than one"
        )


def picture(item, side=96):
    """Return an array unchanged, or the centre of the image at a path, `side` pixels wide and high."""
    if isinstance(item, np.ndarray):
        return item
    from PIL import Image, ImageOps

    with Image.open(item) as image:
        upright = ImageOps.exif_transpose(image).convert("RGBA")
    white = Image.new("RGBA", upright.size, "white")  # under transparent pixels
    return ImageOps.fit(Image.alpha_composite(white, upright).convert("RGB"), (side, side))


def listed(y):
    """Name some classes, as in '5 classes (1, 2, 3, 4, 5)'."""
    classes = np.unique(y).astype(str)
    return f"{len(classes)} classes ({shorten(', '.join(classes), 60, placeholder=' ...')})"


def baseline(name, test, y, began):
    """Score unchanged rows, by Euclidean distance and by cosine; return the better report."""
    reports = score(name, test, y, began), score("same, cosine", normalize(test), y, perf_counter())
    return max(reports, key=lambda report: report["map_at_r"])


def score(name, embeddings, y, began):
    """Search each row among the others, and print a line of the table."""
    report = retrieval_report(embeddings, y)
    seconds = perf_counter() - began
    cells = ["-" if key not in report.scores else with_interval(report, key) for key in SCORES.values()]
    print(f"{name:16}" + "".join(f"{cell:>22}" for cell in cells) + f"{seconds:10.1f}")
    return report


def with_interval(report, key):
    """Write a score as in '0.535 [0.521, 0.549]'."""
    low, high = report.intervals[key]
    return f"{report.scores[key]:.3f} [{low:.3f}, {high:.3f}]"


def what_was_learned(learner, before, after):
    """Say what the learner chose, and whether it shows."""
    within, between = learner.shrinkage_
    chosen = (
        f"Chosen by retrieval on held-out training classes: shrinkage ({within:.2g}, {between:.2g}), where\n"
        "(1, 1) learns no direction and (0, 0) uses all directions fully; rows are "
        f"{'scaled to unit length' if learner.normalize_ else 'not scaled'}."
    )
    (low, high), (low_before, high_before) = after.intervals["map_at_r"], before.intervals["map_at_r"]
    if low > high_before:
        verdict = "The unseen classes gain over the better row above: the intervals of MAP@R do not overlap."
    elif high < low_before:
        verdict = "The unseen classes lose: the intervals of MAP@R do not overlap. Too few training classes?"
    else:
        verdict = "The intervals of MAP@R overlap: no clear gain, no clear loss."
    return f"{chosen}\n{verdict}"


def search_twice(model, inputs, embeddings, y, pictures, out):
    """Search queries here and in a second process, and draw the neighbours; True if both agree."""
    inputs, pictures = np.asarray(inputs), np.asarray(pictures)
    per_class = -(-N_QUERIES // len(np.unique(y)))  # rounded up
    asked, gallery, *_ = query_gallery_split(np.arange(len(y)), y, query_size=per_class, random_state=0)
    asked = asked[np.linspace(0, len(asked) - 1, min(N_QUERIES, len(asked))).astype(int)]
    k = min(N_NEIGHBORS, len(gallery))
    found = nearest(model.transform(inputs[asked]), embeddings[gallery], k=k).indices  # (n_queries, k)
    draw(pictures, y, asked, gallery[found], out / "neighbors.png")

    joblib.dump(model, out / "model.joblib")
    joblib.dump((inputs[asked], embeddings[gallery], k), out / "search.joblib")
    files = [str(out / "model.joblib"), str(out / "search.joblib")]
    answer = subprocess.run(
        [sys.executable, "-c", SECOND_PROCESS, *files], check=True, stdout=subprocess.PIPE
    )
    return json.loads(answer.stdout) == found.tolist()


def draw(pictures, y, queries, found, path):
    """Draw a row for each query: the query, then its neighbours, nearest first."""
    figure = Figure(figsize=(1.3 * (1 + found.shape[1]), 1.5 * len(queries)), layout="constrained")
    grid = figure.subplots(len(queries), 1 + found.shape[1], squeeze=False)
    for query, neighbors, row in zip(queries, found, grid, strict=True):
        show(row[0], pictures[query], str(y[query])[:18], "black")
        for neighbor, axes in zip(neighbors, row[1:], strict=True):
            color, mark = HIT if y[neighbor] == y[query] else MISS
            show(axes, pictures[neighbor], f"{mark} {str(y[neighbor])[:16]}", color)
    figure.suptitle("Queries of classes never trained on (black), and their nearest neighbours")
    figure.savefig(path, dpi=100)


def show(axes, item, title, color):
    """Draw one picture in a frame."""
    axes.imshow(picture(item), cmap="gray_r")
    axes.set_title(title, color=color, fontsize="small")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color=color, linewidth=3)


if __name__ == "__main__":
    sys.exit(main())
