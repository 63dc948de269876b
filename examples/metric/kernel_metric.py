"""
A kernel metric by composition
==============================

A linear learner can only stretch and turn the features. Behind a kernel map, such as
:class:`~sklearn.kernel_approximation.Nystroem`, the same learner is a kernel learner: it is linear in the
space of the kernel, and curved in that of the features. No learner needs a separate kernel version.

Here classes are rings around one centre: samples of a ring on opposite sides are far apart, and no linear map
brings them together.
"""

# %%
# Rings, and three features of noise
# ----------------------------------
import matplotlib.pyplot as plt
import numpy as np
from sklearn.kernel_approximation import Nystroem
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skmetric.linear import LFDA, MetricLearner
from skmetric.metrics import retrieval_report

rng = np.random.default_rng(0)
y = np.tile([0, 1, 2], 200)
angle = rng.uniform(0, 2 * np.pi, len(y))
radius = 1.0 + y + 0.2 * rng.normal(size=len(y))
X = np.column_stack([radius * np.cos(angle), radius * np.sin(angle), rng.normal(size=(len(y), 3))])
train, test = slice(None, None, 2), slice(1, None, 2)

# %%
# The same learners in the features and in the space of a kernel
# --------------------------------------------------------------
# MAP@R on rows that were not trained on: are the nearest rows, all around the ring, of the same ring?
maps = {"features": FunctionTransformer(), "kernel": Nystroem(gamma=0.1, n_components=100, random_state=0)}
learners = {
    "not learned": FunctionTransformer(),
    "MetricLearner": MetricLearner((0.3, 0.5), normalize=False),
    "LFDA": LFDA(n_components=2),
}
scores, embeddings = {}, {}
for space, mapping in maps.items():
    for name, learner in learners.items():
        pipeline = make_pipeline(mapping, learner).fit(X[train], y[train])
        embeddings[space, name] = pipeline.transform(X[test])
        report = retrieval_report(embeddings[space, name], y[test], scores=["map_at_r"])
        scores[space, name] = report["map_at_r"]
        low, high = report.intervals["map_at_r"]
        print(f"{space:10} {name:14} MAP@R {report['map_at_r']:.3f} [{low:.3f}, {high:.3f}]")

# %%
# What the learner sees
# ---------------------
# In the features the rings stay rings; in the space of the kernel a linear map lays them out side by side.
# For a k-NN classifier of known classes the difference is smaller: it only looks at a small part of a ring.
figure, axes = plt.subplots(1, 2, figsize=(9, 4.3), layout="constrained")
for ax, space in zip(axes, maps, strict=True):
    for code, marker in enumerate("o^s"):
        rows = embeddings[space, "LFDA"][y[test] == code]
        ax.scatter(*rows.T, s=14, marker=marker, label=f"ring {code}")
    ax.set(title=f"LFDA in the {space}", xlabel="first component", ylabel="second component")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
