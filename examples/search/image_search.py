"""
Image search
============

Which pictures show the same object? A frozen network turns pictures into features, a metric is learned on
objects with known names, and the search is for other objects.

The objects are places in scikit-learn's two sample photographs. Each appears several times, in different
light and slightly shifted. The network is small and untrained, so nothing is downloaded. With ``--full``
the objects are groceries, with queries of the official test split, and the network is MobileNetV2;
``load.py``, ``grocery.npz`` and ``weights/`` are read from a folder. This takes two minutes on a CPU::

    python examples/search/image_search.py --full --data DIR

What the command prints:

.. measured:: examples/image_search
"""

# sphinx_gallery_thumbnail_number = -1

import argparse
import runpy
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_sample_images
from sklearn.pipeline import make_pipeline
from torch import nn

from skmetric import FrozenFeatures, MetricLearner, SimilaritySearch
from skmetric.inspection import NeighborsDisplay, RecallAtKDisplay
from skmetric.metrics import retrieval_report
from skmetric.model_selection import class_disjoint_split, query_gallery_split

parser = argparse.ArgumentParser()
parser.add_argument("--full", action="store_true", help="groceries in place of places")
parser.add_argument("--data", default="../shared/data", help="folder with load.py, grocery.npz and weights")
options = parser.parse_args()

# %%
# Pictures
# --------
# Half of the objects are for learning. Of the other half, some pictures are the gallery, the others are
# queries.


def photograph_places(n_each=6, side=48, pitch=60):
    """Pictures (n, side, side, 3) of places in two photographs, and their names."""
    rng, pictures, places = np.random.default_rng(0), [], []
    for name, photograph in zip(("temple", "flower"), load_sample_images().images, strict=True):
        height, width = photograph.shape[:2]
        for top in range(5, height - pitch, pitch):
            for left in range(5, width - pitch, pitch):
                if photograph[top : top + pitch, left : left + pitch].mean(axis=2).std() < 25:
                    continue  # plain sky or dark: such places look alike
                for row, column in rng.integers(0, 8, (n_each, 2)):
                    view = photograph[top + row :, left + column :][:side, :side] / 255
                    light = np.exp(rng.normal(0, 0.4)) * np.exp(rng.normal(0, 0.1, 3))  # and its colour
                    contrast, noise = np.exp(rng.normal(0, 0.3)), rng.normal(0, 0.04, view.shape)
                    pictures.append(view**contrast * light + noise)
                places.extend([f"{name} {top // pitch}{chr(97 + left // pitch)}"] * n_each)
    return (255 * np.clip(pictures, 0, 1)).astype(np.uint8), np.array(places)


def untrained_network(n_filters=64):
    """Responses of random filters, averaged over each of 3 by 3 parts of the picture."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, n_filters, 7, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten()
        )


if options.full:
    if (cpu := Path(options.data, "torchvision_cpu.py")).exists():  # what timm misses beside a torch for CPUs
        declared = runpy.run_path(str(cpu))
    groceries = runpy.run_path(f"{options.data}/load.py")["load"]("grocery")
    things = np.array(groceries.target_names)[groceries.target]
    named = groceries.target < 40
    bought, gallery, asked = (
        named & (groceries.split == "train"),
        groceries.split == "train",
        groceries.split == "test",
    )
    X_train, y_train = groceries.data[bought], things[bought]
    X_gallery, y_gallery = groceries.data[gallery & ~named], things[gallery & ~named]
    X_query, y_query = groceries.data[asked & ~named], things[asked & ~named]
    network = FrozenFeatures(
        "mobilenetv2_100",
        weights=f"{options.data}/weights/mobilenetv2_100_tf2_in1k.safetensors",
        model_kwargs={"pad_type": "same"},
        image_size=128,
        mean=0.5,
        std=0.5,
    )
else:
    X_train, X_test, y_train, y_test = class_disjoint_split(*photograph_places(), random_state=0)
    X_query, X_gallery, y_query, y_gallery = query_gallery_split(X_test, y_test, query_size=2, random_state=0)
    network = FrozenFeatures(untrained_network(), mean=0.5, std=0.25)
print(f"{len(X_train)} pictures of {len(np.unique(y_train))} things to learn on;")
print(f"a gallery of {len(X_gallery)} pictures of {len(np.unique(y_gallery))} others, {len(X_query)} queries")

# %%
# Features and metric
# -------------------
# The scores are for objects that were not in learning: the share of queries that find their object among
# the k nearest pictures of the gallery.

model = make_pipeline(network, MetricLearner(random_state=0)).fit(X_train, y_train)
features, learner = model[:1], model[1]
queries, gallery = (
    {"pixels": X_query.reshape(len(X_query), -1) / 255},
    {"pixels": X_gallery.reshape(len(X_gallery), -1) / 255},
)
for side, pictures in [(queries, X_query), (gallery, X_gallery)]:
    side["features"] = features.transform(pictures)
    side["learned metric"] = learner.transform(side["features"])
RecallAtKDisplay.from_predictions(queries, y_query, gallery=gallery, y_gallery=y_gallery)
for name, rows in queries.items():
    report = retrieval_report(
        rows, y_query, gallery=gallery[name], y_gallery=y_gallery, scores=["recall_at_1", "map_at_r"]
    )
    print(f"{name:16} recall@1 {report['recall_at_1']:.3f}, MAP@R {report['map_at_r']:.3f}")

# %%
# Search
# ------
# :class:`~skmetric.SimilaritySearch` takes the pipeline and the pictures. It returns the nearest pictures
# of each query; blue frames and check marks are right.

search = SimilaritySearch(model, n_neighbors=5).fit(X_gallery, y_gallery)
shown = np.linspace(0, len(X_query) - 1, 5).astype(int)
print(search.lookup(X_query[shown[:1]]))
NeighborsDisplay.from_estimator(search, X_query[shown], y_query[shown], gallery=X_gallery)
