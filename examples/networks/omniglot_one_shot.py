"""
One-shot recognition
====================

One image of each class is known, and none of the classes was in training: which of twenty images shows the
same class as the query? A metric answers this without any retraining.

Here a network trains on 60 characters in the fonts of matplotlib, upright and rotated, and then
distinguishes twenty others. With ``--full`` the task is the official task of Omniglot: to distinguish 20
characters of an alphabet, drawn by other people, after training on 964 characters of other alphabets.
``omniglot.npz`` and ``oneshot/`` are read by the ``load.py`` beside them; this takes four minutes on a
CPU::

    python examples/networks/omniglot_one_shot.py --full --data DIR

``benchmarks/omniglot_one_shot.py`` solves the full task with characters cut out around their ink, a wider
network, longer training, the closed form as its last layer and several views of each image.

.. finding:: omniglot_one_shot
"""

import argparse
import runpy

import matplotlib.pyplot as plt
import numpy as np

from skmetric import DeepMetricLearner
from skmetric.datasets import make_glyphs

parser = argparse.ArgumentParser()
parser.add_argument("--full", action="store_true", help="Omniglot in place of fonts")
parser.add_argument("--data", default="../shared/data", help="folder with load.py, omniglot.npz and oneshot")
options = parser.parse_args()

# %%
# Tasks
# -----
# A task has one example of each of ``n_way`` classes, and queries. None of its classes was in training.


def draw_tasks(images, y, n_tasks=100):
    """Examples and queries (n_tasks, n_way, H, W), and the example that each query should find."""
    rng = np.random.default_rng(0)
    rows = np.array(
        [[rng.choice(np.flatnonzero(y == c), 2, replace=False) for c in np.unique(y)] for _ in range(n_tasks)]
    )  # (n_tasks, n_way, 2)
    return images[rows[..., 0]], images[rows[..., 1]], np.tile(np.arange(rows.shape[1]), (n_tasks, 1))


def read_omniglot(folder, side=28):
    """Characters to train on, their numbers, and the 20 official tasks."""
    load = runpy.run_path(f"{folder}/load.py")
    background = load["load"]("omniglot", split="background", size=side)
    with np.load(f"{folder}/oneshot/omniglot_runs.npz") as stored:
        bits = [np.unpackbits(stored[name], axis=-1)[..., : 105**2] for name in ("train", "test")]
        answers = stored["answer"]  # (20, 20)
    examples, queries = (
        load["resize"](255 * pixels.reshape(-1, 105, 105), side).reshape(*answers.shape, side, side)
        for pixels in bits
    )
    return background.data, background.target, (examples, queries, answers)


if options.full:
    X, y, tasks = read_omniglot(options.data)
else:
    glyphs = make_glyphs(80, image_size=16, random_state=0)
    known = glyphs.target < 60
    X, y = glyphs.images[known], glyphs.target[known]
    tasks = draw_tasks(glyphs.images[~known], glyphs.target[~known])
examples, queries, answers = tasks
n_tasks, n_way = answers.shape

figure, axes = plt.subplots(2, 10, figsize=(8, 2), layout="constrained")  # half of the first task
for column in range(10):
    axes[0, column].imshow(examples[0, column], cmap="gray_r")
    axes[1, column].imshow(queries[0, column], cmap="gray_r")
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("examples")
axes[1, 0].set_ylabel("queries")

# %%
# More classes by rotation
# ------------------------
# A rotated character is mostly a different character, so rotation makes four classes of each.

X, y = (
    np.concatenate([np.rot90(X, turns, axes=(1, 2)) for turns in range(4)]),
    np.concatenate([4 * y + k for k in range(4)]),
)
learner = DeepMetricLearner(
    "conv4",
    loss="multi_similarity",
    classes_per_batch=32 if options.full else 16,
    samples_per_class=4,
    steps_per_epoch=80 if options.full else 8,
    max_epochs=10,
    optimizer="adamw",
    learning_rate=3e-3,
    schedule="one_cycle",
    augment="affine",
    random_state=0,
).fit(X, y)
print(f"trained on {len(np.unique(y))} classes, {len(X)} images")

# %%
# The nearest example
# -------------------
# The answer is the nearest example. Tasks differ in difficulty, so the interval is computed over tasks.


def accuracy(embed):
    """Share of right answers in each task."""
    shape = n_tasks * n_way, *examples.shape[2:]
    known, asked = (
        embed(images.reshape(shape)).reshape(n_tasks, n_way, -1) for images in (examples, queries)
    )
    distances = ((asked[:, :, None] - known[:, None]) ** 2).sum(
        -1
    )  # (n_tasks, n_way queries, n_way examples)
    return (distances.argmin(-1) == answers).mean(1)


def pixels(images):
    """Raw pixels of unit length."""
    rows = images.reshape(len(images), -1).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


shares = {"raw pixels": accuracy(pixels), "network": accuracy(learner.transform)}
drawn = np.random.default_rng(0).integers(0, n_tasks, (1000, n_tasks))
intervals = {name: np.quantile(share[drawn].mean(1), [0.025, 0.975]) for name, share in shares.items()}
for name, (low, high) in intervals.items():
    print(f"{name:12} {shares[name].mean():.1%} [{low:.1%}, {high:.1%}]")
print(f"of {answers.size} answers right; chance is {1 / n_way:.0%}")
low, high = np.quantile((shares["network"] - shares["raw pixels"])[drawn].mean(1), [0.025, 0.975])
print(f"network less raw pixels, on the same tasks: [{low:+.1%}, {high:+.1%}]")
print("No clear winner." if low <= 0 <= high else "The difference is clear.")

figure, ax = plt.subplots(figsize=(6, 1.8), layout="constrained")
for height, (name, (low, high)) in enumerate(intervals.items()):
    ax.plot([low, high], [height, height], color="#0072b2")
    ax.plot(shares[name].mean(), height, "o", color="#0072b2")
ax.axvline(1 / n_way, color="grey", linestyle=":")
ax.annotate("chance", (1 / n_way, 0.5), xytext=(4, 0), textcoords="offset points", color="grey")
ax.set(
    yticks=range(len(shares)),
    yticklabels=shares,
    xlim=(0, 1),
    xlabel="right answers, with 95 % intervals over tasks",
)
ax.invert_yaxis()
ax.margins(y=0.4)
