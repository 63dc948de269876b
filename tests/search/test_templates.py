"""Several photos of a class as one template, and what enrolment says of bad photos."""

import numpy as np
import pytest

from skmetric.search import ClassCenters, SimilaritySearch


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
    assert search.evaluate(centers + 0.1, labels)["accuracy"] == 1.0


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
