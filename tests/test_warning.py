"""Warnings point to the user's line."""

import pickle
import re
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skmetric
from skmetric import DeepMetricLearner, MetricLearner, SimilaritySearch, _warning
from skmetric._warning import warn
from skmetric.datasets import check_images, load_image_folder
from skmetric.deep.losses import ContrastiveLoss
from skmetric.deep.samplers import BalancedBatchSampler
from skmetric.metrics import RetrievalScorer, recall_at_k, retrieval_report
from skmetric.model_selection import ClassDisjointKFold


def caught(function):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        function()
    return found


class Warns(TransformerMixin, BaseEstimator):
    """As a class of the package: its file is counted as one."""

    def fit(self, X, y=None):
        warn("look here", RuntimeWarning)
        return self

    def transform(self, X):
        return X


def test_the_line_that_calls_is_named():
    (found,) = caught(lambda: warn("look here"))
    assert (found.filename, found.category) == (__file__, UserWarning)


def test_a_pipeline_of_scikit_learn_is_passed_over():
    (found,) = caught(lambda: make_pipeline(Warns()).fit(np.zeros((2, 1))))
    assert found.filename == __file__


def test_frames_of_the_package_and_of_context_managers_are_passed_over(monkeypatch):
    monkeypatch.setattr(_warning, "_OURS", __file__)

    @contextmanager
    def managed():
        warn("look here")
        yield

    def use():
        with managed():
            pass

    (found,) = caught(use)
    assert found.filename != __file__  # all frames here count as ours


def test_each_warning_is_counted_for_its_own_line():
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("default")
        for _ in range(2):
            warn("look here")
        warn("look here")
    assert len(found) == 2


Y = np.arange(24) // 4
X = np.random.default_rng(0).normal(size=(24, 3)) + 9 * Y[:, None]
PIPE = make_pipeline(StandardScaler(), MetricLearner((0.5, 1))).fit(X, Y)


def grow():
    search = SimilaritySearch().fit(X, Y)
    search.calibrate(n_resamples=2)
    search.partial_fit(X + 99, Y + 50)


def load_with_another_embedder(_):
    folder = Path(__file__).parent / "saved/v0_1/exact"  # of a version whose folders have no fingerprint
    SimilaritySearch.load(folder, embedder=StandardScaler().fit(np.eye(6)))


def load_a_pickle_of_another_version():
    dumped = pickle.dumps(MetricLearner()).replace(
        skmetric.__version__.encode(), b"0" * len(skmetric.__version__)
    )
    pickle.loads(dumped)


def folder_of_images(folder, name):
    for label in "ab":
        (folder / label).mkdir()
        Image.new("L", (4, 4)).save(folder / label / "0.png")
    (folder / "a" / name).write_bytes(b"no image")
    return folder


def network(**params):
    return DeepMetricLearner("mlp", **{"max_epochs": 1, "random_state": 0} | params)


def search_over(**given):
    grid = {"shrinkage": [(0.5, 1), (0.9, 1)]}
    scorer = RetrievalScorer("map_at_r")
    GridSearchCV(MetricLearner(), grid, cv=ClassDisjointKFold(2), scoring=scorer).fit(X, Y, **given)


def report_of_one_class():
    retrieval_report(X[:4], Y[:4], gallery=X[4:] - 9, y_gallery=Y[4:] - 1, n_resamples=2)


SINGULAR, NOT_SHRUNK = X[:, [0, 0, 1]], MetricLearner((0, 1))
WARNINGS = {
    "groups given to a splitter": lambda _: list(ClassDisjointKFold(2).split(X, Y, groups=Y)),
    "groups given to a grid search": lambda _: search_over(groups=Y),
    "labels in a column": lambda _: SimilaritySearch().fit(X, Y[:, None]),
    "singular covariance": lambda _: NOT_SHRUNK.fit(SINGULAR, Y),
    "the same in a pipeline": lambda _: make_pipeline(StandardScaler(), NOT_SHRUNK).fit(SINGULAR, Y),
    "one class in a report": lambda _: report_of_one_class(),
    "near copies": lambda _: recall_at_k(X + 1e-7, Y, gallery=X, y_gallery=Y),
    "one copy": lambda _: recall_at_k(X[:1], Y[:1], gallery=X, y_gallery=Y),
    "small classes of a sampler": lambda _: BalancedBatchSampler(Y, 2, 5),
    "a gallery that has grown": lambda _: grow(),
    "strangers before calibrate": lambda _: SimilaritySearch(no_match_label=-1).fit(X, Y).predict(X),
    "another embedder": load_with_another_embedder,
    "another version": lambda _: load_a_pickle_of_another_version(),
    "pictures that are not read": lambda folder: load_image_folder(folder_of_images(folder, "1.heic")),
    "damaged images": lambda folder: check_images([folder_of_images(folder, "1.png") / "a" / "1.png"]),
    "classes of one sample": lambda _: network().fit(X[:-3], Y[:-3]),
    "fewer classes than a batch": lambda _: network(classes_per_batch=7).fit(X, Y),
    "nothing to learn": lambda _: ContrastiveLoss()(torch.zeros(2, 2), torch.tensor([0, 1])),
    "divergence": lambda _: network(learning_rate=1e30, max_epochs=3).fit(X, Y),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_a_warning_names_the_line_of_the_user(name, tmp_path):
    found = [w for w in caught(lambda: WARNINGS[name](tmp_path)) if issubclass(w.category, UserWarning)]
    assert {w.filename for w in found} == {__file__}


def test_every_warning_goes_through_one_function():
    root = Path(skmetric.__file__).parent
    direct = [
        p.name for p in root.rglob("*.py") if re.search(r"warnings\.warn\(|stacklevel=", p.read_text("utf-8"))
    ]
    assert direct == ["_warning.py"]
