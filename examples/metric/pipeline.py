"""
Features, metric, k-NN: one pipeline
====================================

The pipeline of the README, from images to names: features of a frozen network, a metric learned on them,
and k-NN with that metric. It is a scikit-learn pipeline, so it can be scored, searched, cached, cloned and
saved like any other.

A pretrained network would need a download. Here the network is small and untrained, and the images are
characters, drawn on your machine: random convolutions are features, too. With ``--full`` images and network
are replaced by features of groceries by MobileNetV2, ``grocery_features.npz``, read by the ``load.py``
beside it::

    python examples/metric/pipeline.py --full --data DIR

What the command prints:

.. measured:: examples/pipeline
"""

import argparse
import runpy
import tempfile

import joblib
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from torch import nn

from skmetric import FrozenFeatures, MetricLearner
from skmetric.datasets import make_glyphs

parser = argparse.ArgumentParser()
parser.add_argument("--full", action="store_true", help="features of groceries in place of images")
parser.add_argument("--data", default="../shared/data", help="folder with load.py and grocery_features.npz")
options = parser.parse_args()

# %%
# Images and a network
# --------------------
# :class:`~skmetric.FrozenFeatures` takes the name of a timm network, as in the README, or any module.
# This module averages the responses of 40 random filters over each quarter of the image, and counts the
# images that it processes.


class RandomConvolutions(nn.Module):
    """Network that was never trained."""

    n_seen = 0

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            filters = nn.Conv2d(1, 40, 3)
        self.layers = nn.Sequential(filters, nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())

    def forward(self, images):
        """Return features (n, 160)."""
        RandomConvolutions.n_seen += len(images)
        return self.layers(images)


if options.full:
    data = runpy.run_path(f"{options.data}/load.py")["load"]("grocery_features", split="train")
    X, y, features = data.data, data.target, "passthrough"
else:
    glyphs = make_glyphs(60, samples_per_class=24, image_size=16, random_state=0)
    X, y = glyphs.images, glyphs.target
    features = FrozenFeatures(RandomConvolutions(), mean=0.5, std=0.25)

pipeline = Pipeline(
    [("features", features), ("metric", MetricLearner(random_state=0)), ("knn", KNeighborsClassifier(3))]
)
pipeline

# %%
# Does the metric help?
# ---------------------
# A third of the images is for training, the rest for testing. The classes are known, so scikit-learn's
# own splits are right; all pipelines use the same six. One parameter leaves a step out.

splits = StratifiedShuffleSplit(6, train_size=1 / 3, random_state=0)
pipelines = {
    "features, k-NN": clone(pipeline).set_params(metric="passthrough"),
    "features, metric, k-NN": pipeline,
}
if not options.full:  # without a network
    flat = FrozenFeatures(nn.Flatten(), mean=0, std=1)
    pipelines = {
        "pixels, k-NN": clone(pipeline).set_params(features=flat, metric="passthrough"),
        "pixels, metric, k-NN": clone(pipeline).set_params(features=flat),
    } | pipelines
accuracy = {name: cross_val_score(steps, X, y, cv=splits) for name, steps in pipelines.items()}
for name, scores in accuracy.items():
    print(f"{name:24} accuracy {scores.mean():.3f} (from {scores.min():.3f} to {scores.max():.3f})")

figure, axes = plt.subplots(figsize=(7, 0.8 + 0.6 * len(accuracy)), layout="constrained")
for height, scores in enumerate(accuracy.values()):
    axes.plot(scores, np.full(len(scores), height), "o", color="#0072b2", alpha=0.5)
    axes.plot(scores.mean(), height, "|", color="black", markersize=18)
axes.set(yticks=range(len(accuracy)), yticklabels=accuracy, xlabel="accuracy on six splits, and its mean")
axes.invert_yaxis()
axes.margins(y=0.3)
axes.grid(axis="x", alpha=0.3)

# %%
# The metric weighs directions by how well they separate classes. Features with much redundancy, such as
# those of a network, gain most from it: without the metric these features are worse than pixels, with it
# they are far better. Pixels gain a little.
#
# The network runs once
# ---------------------
# With ``memory=`` a pipeline stores the output of its first steps for the same training images, so a grid
# over later steps does not run the network again. It does not store the output for test images;
# ``FrozenFeatures(cache="folder")`` stores the features of every image.

grid = {"knn__n_neighbors": [1, 3, 5, 7]}
with tempfile.TemporaryDirectory() as folder:
    for memory in (None, folder):
        RandomConvolutions.n_seen = 0
        search = GridSearchCV(clone(pipeline).set_params(memory=memory), grid, cv=3).fit(X[:900], y[:900])
        name = "a folder" if memory else None
        print(f"memory={name}: {RandomConvolutions.n_seen} images went through the network")
n_candidates = len(search.cv_results_["params"])
print(f"{len(y[:900])} images, {n_candidates} candidates, 3 folds; best: {search.best_params_}")

# %%
# Saving and loading
# ------------------
# The fitted pipeline is one file.

with tempfile.TemporaryDirectory() as folder:
    joblib.dump(pipeline.fit(X[::2], y[::2]), f"{folder}/pipeline.joblib")
    loaded = joblib.load(f"{folder}/pipeline.joblib")
same = np.array_equal(loaded.predict(X[1::2]), pipeline.predict(X[1::2]))
print(f"The loaded pipeline gives {'the same' if same else 'OTHER'} answers for {len(X[1::2])} images.")
