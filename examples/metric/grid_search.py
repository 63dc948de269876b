"""
Grid search with class-disjoint folds
=====================================

The folds decide what a grid search optimises. Stratified folds measure new samples of *known* classes, but
a metric is mostly used on new classes. This page searches the same grid with both kinds of folds, and then
scores both choices on classes that neither search saw.

The classes are characters, drawn on your machine: ten for the search, twenty as new classes. With ``--full``
the data are features of groceries by MobileNetV2, ``grocery_features.npz``, read by the ``load.py`` beside
it; this takes two minutes on a CPU::

    python examples/metric/grid_search.py --full --data DIR

What the command prints:

.. measured:: examples/grid_search
"""

import argparse
import runpy

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from skmetric import MetricLearner
from skmetric.datasets import make_glyphs
from skmetric.metrics import RetrievalScorer, retrieval_report
from skmetric.model_selection import ClassDisjointKFold, class_disjoint_split

parser = argparse.ArgumentParser()
parser.add_argument("--full", action="store_true", help="groceries in place of characters")
parser.add_argument("--data", default="../shared/data", help="folder with load.py and grocery_features.npz")
options = parser.parse_args()

# %%
# Hold classes out first
# ----------------------
# The new classes take part in no search.

if options.full:
    data = runpy.run_path(f"{options.data}/load.py")["load"]("grocery_features")
    X, y = PCA(128, random_state=0).fit_transform(data.data), data.target
else:
    glyphs = make_glyphs(30, samples_per_class=48, image_size=10, random_state=0)
    X, y = glyphs.images.reshape(len(glyphs.images), -1) / 255, glyphs.target
X_search, X_new, y_search, y_new = class_disjoint_split(
    X, y, test_size=1 / 2 if options.full else 2 / 3, random_state=0
)
print(f"{len(np.unique(y_search))} classes to search on, {len(np.unique(y_new))} to come")

# %%
# One grid, two kinds of folds
# ----------------------------
# ``shrinkage`` limits what is learned: (1, 1) learns no direction, (0, 0) uses every direction fully.
# (``shrinkage="cv"`` searches it much faster, also on class-disjoint folds. It is in the grid here to show
# the effect of the folds.) With ``--full`` the grid also has ``margin``: None does not refine the closed
# form, so it tells whether refinement helps.

grid = {
    "margin": [None, 0.1] if options.full else [None],
    "shrinkage": [(0.01, 0.01), (0.1, 0.1), (0.1, 0.5), (0.5, 0.5), (0.5, 0.9), (1, 1)],
}
n_folds = 5 if options.full else 3  # of three or four characters
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
# Scores on new classes
# ---------------------
# The two scores measure different things and cannot be compared. How good is each choice on new classes?

choices = {name: search.transform(X_new) for name, search in searches.items()} | {"no metric": X_new}
for name, rows in choices.items():
    report = retrieval_report(rows, y_new)
    low, high = report.intervals["map_at_r"]
    print(f"{name:20}  MAP@R {report['map_at_r']:.3f} [{low:.3f}, {high:.3f}]")

# %%
# Each candidate again, fitted on all classes of the search. The dashed line is its score on the new
# classes, which a search should predict. The scores of stratified folds fall where it rises: they favour
# candidates that overfit the known characters, and their choice is worse on new characters than no metric.
# Ten characters are few to learn from, so the right choice gains little; on forty groceries, above, the same
# folds take MAP@R from .398 to .496.

candidates = searches["class-disjoint folds"].cv_results_["params"]
to_come = [
    MetricLearner(random_state=0, **candidate).fit(X_search, y_search).transform(X_new)
    for candidate in candidates
]
curves = {name: search.cv_results_["mean_test_map_at_r"] for name, search in searches.items()}
curves["classes to come"] = np.array([retrieval_report(rows, y_new)["map_at_r"] for rows in to_come])

figure, axes = plt.subplots(
    1, len(grid["margin"]), figsize=(9, 4), sharey=True, squeeze=False, layout="constrained"
)
styles = (
    {"color": "#0072b2", "marker": "o"},
    {"color": "#d55e00", "marker": "s"},
    {"color": "black", "ls": "--"},
)
for ax, margin in zip(axes[0], grid["margin"], strict=True):
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
axes[0, 0].set_ylabel("MAP@R")
figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
