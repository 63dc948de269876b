"""
Grid search for classes that are yet to come
============================================

A search finds what its folds ask for. Stratified folds ask how well new samples of *known* classes are
found; a metric is mostly wanted for classes that nobody has seen. This page searches the same grid with
both kinds of folds, and then looks at classes that neither search saw.

Here the classes are digits, five to search on and five to come. With ``--full`` they are groceries,
features of MobileNetV2 in ``grocery_features.npz``, read by the ``load.py`` beside it, two minutes on a
CPU::

    python examples/metric/grid_search.py --full --data DIR
"""

import argparse
import runpy

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from skmetric import MetricLearner
from skmetric.metrics import RetrievalScorer, retrieval_report
from skmetric.model_selection import ClassDisjointKFold, class_disjoint_split

parser = argparse.ArgumentParser()
parser.add_argument("--full", action="store_true", help="groceries in place of digits")
parser.add_argument("--data", default="../shared/data", help="folder with load.py and grocery_features.npz")
options = parser.parse_args()

# %%
# Keep classes aside first
# ------------------------
# The classes to come take no part in any search.

if options.full:
    data = runpy.run_path(f"{options.data}/load.py")["load"]("grocery_features")
    X, y = PCA(128, random_state=0).fit_transform(data.data), data.target
else:
    X, y = load_digits(return_X_y=True)
X_search, X_new, y_search, y_new = class_disjoint_split(X, y, random_state=0)
print(f"{len(np.unique(y_search))} classes to search on, {len(np.unique(y_new))} to come")

# %%
# One grid, two kinds of folds
# ----------------------------
# ``margin=None`` leaves the closed form as it is, so a grid over ``margin`` also answers whether refining
# it pays. ``shrinkage`` holds the metric back: (1, 1) learns no direction, (0, 0) trusts each one that the
# scatter shows. (It has a search of its own, ``shrinkage="cv"``, on class-disjoint folds and much quicker.
# Here it is in the grid to show what the folds do.)

grid = {
    "margin": [None, 0.1],
    "shrinkage": [(0.01, 0.01), (0.1, 0.1), (0.1, 0.5), (0.5, 0.5), (0.5, 0.9), (1, 1)],
}
n_folds = 5 if options.full else 2  # of five digits, two and three
folds = {
    "class-disjoint folds": ClassDisjointKFold(n_folds, shuffle=True, random_state=0),
    "stratified folds": StratifiedKFold(n_folds, shuffle=True, random_state=0),
}
searches = {
    name: GridSearchCV(
        MetricLearner(random_state=0),
        grid,
        cv=cv,
        scoring=RetrievalScorer("recall_at_1", "map_at_r"),
        refit="map_at_r",
    ).fit(X_search, y_search)
    for name, cv in folds.items()
}
for name, search in searches.items():
    print(f"{name:20}  MAP@R {search.best_score_:.3f} at {search.best_params_}")

# %%
# The classes to come
# -------------------
# The two scores answer two questions and cannot be compared. What does each choice do for new classes?

choices = {name: search.transform(X_new) for name, search in searches.items()} | {"no metric": X_new}
for name, rows in choices.items():
    report = retrieval_report(rows, y_new)
    low, high = report.intervals["map_at_r"]
    print(f"{name:20}  MAP@R {report['map_at_r']:.3f} [{low:.3f}, {high:.3f}]")

# %%
# Each candidate again, fitted on all classes of the search: the dashed line is what a search ought to find
# out. On digits, stratified folds fall where it rises. They like best what knows the known classes by
# heart.

candidates = searches["class-disjoint folds"].cv_results_["params"]
to_come = [
    MetricLearner(random_state=0, **candidate).fit(X_search, y_search).transform(X_new)
    for candidate in candidates
]
curves = {name: search.cv_results_["mean_test_map_at_r"] for name, search in searches.items()}
curves["classes to come"] = np.array([retrieval_report(rows, y_new)["map_at_r"] for rows in to_come])

figure, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
styles = (
    {"color": "#0072b2", "marker": "o"},
    {"color": "#d55e00", "marker": "s"},
    {"color": "black", "ls": "--"},
)
for ax, margin in zip(axes, grid["margin"], strict=True):
    rows = [candidate["margin"] == margin for candidate in candidates]
    for (name, scores), style in zip(curves.items(), styles, strict=True):
        ax.plot(scores[rows], label=name, **style)
    ax.set(
        title=f"margin={margin}",
        xlabel="shrinkage",
        xticks=range(len(grid["shrinkage"])),
        xticklabels=[str(pair) for pair in grid["shrinkage"]],
    )
    ax.tick_params(axis="x", rotation=30)
axes[0].set_ylabel("MAP@R")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
