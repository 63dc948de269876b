"""
A learner as features for other models
======================================

A metric learner is a transformer, so any scikit-learn model can follow it. Does this help? It depends on
how the model uses distances, on the number of labels, and above all on whether the learner has seen more
labels than the model: often there are many labels of other classes and few of the task itself.

This page combines four kinds of features (scaled, whitened PCA, linear discriminant analysis, learned
metric) with four classifiers, in four tasks with few labels. With ``--full`` the tasks are groceries and
messages to a bank::

    python examples/metric/learner_as_features.py --full --data DIR

where DIR holds ``grocery_features.npz``, ``banking77.npz`` and the ``load.py`` that reads them.

What the command prints:

.. measured:: examples/learner_as_features
"""

import argparse
import runpy

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedShuffleSplit, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skmetric import MetricLearner
from skmetric.model_selection import class_disjoint_split

parser = argparse.ArgumentParser()
parser.add_argument("--full", action="store_true", help="real sets in place of small ones")
parser.add_argument("--data", default="../shared/data", help="folder with load.py and the sets")
options = parser.parse_args()

# %%
# As a step of a pipeline
# -----------------------
# The learner is fitted on the training rows of each fold, like any other step.

X, y = load_wine(return_X_y=True)
few = StratifiedShuffleSplit(5, train_size=15, random_state=0)  # five labels of each class
scores = cross_val_score(make_pipeline(StandardScaler(), MetricLearner(random_state=0), SVC()), X, y, cv=few)
print(f"wine, 15 labels: accuracy {scores.mean():.3f}, {scores.min():.3f} to {scores.max():.3f} in 5 splits")

# %%
# Tasks
# -----
# Wine is small and clean. The digits are in uneven light: each image has a different gradient of
# brightness, which is unrelated to the digit. In the last task, the features are fitted on all images of
# five digits, and the classifier on five images of each of the *other* five.


def digits_in_uneven_light():
    """Pixels (n, 64) and digits."""
    digits, (rows, columns) = load_digits(), np.mgrid[-1:1:8j, -1:1:8j]
    light = np.random.default_rng(0).normal(0, 5, (3, len(digits.images), 1, 1))
    return (digits.images + light[0] * rows + light[1] * columns + light[2]).reshape(-1, 64), digits.target


def read_sets(folder):
    """Rows and labels of groceries and of messages."""
    load = runpy.run_path(f"{folder}/load.py")["load"]
    read = [load(name, split="train") for name in ("grocery_features", "banking77")]
    return [(PCA(128, random_state=0).fit_transform(data.data), data.target) for data in read]


def task(X, y, n_labels, from_others=False):
    """Rows, labels, labels of each class, and data of other classes to fit features on, or None."""
    if not from_others:
        return X, y, n_labels, None
    X_others, X, y_others, y = class_disjoint_split(X, y, random_state=0)
    return X, y, n_labels, (X_others, y_others)


if options.full:
    groceries, messages = read_sets(options.data)
    tasks = {
        "groceries, 5 labels": task(*groceries, 5),
        "new groceries, 5 labels": task(*groceries, 5, from_others=True),
        "messages, 5 labels": task(*messages, 5),
        "new messages, 5 labels": task(*messages, 5, from_others=True),
    }
else:
    digits = digits_in_uneven_light()
    tasks = {
        "wine, 5 labels": task(X, y, 5),
        "digits, 5 labels": task(*digits, 5),
        "digits, 20 labels": task(*digits, 20),
        "new digits, 5 labels": task(*digits, 5, from_others=True),
    }

# %%
# All combinations
# ----------------

FEATURES = {
    "scaled": StandardScaler(),
    "PCA": make_pipeline(StandardScaler(), PCA(0.95, whiten=True, random_state=0)),
    "LDA": make_pipeline(StandardScaler(), LinearDiscriminantAnalysis()),
    "learned": make_pipeline(StandardScaler(), MetricLearner(random_state=0)),
}
MODELS = {
    "1-NN": KNeighborsClassifier(1),
    "SVC, RBF": SVC(),
    "logistic": LogisticRegression(max_iter=300),
    "boosting": HistGradientBoostingClassifier(max_iter=10, min_samples_leaf=3, random_state=0),
}
if options.full:
    del MODELS["boosting"]  # too slow: each step fits a tree for each of 40 to 80 classes
n_splits = 4


def accuracies(X, y, n_labels, others):
    """Accuracy of each pair of features and model in each split: a dict of lists."""
    n_classes = len(np.unique(y))
    n_train, n_test = n_labels * n_classes, min(1000, len(y) - n_labels * n_classes)
    splits = StratifiedShuffleSplit(n_splits, train_size=n_train, test_size=n_test, random_state=0)
    ready = {name: FrozenEstimator(clone(f).fit(*others)) if others else f for name, f in FEATURES.items()}
    found = {}
    for train, test in splits.split(X, y):
        for name, features in ready.items():
            fitted = clone(features).fit(X[train], y[train])
            before, after = fitted.transform(X[train]), fitted.transform(X[test])
            for model in MODELS:
                score = clone(MODELS[model]).fit(before, y[train]).score(after, y[test])
                found.setdefault((model, name), []).append(score)
    return found


results = {name: accuracies(*parts) for name, parts in tasks.items()}
for name, found in results.items():
    print(f"\n{name}: accuracy, mean [lowest, highest of {n_splits} splits]")
    print(f"{'':12}" + "".join(f"{features:>22}" for features in FEATURES))
    for model in MODELS:
        row = [found[model, features] for features in FEATURES]
        print(f"{model:12}" + "".join(f"{f'{np.mean(v):.3f} [{min(v):.3f}, {max(v):.3f}]':>22}" for v in row))

# %%
# Rows are models, markers are features, and bars reach from the lowest to the highest split.

LOOKS = {
    "scaled": ("#767676", "o"),
    "PCA": ("#009e73", "s"),
    "LDA": ("#cc79a7", "^"),
    "learned": ("#0072b2", "D"),
}
figure, panels = plt.subplots(2, 2, figsize=(8.4, 6.4), sharey=True, layout="constrained")
for ax, (name, found) in zip(panels.flat, results.items(), strict=True):
    for i, (features, (color, marker)) in enumerate(LOOKS.items()):
        rows = np.array([found[model, features] for model in MODELS])
        middle = rows.mean(axis=1)
        at = np.arange(len(MODELS)) + (i - 1.5) * 0.18
        ends = [middle - rows.min(axis=1), rows.max(axis=1) - middle]
        ax.errorbar(middle, at, xerr=ends, color=color, marker=marker, linestyle="none", label=features)
    ax.set_title(name, fontsize="medium")
    ax.set(xlabel="accuracy", yticks=range(len(MODELS)), yticklabels=MODELS)
    ax.spines[["top", "right"]].set_visible(False)
panels[0, 0].invert_yaxis()
panels[0, 0].legend(fontsize="small")

# %%
# The results:
#
# - Models that depend on distances or angles (nearest neighbours, kernels, and logistic regression
#   through its penalty) gain if the rows vary in ways that are unrelated to the class. On wine there is
#   no such variation, and scaling is as good.
# - Trees split on one column at a time and use no distances. For boosting, whitened PCA is as good or
#   better, and so are plain columns if each has a meaning.
# - LDA keeps one direction fewer than there are classes, and uses no shrinkage: here it is worse. With
#   many classes it is not: with ``--full`` it equals the learned metric.
# - A metric learned on other classes works for new ones, and needs no label of the task.
# - The learner scales rows to unit length if this helps neighbours. Penalties must be chosen again for
#   that scale: with ``--full`` and the default penalty, logistic regression is better with scaled
#   columns.
