"""Several photos of a class as one template, and what enrolment says of bad photos."""

import warnings

import numpy as np
import pytest
from sklearn.preprocessing import FunctionTransformer

from skmetric.search import ClassCenters, FaissIndex, SimilaritySearch


def test_a_template_is_the_mean_of_the_best_few():
    # the median is 0.3: nearest are 0.3 and 0.2, or 0.4; the stable order takes 0.2
    items = np.array([[0.0], [0.2], [0.3], [0.4], [9.0]])
    np.testing.assert_allclose(ClassCenters(n_best=2).prototypes(items), [[0.25]])
    np.testing.assert_allclose(ClassCenters(n_best=9).prototypes(items), items.mean(axis=0, keepdims=True))
    np.testing.assert_allclose(ClassCenters(n_best=1).prototypes(items), [[0.3]])


def test_a_template_in_a_search_and_in_a_folder(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 4
    centers = np.eye(4)[labels] * 4
    points = centers + rng.normal(size=(40, 4)) / 4
    points[:4] = -points[4:8][::-1] * 3  # one bad photo of each class
    search = SimilaritySearch(matcher=ClassCenters(n_best=5)).fit(points, labels)
    search.calibrate(n_resamples=20)
    search.save(tmp_path)
    loaded = SimilaritySearch.load(tmp_path)
    assert loaded.matcher == ClassCenters(n_best=5)
    np.testing.assert_array_equal(loaded.predict(centers), labels)
    np.testing.assert_array_equal(loaded.decision_function(points), search.decision_function(points))
    assert search.evaluate(centers + rng.normal(size=(40, 4)) / 4, labels)["accuracy"] == 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_best": 0}, "n_best must be an integer from 1; got 0"),
        ({"n_best": True}, "n_best must be an integer from 1; got True"),
        ({"n_best": 1.5}, "n_best must be an integer from 1; got 1.5"),
        ({"n_best": 2, "n_centers": 2}, "n_best=2 makes one centre .* n_centers=2"),
    ],
)
def test_what_templates_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        ClassCenters(**options)


# Enrolment

BRIGHT = FunctionTransformer(lambda X: X * (X[:, :1] > 1))  # sees nothing where the first is 1


def test_embeddings_of_zeros_are_named():
    on_sphere = np.eye(4)
    on_sphere[2] = 0
    with pytest.warns(UserWarning, match="^item 'c' has an embedding of zeros") as caught:
        search = SimilaritySearch().fit(on_sphere, ids=list("abcd"))
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="^row 0 of X, row 1 of X have an embedding of zeros"):
        SimilaritySearch(BRIGHT).fit(np.eye(8)[[1, 2, 0]] + 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SimilaritySearch().fit([[0.0], [1.0], [2.0]])  # a value as any other
        search.partial_fit([[0.6, 0.8, 0.0, 0.0]], ids=["e"])


@pytest.mark.parametrize("index", [None, FaissIndex("Flat")])
def test_items_that_enrolment_doubts(index):
    rng = np.random.default_rng(0)
    labels = np.array(["ann", "bob", "cat"])[np.arange(30) % 3]
    centers = {"ann": [0.0, 0.0], "bob": [10.0, 0.0], "cat": [0.0, 10.0]}
    points = np.array([centers[label] for label in labels]) + rng.normal(size=(30, 2))
    search = SimilaritySearch(index=index).fit(points, labels, ids=np.arange(30))
    search.partial_fit([[10.0, 0.0]], ["ann"], ids=[30]).remove([30])  # no threshold yet
    search.calibrate(n_resamples=10)
    new, names = [[0.5, 0.2], [9.5, 0.5], [30.0, 30.0], [-9.0, -9.0]], ["ann", "ann", "cat", "dan"]
    with pytest.warns(UserWarning, match="a wrong label or a bad sample") as caught:
        search.partial_fit(new, names, ids=[40, 41, 42, 43])
    assert caught[0].filename == __file__
    said = str(caught[0].message)
    assert said.startswith("item 41 of class 'ann' is nearer to class 'bob' than to its own class")
    assert "item 42 of class 'cat' is farther from its class than any item was" in said
    assert "item 40" not in said  # as its class
    assert "item 43" not in said  # the first of its class
    with pytest.warns(UserWarning, match="^item 7 of class 'cat' is nearer to class 'ann'"):
        search.update([7], [[0.1, 0.1]], ["cat"])


def test_a_class_beyond_the_neighbours_is_not_said_to_be_far():
    angles = np.arange(12) * np.pi / 6
    around = np.stack([np.cos(angles), np.sin(angles)], axis=1)  # 12 of b, at 1 from the origin
    beside = np.array([[x, 0.0] for x in (1.3, 1.35, 1.4, 1.45, 1.5, 4.5)])  # of a, the last 3 apart
    search = SimilaritySearch().fit(np.concatenate([around, beside]), ["b"] * 12 + ["a"] * 6)
    search.calibrate(n_resamples=10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search.partial_fit([[0.0, 0.0]], ["a"])  # 1.3 from its class
    with pytest.warns(UserWarning, match="'a' is farther from its class than any item was at calibration"):
        search.partial_fit([[0.0, 8.0]], ["a"])


def test_of_many_new_items_some_are_looked_at(monkeypatch):
    labels = np.array(["ann", "bob", "cat"])[np.arange(30) % 3]
    points = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])[np.arange(30) % 3]
    points = points + np.random.default_rng(0).normal(size=(30, 2))
    search = SimilaritySearch().fit(points, labels)
    search.calibrate(n_resamples=10)
    # 3 of the 10 among 40 items: 0, 4 and 8
    monkeypatch.setattr("skmetric.search._enrolment._enrolment._PAIRS", 3 * 40)
    with pytest.warns(UserWarning, match="a wrong label") as caught:
        search.partial_fit(np.full((10, 2), 30.0) * np.arange(1, 11)[:, None], ["ann"] * 10)
    assert [row for row in range(10) if f"row {row} of X" in str(caught[0].message)] == [0, 4, 8]
    search._say_doubts(np.zeros((1, 2)), np.array(["dan"]), None)  # as if another thread had removed dan


def test_of_a_class_with_few_items_nobody_knows_how_far_apart_they_are():
    rng = np.random.default_rng(0)
    labels = np.arange(60) // 20
    points = rng.normal(size=(60, 2)) + np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])[labels]
    search = SimilaritySearch().fit(points, labels)
    search.calibrate(n_resamples=10)
    among_others, apart = points[25], points[25] + np.array([2.0, 0.0])
    assert (
        search.calibration_.cutpoints["optimal"]["distance"]
        < 2.0
        < search.calibration_.thresholds["distance"].max()
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search.partial_fit([among_others, apart], [7, 7])
