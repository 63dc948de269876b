"""
The main job
============

Learn a metric on some classes, score it on classes that it has never seen, and use it for a search that
refuses strangers.

Without arguments it draws characters of many scripts in the fonts that come with matplotlib, so that nothing
is downloaded, and takes under a minute. It prints a table of scores, draws queries with their nearest
neighbours, calibrates a search that names known characters and refuses others, saves it, uses it in a second
process, and writes a map to open in a browser.

    python examples/main_job.py
    python examples/main_job.py --images photos --network mobilenetv2_100
    python examples/main_job.py --images photos --network mobilenetv2_100 --weights weights.safetensors

With ``--images DIR`` it runs on your own images, one folder for each class; with ``--network`` on features of
a network of timm (extra ``vision``). Images are resized and normalised as timm does for that network.
Weights from other sources may need other settings: weights trained with TensorFlow, for example, need
``--options '{"mean": 0.5, "std": 0.5, "model_kwargs": {"pad_type": "same"}}'``.
"""

import argparse
import json
import subprocess
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import joblib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from torch import nn

from skmetric import DeepMetricLearner, FrozenFeatures, MetricLearner, SimilaritySearch
from skmetric.datasets import load_image_folder, make_glyphs
from skmetric.inspection import NeighborsDisplay, embedding_map
from skmetric.metrics import compare, retrieval_report
from skmetric.model_selection import class_disjoint_split, query_gallery_split

NEEDED = {"matplotlib": "matplotlib", "PIL": "pillow", "plotly": "plotly"}  # packages by module
SCORES = {"recall@1": "recall_at_1", "MAP@R": "map_at_r"}
LEAST = 4  # classes, of two images or more
LISTED = 20  # files that are left out
ON_THE_MAP = 480  # images
SIDE = 16  # pixels that own images are shrunk to, where pixels are compared

SECOND_PROCESS = """
import json, sys, joblib
from skmetric import SimilaritySearch
folder = sys.argv[1]
search = SimilaritySearch.load(folder + "/search", embedder=joblib.load(folder + "/model.joblib"))
print(json.dumps(search.predict(joblib.load(folder + "/queries.joblib")).tolist()))
"""


class Data(NamedTuple):
    """Images, their classes, and what the images show."""

    images: np.ndarray  # (n, H, W), or n paths
    y: np.ndarray  # (n,), str
    noun: str


def main():
    """Run the whole job; the exit status tells whether the second process agreed."""
    start = perf_counter()
    options = parse_options()
    warnings.showwarning = note
    try:
        check_packages()
        if options.out.is_file():
            raise ValueError(f"--out {options.out} is a file; name a folder")
        options.out.mkdir(parents=True, exist_ok=True)
        data = read(options)
        network = features_of(options, data.images)
    except (ImportError, OSError, RuntimeError, TypeError, ValueError) as error:
        print(f"main_job.py: {as_options(error)}", file=sys.stderr)
        return 2
    train, test, y_train, y_test = class_disjoint_split(
        data.images, data.y, test_size=1 / 3 if data.noun == "characters" else 1 / 2, random_state=0
    )
    print(
        f"Trained on {len(y_train)} images of {len(set(y_train))} {data.noun}, scored on {len(y_test)} ",
        end="",
    )
    print(f"images of {len(set(y_test))} others:\nnone of these was trained on.\n")
    model, embeddings = compared(models(data, network, options), train, y_train, test, y_test)
    same = search_twice(model, test, y_test, data.noun, options.out)
    shown = slice(None) if len(test) <= ON_THE_MAP else y_test <= np.unique(y_test)[: ON_THE_MAP // 12][-1]
    embedding_map(
        embeddings[shown], y_test[shown], images=test[shown], path=options.out / "map.html", method="tsne",
        title=f"Map of {data.noun} that were not trained on",
    )  # fmt: skip
    print(f"Written to {options.out}: neighbors.png, which shows queries and their neighbours; map.html, to")
    print(f"open in a browser; search/ and model.joblib. {perf_counter() - start:.0f} seconds in all.")
    return 0 if same else 1


def parse_options():
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--images", metavar="DIR", type=Path, help="your images, one folder for each class")
    add(
        "--label-from",
        metavar="LEVEL",
        type=int,
        help="level of the folders that are the classes: 1, 2, or -1",
    )
    add("--digits", action="store_true", help="scikit-learn's digits, where new classes gain nothing")
    add("--network", metavar="NAME", help="network of timm on whose features to learn")
    add("--weights", metavar="FILE", help="its weights (default: downloaded by timm)")
    add("--options", metavar="JSON", default="{}", help="other parameters of FrozenFeatures")
    add("--quick", action="store_true", help="fewer characters and epochs: seconds, and lower scores")
    add("--out", metavar="DIR", type=Path, default=Path("skmetric-demo"), help="default: %(default)s")
    options = parser.parse_args()
    if options.digits and (options.network or options.images):
        parser.error("--digits goes with neither --images nor --network: digits are 8 by 8 pixels")
    try:
        options.options = json.loads(options.options)
    except json.JSONDecodeError:
        options.options = None
    if not isinstance(options.options, dict):
        parser.error("--options needs an object of JSON, such as '{\"image_size\": 128}'")
    if options.network is None and (options.weights or options.options):
        parser.error("--weights and --options are for a network: name it with --network")
    if options.images is None and options.label_from is not None:
        parser.error("--label-from is for the folders of --images")
    return options


def note(message, *where, **details):
    """Print a warning as a line, parameters of functions as options of this command."""
    print("Note:", as_options(message))


def as_options(message):
    """Return a message about parameters as one about options of this command."""
    return str(message).replace("label_from=", "--label-from ")


def check_packages():
    """Name the one command that installs what is missing."""
    missing = [package for module, package in NEEDED.items() if find_spec(module) is None]
    if missing:
        raise ImportError(
            f"the pictures need {', '.join(missing)}: {sys.executable} -m pip install {' '.join(missing)}"
        )


# Images


def read(options):
    """Return the images that the options ask for."""
    if options.images:
        return read_folder(options.images, options.label_from)
    if options.digits:
        digits = load_digits()
        return Data(digits.images / 16, digits.target.astype(str), "digits")
    glyphs = make_glyphs(30 if options.quick else 500, image_size=24, random_state=0)
    return Data(glyphs.images, glyphs.target_names[glyphs.target], "characters")


def read_folder(folder, label_from):
    """Return the images of a folder that can be read, without classes of a single image."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "[0-9]+ of [0-9]+ images cannot be read")  # listed below
        found = load_image_folder(folder, check=True, label_from=label_from)
    left_out = [f"{left.path}: {left.reason}" for left in found.left_out]
    counts = np.bincount(found.target)
    left_out += [f"class {name}: it has one image" for name in found.target_names[counts == 1]]
    for line in left_out[:LISTED]:
        print(f"Left out: {line}")
    if len(left_out) > LISTED:
        print(f"Left out: {len(left_out) - LISTED} more")
    if sum(counts > 1) < LEAST:
        raise ValueError(
            f"--images {folder}: some classes are trained on and others are scored, so that at least {LEAST} "
            f"classes of two images or more are needed; {sum(counts > 1)} of {len(counts)} have two or more"
        )
    kept = counts[found.target] > 1
    return Data(found.data[kept], found.target_names[found.target[kept]], "classes")


# Models


def features_of(options, images):
    """Return the network that was named, tried on one image; None without a name."""
    if options.network is None:
        return None
    if unknown := options.options.keys() - FrozenFeatures(options.network).get_params().keys():
        raise ValueError(f"--options: FrozenFeatures has no parameter {', '.join(sorted(unknown))}")
    return FrozenFeatures(options.network, weights=options.weights or "pretrained", **options.options).fit(
        images[:1]
    )


def models(data, network, options):
    """Return the models to compare, by name; each takes images."""
    side = None if data.images.ndim == 3 else SIDE
    pixels = FrozenFeatures(nn.Flatten(), image_size=side, mean=0.0, std=1.0)
    small = FrozenFeatures(
        nn.Flatten(), image_size=min(SIDE, side or data.images.shape[1]), mean=0.0, std=1.0
    )
    compared = {
        "cosine of pixels": make_pipeline(pixels, Normalizer()),
        "MetricLearner": make_pipeline(small, MetricLearner(random_state=0)),
    }
    if network is not None:
        compared["cosine of features"] = make_pipeline(network, Normalizer())
        compared["MetricLearner on them"] = make_pipeline(network, MetricLearner(random_state=0))
    elif data.noun == "characters":
        compared["DeepMetricLearner"] = DeepMetricLearner(
            "conv4",
            model_kwargs={"width": 32},
            augment="affine",
            max_epochs=1 if options.quick else 8,
            learning_rate=3e-3,
            schedule="one_cycle",
            validation_fraction=0,  # all characters are trained on
            random_state=0,
        )
    return compared


def compared(models, train, y_train, test, y_test):
    """Fit and score each model, print the table, and return the last one with its embeddings."""
    print(f"{'':22}" + "".join(f"{name:>22}" for name in SCORES) + f"{'seconds':>10}")
    reports, rows = {}, {}
    for name, model in models.items():
        print(f"{name:22}", end="", flush=True)  # the cells follow when it is trained
        began = perf_counter()
        embeddings = rows[name] = model.fit(train, y_train).transform(test)
        reports[name] = report = retrieval_report(embeddings, y_test)
        cells = [with_interval(report, key) for key in SCORES.values()]
        print("".join(f"{cell:>22}" for cell in cells) + f"{perf_counter() - began:10.1f}")
    print("\nBrackets: 95% bootstrap intervals over the unseen classes. Seconds: fit, transform and search.")
    baseline = max((n for n in reports if n.startswith("cosine")), key=lambda n: reports[n]["map_at_r"])
    print(verdict(rows[baseline], embeddings, y_test, baseline))
    return model, embeddings


def with_interval(report, key):
    """Write a score as in '0.535 [0.521, 0.549]'."""
    low, high = report.intervals[key]
    return f"{report.scores[key]:.3f} [{low:.3f}, {high:.3f}]"


def verdict(before, after, y, baseline):
    """Say whether training shows, by the difference on the same queries."""
    compared = compare(before, after, y, scores=["map_at_r"])
    low, high = compared.intervals["map_at_r"]
    said = f"MAP@R {compared['map_at_r']:+.3f} [{low:+.3f}, {high:+.3f}] over {baseline}, on the same images"
    if low > 0:
        return f"The unseen classes gain: {said}.\n"
    if high < 0:
        return f"The unseen classes lose: {said}. Too few training classes?\n"
    return f"No clear gain, no clear loss: {said}.\n"


# Search


def search_twice(model, images, y, noun, out):
    """Search with strangers, here and in a second process, and draw neighbours; True if both agree."""
    classes = np.random.default_rng(0).permutation(np.unique(y))
    strangers = np.isin(y, classes[: max(0, min(len(classes) // 3, len(classes) - 2))])
    queries, gallery, y_queries, y_gallery = query_gallery_split(
        images[~strangers], y[~strangers], query_size=1 / 3, random_state=0
    )
    search = SimilaritySearch(model, n_neighbors=5).fit(gallery, y_gallery)
    try:
        search.calibrate()
        how = "calibrated on them"
    except ValueError as error:
        print(f"Note: no threshold can be chosen: {error}")
        how = "without a threshold"
    asked, y_asked = np.concatenate([queries, images[strangers]]), np.concatenate([y_queries, y[strangers]])
    found = search.evaluate(asked, y_asked)
    print(f"A search with {len(y_gallery)} images of {len(search.classes_)} {noun}, {how}:")
    print(f"  {found['identified']:.0%} of {len(y_queries)} other images of them get the right name,")
    if strangers.any():
        print(f"  {1 - found['unknown_accepted']:.0%} of {strangers.sum()} images of strangers are refused.")
    some = np.r_[spread(len(queries), 6), len(queries) + spread(int(strangers.sum()), 2)]
    picture = NeighborsDisplay.from_estimator(
        search, asked[some], y_asked[some], gallery=gallery, n_neighbors=min(5, len(gallery))
    )
    picture.figure_.savefig(out / "neighbors.png", dpi=100)

    search.save(out / "search")
    joblib.dump(model, out / "model.joblib")
    joblib.dump(asked, out / "queries.joblib")
    answer = subprocess.run(
        [sys.executable, "-c", SECOND_PROCESS, str(out)], check=True, stdout=subprocess.PIPE
    )
    same = json.loads(answer.stdout) == search.predict(asked).tolist()
    print(f"A second process loaded it and gave {'the same' if same else 'OTHER'} answers.\n")
    return same


def spread(n, n_wanted):
    """Return up to `n_wanted` numbers below `n`, evenly spread."""
    return np.linspace(0, n - 1, min(n, n_wanted)).astype(int)


if __name__ == "__main__":
    sys.exit(main())
