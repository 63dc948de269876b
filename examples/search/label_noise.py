"""
Label errors
============

People assign labels, and some labels are wrong. An item among items of another class is suspicious, and
``outliers`` sorts such items first, so that one checks the head of a list instead of the whole set. The
quality of the list depends on the distance, which is learned from the same labels, including wrong ones.
Does this still work?

The images are scikit-learn's digits, once unchanged and once in uneven light, which is unrelated to the
digit. One label in twenty is changed at random, so the wrong labels are known. With ``--full`` the sets are
faces, groceries and messages to a bank::

    python examples/search/label_noise.py --full --data DIR

where DIR holds ``lfw_faces.npz``, ``grocery_features.npz``, ``banking77.npz`` and the ``load.py`` that
reads them.

What the command prints:

.. measured:: examples/label_noise
"""

# sphinx_gallery_thumbnail_number = -1

import argparse
import runpy
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmetric import MetricLearner, SimilaritySearch
from skmetric.inspection import NeighborsDisplay

parser = argparse.ArgumentParser()
parser.add_argument("--full", action="store_true", help="real sets in place of small ones")
parser.add_argument("--data", default="../shared/data", help="folder with load.py and the sets")
options = parser.parse_args()

# %%
# Data
# ----


def digits_in_uneven_light(rng):
    """Digits (n, 8, 8), each with a different gradient of brightness."""
    images = load_digits().images
    rows, columns = np.mgrid[-1:1:8j, -1:1:8j]
    light = rng.normal(0, 5, (3, len(images), 1, 1))
    return images + light[0] * rows + light[1] * columns + light[2]


def read_sets(folder):
    """Rows and labels of three sets, and the pictures of the last."""
    load = runpy.run_path(f"{folder}/load.py")["load"]
    names = {"messages": "banking77", "groceries": "grocery_features", "faces": "lfw_faces"}
    read, sets = {name: load(file, split="train") for name, file in names.items()}, {}
    for name, data in read.items():
        X = data.data.reshape(len(data.data), -1).astype(np.float32)
        sets[name] = PCA(100, random_state=0).fit_transform(X), data.target
    return sets, read["faces"].data


if options.full:
    sets, pictures = read_sets(options.data)
else:
    pictures = digits_in_uneven_light(np.random.default_rng(0))
    digits = load_digits()
    sets = {"digits": (digits.data, digits.target), "uneven light": (pictures.reshape(-1, 64), digits.target)}

# %%
# Three methods
# -------------
# The three are ``outliers`` with the raw distance, ``outliers`` with the learned distance, and a common
# method: the probability that a classifier gives to the label of a row that it was not fitted on. All
# three see only the changed labels.


def change_labels(y, rng, share=0.05):
    """Labels with a share replaced by other classes, and the changed rows."""
    changed = rng.choice(len(y), int(share * len(y)), replace=False)
    codes, n_classes = np.unique(y, return_inverse=True)[1], len(np.unique(y))
    codes[changed] = (codes[changed] + rng.integers(1, n_classes, len(changed))) % n_classes
    return np.unique(y)[codes], changed


def by_probability(X, y):
    """Rows, the least probable label first."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=200))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # fewer rows than folds
        probability = cross_val_predict(model, X, y, cv=3, method="predict_proba")
    return np.argsort(probability[np.arange(len(y)), np.searchsorted(np.unique(y), y)])


def lists(X, y):
    """Rows in the order of suspicion for each method, and the search with the learned distance."""
    learned = SimilaritySearch(MetricLearner(random_state=0)).fit(X, y)
    return {
        "neighbours, raw": SimilaritySearch().fit(X, y).outliers()["id"],
        "neighbours, learned": learned.outliers()["id"],
        "classifier": by_probability(X, y),
    }, learned


share, n_draws = 0.05, 3
hits = {}  # (set, way) -> whether each row of the list was changed, one array a draw
for name, (X, y) in sets.items():
    for seed in range(n_draws):
        given, changed = change_labels(y, np.random.default_rng(seed), share)
        orders, learned = lists(X, given)
        for way, order in orders.items():
            hits.setdefault((name, way), []).append(np.isin(order, changed))

print(f"{share:.0%} of labels are wrong. Wrong among the first of the list, mean [range of {n_draws} draws]:")
print(f"{'first ...':36}{'half as many':>22}{'as many as are wrong':>22}{'twice as many':>22}")
for (name, way), draws in hits.items():
    cells = []
    for factor in (0.5, 1, 2):
        found = [draw[: int(factor * draw.sum())].mean() for draw in draws]
        cells.append(f"{np.mean(found):.3f} [{min(found):.3f}, {max(found):.3f}]")
    print(f"{name + ': ' + way:36}" + "".join(f"{cell:>22}" for cell in cells))
print(f"{'chance':36}" + f"{share:.3f}".rjust(22) * 3)
print(f"{'all found':36}{1:22.3f}{1:22.3f}{0.5:22.3f}")

# %%
# On unchanged digits the raw distance is already good enough. In uneven light it compares the light, but
# the learned distance does not: it learns the variation inside classes from all labels together, and one
# wrong label in twenty changes this little. The linear classifier is worse than the learned neighbours on
# both sets.

ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")[1]
for i, (way, color) in enumerate(zip(orders, ("#d55e00", "#0072b2", "#009e73"), strict=True)):
    draws = np.array(hits[name, way])
    looked = np.arange(1, 2 * draws[0].sum() + 1)
    found = np.cumsum(draws, axis=1)[:, : len(looked)] / draws[0].sum()
    ax.plot(looked, found.mean(axis=0), color=color, linestyle=("--", "-", "-.")[i], label=way)
    ax.fill_between(looked, found.min(axis=0), found.max(axis=0), color=color, alpha=0.2, linewidth=0)
ax.plot(looked, looked / len(y), color="#767676", linestyle=":", label="chance")
ax.axvline(draws[0].sum(), color="black", linewidth=0.8)
ax.text(draws[0].sum(), 0.68, " as many as are wrong", fontsize="small")
ax.set(
    xlabel="items looked at, from the head of the list",
    ylabel="share of the wrong labels found",
    ylim=(0, 1.03),
)
ax.set_title(f"{name}: mean and range of {n_draws} draws", fontsize="medium")
ax.legend(fontsize="small", loc="center right")
ax.spines[["top", "right"]].set_visible(False)

# %%
# The head of the list
# --------------------
# The first items of the list, each beside its nearest neighbours. A red cross marks a neighbour with
# another label. If all neighbours have the same label and the item another, its label is probably wrong.

table = learned.outliers()
first = table["id"][:5]
distances, rows = learned.kneighbors(n_neighbors=5)
said = [f"{given[i]}, truly {y[i]}" if given[i] != y[i] else f"{given[i]}, as it was" for i in first]
display = NeighborsDisplay.from_predictions(
    pictures[first], pictures, distances[first], rows[first], y=given[first], y_gallery=given
)
for record, truth in zip(table.to_records()[:5], said, strict=True):
    print(
        "item {id}: labelled {truth}; lies among {other_label}, score {score:.2f}".format(
            **record, truth=truth
        )
    )
