"""
A siamese network on pairs
==========================

Often there are no class labels: it is only known for some pairs whether both images show the same object. A
siamese network is trained on such pairs. It embeds single images, and a threshold on the distance decides
about new pairs.

Here the pairs are drawn from scikit-learn's digits. With ``--full`` they are faces, and the test pairs are
of people who were not in training::

    python examples/networks/siamese_network.py --full --data DIR

where DIR holds ``lfw_faces.npz`` and the ``load.py`` that reads it.

What the command prints:

.. measured:: examples/siamese_network
"""

# sphinx_gallery_thumbnail_number = -1

import argparse
import runpy

import numpy as np
from sklearn.datasets import load_digits

from skmetric.deep import SiameseLearner
from skmetric.inspection import DistanceHistogramDisplay
from skmetric.metrics import verification_report

parser = argparse.ArgumentParser()
parser.add_argument("--full", action="store_true", help="faces in place of digits")
parser.add_argument("--data", default="../shared/data", help="folder with load.py and lfw_faces.npz")
options = parser.parse_args()


def read_faces(folder):
    """Images at half their size, people, and which rows are for training: no person is in both parts."""
    faces = runpy.run_path(f"{folder}/load.py")["load"]("lfw_faces")
    return faces.data[:, ::2, ::2], faces.target, faces.split == "train"


def read_digits():
    """Images, digits, and every other row for training: the test has new images of the same digits."""
    digits = load_digits()
    return digits.images / 16, digits.target, np.arange(len(digits.target)) % 2 == 0


images, labels, train = read_faces(options.data) if options.full else read_digits()

# %%
# Pairs
# -----
# Half of the pairs show the same class. The network sees the pairs and whether they are similar, but no
# labels.


def draw_pairs(labels, n_pairs, seed):
    """Row numbers (n_pairs, 2), and 1 for pairs of one class, half of all."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, len(labels), (100 * n_pairs, 2))
    rows = rows[rows[:, 0] != rows[:, 1]]
    same = labels[rows[:, 0]] == labels[rows[:, 1]]
    kept = np.r_[np.flatnonzero(same)[: n_pairs // 2], np.flatnonzero(~same)[: n_pairs // 2]]
    return rows[kept], same[kept].astype(int)


rows, same = draw_pairs(labels[train], 8000 if options.full else 1200, seed=0)
pairs = images[train][rows]  # (n_pairs, 2, H, W)
learner = SiameseLearner("conv4", max_epochs=8 if options.full else 4, random_state=0).fit(pairs, same)
print(f"trained on {len(pairs)} pairs; the threshold is {learner.threshold_:.3f}")

# %%
# Verification
# ------------
# Decisions on new pairs, by distance. The baseline is the distance of raw pixels.

rows, same = draw_pairs(labels[~train], 2000, seed=1)
first, second = images[~train][rows[:, 0]], images[~train][rows[:, 1]]
learned = learner.pair_distance(first, second)
pixels = np.linalg.norm((first.astype(float) - second).reshape(len(first), -1), axis=1)
for name, distances in {"raw pixels": pixels, "siamese network": learned}.items():
    print(f"\n{name}\n{verification_report(distances, same)}")

# %%
# The threshold was chosen on pairs held out of training. The histogram shows how well it separates new
# pairs.

right = learner.predict(np.stack([first, second], axis=1)) == same
print(f"{right.mean():.1%} of the new pairs are decided rightly")
DistanceHistogramDisplay.from_predictions(learned[same == 1], learned[same == 0], cutpoint=learner.threshold_)
