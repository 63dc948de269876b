"""
The tutorial of TensorFlow Similarity, with strangers
=====================================================

This page follows the tutorial of TensorFlow Similarity: train on balanced batches, index images, look up,
calibrate, match, and draw a confusion matrix. It adds one thing. The index holds six of ten classes, but the
queries come from all ten. So four classes are strangers, on which the network was not trained, and the
matrix also shows the answers for them.

The images are characters, drawn on your machine; the network is trained on seventy others as well. With
``--full`` they are CIFAR-10, read from ``cifar10.npz`` by the ``load.py`` beside it; this takes half an
hour on a CPU. ``--epochs 1 --per-class 200`` takes a minute, with poor results::

    python examples/search/search_tutorial.py --full --data DIR

The tutorial itself, with all classes trained on, is recorded as a benchmark (:doc:`/benchmarks`):

.. finding:: cifar10_tutorial
"""

# sphinx_gallery_thumbnail_number = 3

import argparse
import runpy
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import normalize

from skmetric import DeepMetricLearner, SimilaritySearch
from skmetric.datasets import make_glyphs
from skmetric.inspection import NeighborsDisplay, TrainingDisplay
from skmetric.metrics import recall_at_k

parser = argparse.ArgumentParser()
parser.add_argument("--full", action="store_true", help="CIFAR-10 in place of characters")
parser.add_argument("--data", default="../shared/data", help="folder with load.py and cifar10.npz")
parser.add_argument("--epochs", type=int, help="passes over the training images (default: 8, CIFAR-10: 6)")
parser.add_argument("--per-class", type=int, help="training images of each class; all by default")
options = parser.parse_args()

# %%
# Known classes and strangers
# ---------------------------
# Most images of six classes train the network; 200 others form the index, and further images calibrate
# it. The queries are new images of these six classes and of the other four.


def read_glyphs():
    """Images (n, 12, 12), the characters that they show, and which images are queries."""
    glyphs = make_glyphs(10, samples_per_class=100, image_size=12, random_state=0)
    return (
        glyphs.images,
        glyphs.target_names[glyphs.target],
        np.random.default_rng(0).random(len(glyphs.target)) < 1 / 3,
    )


def read_others():
    """Images of further characters, to train on, and their names."""
    glyphs = make_glyphs(80, image_size=12, random_state=0)  # the first ten are those above
    others = glyphs.target >= 10
    return glyphs.images[others], glyphs.target_names[glyphs.target[others]]


def read_cifar10(folder):
    """Images (n, 32, 32, 3), the names of their classes, and which are queries: the test set."""
    data = runpy.run_path(f"{folder}/load.py")["load"]("cifar10")
    return data.data, np.array(data.target_names)[data.target], data.split == "test"


images, names, queries = read_cifar10(options.data) if options.full else read_glyphs()
classes = np.unique(names)
known = np.isin(names, classes[:6])
n_apart = 1200 if options.full else 300
X_train, X_apart, y_train, y_apart = train_test_split(
    images[known & ~queries],
    names[known & ~queries],
    test_size=n_apart,
    stratify=names[known & ~queries],
    random_state=0,
)
X_index, X_calibration, y_index, y_calibration = train_test_split(
    X_apart, y_apart, train_size=200, stratify=y_apart, random_state=0
)
X_known, y_known, strangers = images[known & queries], names[known & queries], images[~known & queries]
print(f"{len(X_train)} images train, {len(X_index)} are the index, {len(X_calibration)} calibrate;")
print(f"{len(X_known)} queries show {', '.join(classes[:6])},")
print(f"and {len(strangers)} show strangers: {', '.join(classes[6:])}.")

# %%
# Train
# -----
# ``classes_per_batch`` and ``samples_per_class`` do what the sampler of TensorFlow Similarity does; the
# multi-similarity loss includes mining. Six classes are few: such a network would accept most strangers. So
# it also learns characters that nobody asks about, which teaches it how characters differ.

if options.per_class:
    kept = np.concatenate([np.flatnonzero(y_train == name)[: options.per_class] for name in classes[:6]])
    X_train, y_train = X_train[kept], y_train[kept]
if not options.full:
    X_others, y_others = read_others()
    X_train, y_train = np.concatenate([X_train, X_others]), np.concatenate([y_train, y_others])
learner = DeepMetricLearner(
    "tutorial_conv" if options.full else "conv4",
    loss="multi_similarity",
    n_components=64,
    classes_per_batch=6 if options.full else 32,
    samples_per_class=16 if options.full else 4,
    max_epochs=options.epochs or (6 if options.full else 8),
    random_state=0,
).fit(X_train, y_train)
TrainingDisplay.from_estimator(learner)

# %%
# Index and look up
# -----------------
# Each row of the picture is a query with its neighbours. The last two queries are strangers: their
# neighbours look similar, but cannot be right.

search = SimilaritySearch(learner, n_neighbors=5).fit(X_index, y_index)
recalls = {"cosine of pixels": normalize, "network": learner.transform}
for name, embed in recalls.items():
    rows, gallery = (
        embed(part.reshape(len(part), -1) if embed is normalize else part) for part in (X_known, X_index)
    )
    recalls[name] = recall_at_k(rows, y_known, gallery=gallery, y_gallery=y_index)
    print(f"recall@1, {name}: {recalls[name]:.3f}")
print(search.lookup(X_known[:1]))
shown = np.concatenate([X_known[:3], strangers[:2]])
shown_names = np.concatenate([y_known[:3], names[~known & queries][:2]])
NeighborsDisplay.from_estimator(search, shown, shown_names, gallery=X_index)

# %%
# Calibrate and match
# -------------------
# The tutorial chooses the distance with the best F1 for matches of *known* classes. Without strangers
# this distance is large. This is ``protocol="closed"``, which warns if it accepts nearly everything. The
# default, ``"open"``, also uses each calibration image as a stranger, with its own class hidden from the
# index.

found, predicted = {}, {}
for protocol in ("closed", "open"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it accepts nearly everything: shown here on purpose
        calibration = search.calibrate(X_calibration, y_calibration, protocol=protocol)
    print(f"{protocol} protocol\n{calibration}\n")
    found[protocol] = search.evaluate(X_known, y_known, strangers)
    predicted[protocol] = search.predict(np.concatenate([X_known, strangers]))

# %%
# The no-match label is one more label, so scikit-learn's own display draws it: the last row holds the
# strangers, the last column the rejected queries.

truth = np.concatenate([y_known, np.full(len(strangers), search.no_match_label_)])
figure, both = plt.subplots(1, 2, figsize=(8.5, 4.6), layout="constrained", sharey=True)
for axes, (protocol, answers) in zip(both, predicted.items(), strict=True):
    ConfusionMatrixDisplay.from_predictions(
        truth,
        answers,
        labels=[*search.classes_, search.no_match_label_],
        normalize="true",
        values_format=".2f",
        xticks_rotation=45,
        cmap="Blues",
        colorbar=False,
        ax=axes,
    )
    axes.set_title(f"calibrated {protocol}")

print(f"{'':30}" + "".join(f"{protocol:>10}" for protocol in found))
for label, score in {
    "recall@1": "recall_at_1",
    "MAP@R": "map_at_r",
    "known, under their own name": "identified",
    "strangers accepted": "unknown_accepted",
    "balanced accuracy": "balanced_accuracy",
}.items():
    print(f"{label:30}" + "".join(f"{evaluation[score]:>10.3f}" for evaluation in found.values()))

# %%
# A threshold does not change the order of neighbours, so recall@1 is the same for both; the accepted
# queries differ: the open protocol refuses far more strangers for a few known queries. Its table is right
# where the network has learned many classes, as here, or other classes than those of the index, as in
# :doc:`faces_never_seen`. With ``--full`` it learns the six classes of the index and no others; then more
# strangers are accepted than the table says, which uses these six as strangers.

promised = calibration.cutpoints[search.cutpoint_]["false_accept_rate"]
really = found["open"]["unknown_accepted"]
print(f"strangers accepted: {promised:.3f} in calibration, {really:.3f} of the real ones")
