"""
TensorFlow Similarity's tutorial, with strangers
================================================

Train on balanced batches, index some images, look up, calibrate, match: the steps of the tutorial of
TensorFlow Similarity, to its last picture, a confusion matrix. One thing is added. The network learns six
of ten classes, and the queries come from all ten: four classes are strangers, and what becomes of them is
in the matrix, too.

Here the images are scikit-learn's digits. With ``--full`` they are CIFAR-10, read from ``cifar10.npz`` by
the ``load.py`` beside it, in half an hour on a CPU; ``--epochs 1 --per-class 200`` takes a minute and shows
little::

    python examples/search/search_tutorial.py --full --data DIR
"""

# sphinx_gallery_thumbnail_number = 3

import argparse
import runpy
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split

from skmetric import DeepMetricLearner, SimilaritySearch
from skmetric.inspection import NeighborsDisplay, TrainingDisplay

parser = argparse.ArgumentParser()
parser.add_argument("--full", action="store_true", help="CIFAR-10 in place of digits")
parser.add_argument("--data", default="../shared/data", help="folder with load.py and cifar10.npz")
parser.add_argument("--epochs", type=int, help="passes over the training images (default: 10, CIFAR-10: 6)")
parser.add_argument("--per-class", type=int, help="training images of each class; all by default")
options = parser.parse_args()

# %%
# Six classes to learn, ten to meet
# ---------------------------------
# Of each of six classes most images train the network; 200 in all are the index, and others calibrate it.
# The queries are new images of these six, and of the other four.


def read_digits():
    """Images and the names of digits, and which to query with."""
    digits = load_digits()
    words = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
    return (
        digits.images / 16,
        words[digits.target],
        np.random.default_rng(0).random(len(digits.target)) < 1 / 3,
    )


def read_cifar10(folder):
    """Images (n, 32, 32, 3) and the names of what they show, and which to query with: the test set."""
    data = runpy.run_path(f"{folder}/load.py")["load"]("cifar10")
    return data.data, np.array(data.target_names)[data.target], data.split == "test"


images, names, queries = read_cifar10(options.data) if options.full else read_digits()
classes = np.unique(names)
known = np.isin(names, classes[:6])
n_apart = 1200 if options.full else 400
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
# ``classes_per_batch`` and ``samples_per_class`` are TensorFlow Similarity's sampler; the multi-similarity
# loss brings its mining.

if options.per_class:
    kept = np.concatenate([np.flatnonzero(y_train == name)[: options.per_class] for name in classes[:6]])
    X_train, y_train = X_train[kept], y_train[kept]
learner = DeepMetricLearner(
    "tutorial_conv" if options.full else "conv4",
    loss="multi_similarity",
    n_components=64,
    classes_per_batch=6,
    samples_per_class=16,
    max_epochs=options.epochs or (6 if options.full else 10),
    random_state=0,
).fit(X_train, y_train)
TrainingDisplay.from_estimator(learner)

# %%
# Index and look up
# -----------------
# The rows of the picture are queries, the last two of them strangers. Their neighbours look alike, and
# cannot be right.

search = SimilaritySearch(learner, n_neighbors=5).fit(X_index, y_index)
print(search.lookup(X_known[:1]))
shown = np.concatenate([X_known[:3], strangers[:2]])
shown_names = np.concatenate([y_known[:3], names[~known & queries][:2]])
NeighborsDisplay.from_estimator(search, shown, shown_names, gallery=X_index)

# %%
# Calibrate and match
# -------------------
# The tutorial chooses the distance at which the matches of *known* classes have their best F1. No stranger
# is there to object, so the distance is generous: that is ``protocol="closed"``, and it warns when it
# accepts nearly everything. The default, ``"open"``, lets each calibration image also be a stranger, with
# its own class hidden from the index.

found, predicted = {}, {}
for protocol in ("closed", "open"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that is what we want to see
        calibration = search.calibrate(X_calibration, y_calibration, protocol=protocol)
    print(f"{protocol} protocol\n{calibration}\n")
    found[protocol] = search.evaluate(X_known, y_known, strangers)
    predicted[protocol] = search.predict(np.concatenate([X_known, strangers]))

# %%
# The no-match label is one label more, so scikit-learn's own display draws it: strangers are the last row,
# and what is turned away is the last column.

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
    "strangers let in": "unknown_accepted",
    "balanced accuracy": "balanced_accuracy",
}.items():
    print(f"{label:30}" + "".join(f"{evaluation[score]:>10.3f}" for evaluation in found.values()))

# %%
# A threshold does not order neighbours, so recall@1 is one and the same; who is let in differs. Still, the
# strangers are let in more often than the table of the open protocol promised: the network was *trained* to
# tell the classes apart that stand in for strangers there. Classes that it was not trained on would make
# the table honest, as in :doc:`faces_never_seen`.

promised = calibration.cutpoints[search.cutpoint_]["false_accept_rate"]
really = found["open"]["unknown_accepted"]
print(f"strangers let in: {promised:.3f} in calibration, {really:.3f} of the real ones")
