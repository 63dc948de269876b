"""
Deduplication: near-duplicate images
====================================

A collection has some pictures more than once, but as different files: scanned again, cropped, brighter.
From sheets that were scanned several times, a metric learns what may change between two scans of a sheet.
This works for new sheets too.

The sheets are scikit-learn's handwritten digits. A simulated scanner shifts and fades them and adds
shadows. With ``--full`` the same scanner gets photographs of faces::

    python examples/search/deduplication.py --full --data DIR

where DIR holds ``lfw_faces.npz`` and the ``load.py`` that reads it.

What the command prints:

.. measured:: examples/deduplication
"""

# sphinx_gallery_thumbnail_number = -1

import argparse
import runpy

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import shift
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from skmetric import MetricLearner, SimilaritySearch

parser = argparse.ArgumentParser()
parser.add_argument("--full", action="store_true", help="real sets in place of small ones")
parser.add_argument("--data", default="../shared/data", help="folder with load.py and the sets")
options = parser.parse_args()

# %%
# Sheets and scans
# ----------------
# Every row is a scan, and its label is the sheet. The metric uses no other information: two scans of a
# sheet belong together, whatever digit it shows.


def read_faces(folder):
    """Photographs (n, 31, 24) of faces, from 0 to 16 as the digits are."""
    load = runpy.run_path(f"{folder}/load.py")["load"]
    return load("lfw_faces").data[:, ::2, ::2] / 16


def scan(image, rng):
    """Another scan of a sheet: shifted by a fraction of a pixel, fainter or darker, with a shadow."""
    moved = shift(image, rng.normal(0, 0.15, 2), order=1, mode="nearest") * rng.uniform(0.6, 1.2)
    rows, columns = np.meshgrid(*(np.linspace(-1, 1, n) for n in image.shape), indexing="ij")
    light = rng.normal(0, 2, 3)
    return moved + light[0] * rows + light[1] * columns + light[2] + rng.normal(0, 0.5, image.shape)


def draw(images, seed):
    """Scans as rows, and their sheets: for learning, of known pairs, of the collection to clean."""
    rng = np.random.default_rng(seed)
    learn, known, clean = np.split(rng.permutation(len(images))[:1350], [400, 650])
    copies = rng.choice([1, 2, 3], size=len(clean), p=[0.8, 0.15, 0.05])  # one sheet in five has copies
    parts = [np.repeat(learn, 4), np.repeat(known, 2), rng.permutation(np.repeat(clean, copies))]
    return [(np.stack([scan(images[i], rng).ravel() for i in sheets]), sheets) for sheets in parts]


images = read_faces(options.data) if options.full else load_digits().images
_, _, (X, sheets) = draw(images, seed=0)
n_pairs = len(X) * (len(X) - 1) // 2
print(
    f"{len(X)} items in the collection, {len(X) - len(np.unique(sheets))} of them too many; {n_pairs:,} pairs"
)

# %%
# A threshold for many pairs
# --------------------------
# The threshold comes from known pairs, of sheets that are neither in training nor in the collection. At
# the equal error rate, the usual choice for a single pair, the share of wrong pairs seems small. But a
# collection has so many pairs that wrong ones would far outnumber right ones. So divide the number of
# wrong pairs that you are willing to check by the number of all pairs, and use this false accept rate.
# ``calibrate_pairs`` takes such rates if there are enough pairs to estimate them.

FAR = [1e-3, 1e-4, 1e-5]
CUTPOINTS = {f"far_{far:g}": f"false accepts {far:g}" for far in FAR}


def pairs_of(sheets):
    """Rows of both sides of all pairs, and whether both are of the same sheet."""
    left, right = np.triu_indices(len(sheets), k=1)
    return left, right, sheets[left] == sheets[right]


def find_pairs(embedder, X_known, known, X, sheets):
    """Search with a calibration, and precision and recall of pairs over distance in the collection."""
    embeddings = embedder.transform(X_known)  # once for each row, not for each pair
    left, right, same = pairs_of(known)
    search = SimilaritySearch().fit(embedder.transform(X))
    calibration = search.calibrate_pairs(embeddings[left], embeddings[right], same, far=FAR, n_resamples=20)
    found = search.duplicates(calibration.cutpoints["far_0.001"]["distance"])
    right = np.cumsum(sheets[found.pairs[:, 0]] == sheets[found.pairs[:, 1]])  # nearest pairs come first
    n_right = (np.bincount(sheets) * (np.bincount(sheets) - 1) // 2).sum()
    precision, recall = right / np.arange(1, len(right) + 1), right / n_right
    ends = [
        np.searchsorted(found.distances, calibration.cutpoints[name]["distance"], "right")
        for name in CUTPOINTS
    ]
    return search, precision, recall, np.array(ends)


# %%
# Three random draws; each uses other sheets for learning, calibration and cleaning.

n_components = 128 if options.full else 64
learners = {
    "pixels": lambda: make_pipeline(PCA(n_components), Normalizer()),  # cosine
    "learned": lambda: make_pipeline(PCA(n_components), MetricLearner(random_state=0)),
}
rows = {(name, cut): [] for cut in CUTPOINTS for name in learners}
equal = {name: [] for name in learners}
for seed in range(3):
    (X_learn, to_learn), (X_known, known), (X, sheets) = draw(images, seed)
    curves = {}
    for name, make in learners.items():
        embedder = make().fit(X_learn, to_learn)
        search, *curves[name] = find_pairs(embedder, X_known, known, X, sheets)
        precision, recall, ends = curves[name]
        equal[name].append(search.calibration_.cutpoints["optimal"]["false_accept_rate"])
        for cut, end in zip(CUTPOINTS, ends, strict=True):
            at = [precision[end - 1], recall[end - 1], end * (1 - precision[end - 1])] if end else [1, 0, 0]
            rows[name, cut].append(at)

print("mean [lowest, highest of 3 draws]")
print(f"{'':33}{'precision':>18}{'recall':>18}{'wrong pairs':>21}")
for (name, cut), values in rows.items():
    precision_, recall_, wrong = zip(*values, strict=True)
    cells = [f"{np.mean(v):.2f} [{min(v):.2f}, {max(v):.2f}]" for v in (precision_, recall_)]
    cells.append(f"{np.mean(wrong):.0f} [{min(wrong):.0f}, {max(wrong):.0f}]")
    print(f"{name + ', ' + CUTPOINTS[cut]:33}{cells[0]:>18}{cells[1]:>18}{cells[2]:>21}")

for name, shares in equal.items():
    wrong = np.mean(shares) * n_pairs
    print(f"{name}: equal error rate {np.mean(shares):.3f}, which would be {wrong:,.0f} wrong pairs here")

# %%
# All thresholds of the last draw, with those that the calibration chose. Scans with similar pixels are
# rarely scans of the same sheet: what they share is the shadow of the scanner.

ax = plt.subplots(figsize=(6.4, 4.4), layout="constrained")[1]
for i, (name, (precision, recall, ends)) in enumerate(curves.items()):
    color = ("#d55e00", "#0072b2")[i]
    ax.plot(recall, precision, color=color, linestyle=("--", "-")[i], label=name)
    for mark, end in zip("os^", ends, strict=True):
        if end:
            ax.scatter(recall[end - 1], precision[end - 1], color=color, marker=mark, s=60, zorder=3)
for mark, cut in zip("os^", CUTPOINTS.values(), strict=True):
    ax.scatter([], [], color="black", marker=mark, s=60, label=cut)
ax.set(
    xlabel="recall: share of the true pairs that are found",
    ylabel="precision: share of found pairs that are true",
)
ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.04))
ax.spines[["top", "right"]].set_visible(False)
ax.legend(fontsize="small")

# %%
# The groups
# ----------
# ``duplicates`` links pairs into groups, directly or through other items. One wrong pair joins two
# sheets, so groups need a strict threshold. The picture shows the six largest groups at one false accept
# in 10,000, each as a row of at most eight. A red cross marks scans of another sheet than the first.

found = search.duplicates(search.calibration_.cutpoints["far_0.0001"]["distance"])
groups = sorted(found.groups, key=len, reverse=True)
pure = sum(len(set(sheets[group])) == 1 for group in groups)
print(f"{len(groups)} groups, {pure} of them of a single sheet")
groups = [group[:8] for group in groups[:6]]
n_columns = max(map(len, groups))
figure, grid = plt.subplots(
    len(groups), n_columns, figsize=(1.1 * n_columns, 7.5), squeeze=False, layout="constrained"
)
for group, axes in zip(groups, grid, strict=True):
    for ax in axes[len(group) :]:
        ax.set_axis_off()
    for item, ax in zip(group, axes, strict=False):
        color, mark = ("#0072b2", "✓") if sheets[item] == sheets[group[0]] else ("#d55e00", "✗")
        ax.imshow(X[item].reshape(images[0].shape), cmap="gray" if options.full else "gray_r")
        ax.set_title(f"{mark} sheet {sheets[item]}", fontsize="small", color=color)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set(color=color, linewidth=2)
