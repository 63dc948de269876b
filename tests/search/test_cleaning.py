"""Duplicates, label errors, graphs and pairs."""

import numpy as np
import pytest
from scipy.sparse import issparse
from sklearn.cluster import DBSCAN, SpectralClustering
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors

from skmetric.search import Calibration, Duplicates, SimilaritySearch

X, y = load_digits(return_X_y=True)


def test_duplicates_are_those_of_all_pairs():
    rng = np.random.default_rng(0)
    points = rng.integers(0, 12, size=(1500, 2)).astype(float)  # about ten at each place
    found = SimilaritySearch().fit(points).duplicates(1.0)
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    expected = np.argwhere(np.triu(distances <= 1, 1))
    assert isinstance(found, Duplicates)
    assert sorted(map(tuple, found.pairs.tolist())) == sorted(map(tuple, expected.tolist()))
    assert (np.diff(found.distances) >= 0).all()
    assert [len(group) for group in found.groups] == [1500]  # linked through others


def test_planted_duplicates_are_found_by_id():
    planted = [3, 50, 700]
    ids = np.array([f"image {i}" for i in range(len(X) + 3)])
    search = SimilaritySearch().fit(np.concatenate([X, X[planted]]), ids=ids)
    found = search.duplicates(0)
    assert found.groups == [[f"image {i}", f"image {len(X) + n}"] for n, i in enumerate(planted)]
    assert SimilaritySearch().fit(X).duplicates(0).pairs.shape == (0, 2)
    for wrong in (-1, "near", None, np.nan):
        with pytest.raises(ValueError, match=f"threshold must be a number from 0; got {wrong!r}"):
            search.duplicates(wrong)


def test_outliers_by_hand():
    search = SimilaritySearch(n_neighbors=1).fit(
        [[0.0], [1.0], [10.0], [11.0], [10.4], [50.0]], ["a", "a", "b", "b", "a", "c"], ids=list("uvwxyz")
    )
    table = search.outliers()
    # y, an "a" among "b": own 9.4, other .4: score 9 / 9.4; z is alone in its class: 0, between x and u
    assert table["id"][0] == "y"
    np.testing.assert_allclose(table["score"][0], 9 / 9.4)
    assert table["other_label"][0] == "b"
    by_id = dict(zip(table["id"].tolist(), table["score"].tolist(), strict=True))
    assert by_id["z"] == 0
    np.testing.assert_allclose(by_id["x"], (1 - 0.6) / 1)  # own 10, other 10.4
    np.testing.assert_allclose(by_id["u"], (1 - 10) / 10)
    assert len(table) == 6
    assert "other_label" in repr(table)


@pytest.mark.parametrize("name", ["digits", "banking77"])
def test_planted_label_errors_come_first(name, load_set):
    data, labels = X, y
    if name != "digits":
        bunch = load_set(name)
        kept = bunch.target < 20
        data, labels = bunch.data[kept].astype(np.float32), bunch.target[kept].astype(int)
    rng = np.random.default_rng(0)
    wrong = rng.choice(len(labels), len(labels) // 50, replace=False)
    given = labels.copy()
    given[wrong] = (given[wrong] + rng.integers(1, labels.max() + 1, size=len(wrong))) % (labels.max() + 1)
    table = SimilaritySearch(n_neighbors=5).fit(data, given).outliers()
    assert roc_auc_score(np.isin(table["id"], wrong), table["score"]) > 0.97
    planted = np.isin(table["id"], wrong)
    assert (table["other_label"][planted] == labels[table["id"][planted]]).mean() > 0.8  # and what is right


def test_outliers_needs_classes():
    with pytest.raises(ValueError, match="outliers needs labels"):
        SimilaritySearch().fit(X[:9]).outliers()
    with pytest.raises(ValueError, match="the gallery has one: enrol another"):
        SimilaritySearch().fit(X[:9], np.zeros(9, int)).outliers()
    with pytest.raises(ValueError, match="n_neighbors must be an integer from 1; got 0"):
        SimilaritySearch().fit(X[:9], y[:9]).outliers(0)


@pytest.mark.parametrize("mode", ["connectivity", "distance"])
def test_graph_is_that_of_scikit_learn(mode):
    ours = SimilaritySearch(n_neighbors=4).fit(X)
    theirs = NearestNeighbors(n_neighbors=4, algorithm="brute").fit(X)
    for queries in (None, X[:7] + 0.25):
        graph, expected = (
            ours.kneighbors_graph(queries, mode=mode),
            theirs.kneighbors_graph(queries, mode=mode),
        )
        assert issparse(graph)
        assert graph.format == "csr"
        assert graph.shape == expected.shape
        if mode == "distance":  # ties may be of other items
            np.testing.assert_allclose(graph.data, expected.data, atol=1e-6)
        assert graph.nnz == expected.nnz
    with pytest.raises(ValueError, match="mode must be 'connectivity' or 'distance'"):
        ours.kneighbors_graph(mode="both")


def test_graph_goes_to_clustering():
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], 40)
    points = np.array([[0.0, 0], [20, 0], [0, 20]])[truth] + rng.normal(size=(120, 2))
    search = SimilaritySearch(n_neighbors=8).fit(points)
    graph = search.kneighbors_graph(mode="distance")
    found = DBSCAN(eps=3, min_samples=4, metric="precomputed").fit_predict(graph)
    assert adjusted_rand_score(truth, found) > 0.95
    graph = SimilaritySearch(n_neighbors=45).fit(points).kneighbors_graph()  # deep enough to be connected
    spectral = SpectralClustering(3, affinity="precomputed", random_state=0)
    assert adjusted_rand_score(truth, spectral.fit_predict((graph + graph.T) / 2)) == 1


def test_pairs_by_hand():
    search = SimilaritySearch().fit([[0.0], [1.0]])  # no labels are needed
    A, B = np.zeros((6, 1)), np.array([[1.0], [2.0], [4.0], [3.0], [5.0], [6.0]])
    calibration = search.calibrate_pairs(A, B, [1, 1, 1, 0, 0, 0], far=[1 / 3])
    assert isinstance(calibration, Calibration)
    np.testing.assert_allclose(
        calibration.thresholds["true_accept_rate"][1:], [1, 2, 2, 3, 3, 3] / np.array(3)
    )
    np.testing.assert_allclose(
        calibration.thresholds["false_accept_rate"][1:], [0, 0, 1, 1, 2, 3] / np.array(3)
    )
    assert calibration.cutpoints["far_0.333333"] == {
        "distance": 4.0, "true_accept_rate": 1.0, "false_accept_rate": pytest.approx(1 / 3),
    }  # fmt: skip
    assert "3 pairs of one class and 3 of two" in repr(calibration)
    search.set_cutpoint("far_0.333333")
    assert search.verify([[0.0], [0.0]], [[4.0], [4.1]]).tolist() == [True, False]
    np.testing.assert_allclose(search.pair_distance([[1.0]], [[3.5]]), [2.5])


def test_pairs_of_digits_verify_and_are_saved(tmp_path):
    rng = np.random.default_rng(0)
    left, right = rng.integers(len(X), size=(2, 3000))
    same = y[left] == y[right]
    search = SimilaritySearch().fit(X, y)
    search.calibrate_pairs(X[left], X[right], same)
    answers = search.verify(X[left], X[right])
    assert abs((answers[~same]).mean() - (~answers[same]).mean()) < 0.02  # equal errors
    search.save(tmp_path)
    np.testing.assert_array_equal(SimilaritySearch.load(tmp_path).verify(X[left], X[right]), answers)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s.verify([[0.0]], [[1.0]]), "verify needs a threshold: call calibrate_pairs first"),
        (lambda s: s.pair_distance([[0.0]], [[1.0], [2.0]]), "A has 1 rows and B has 2"),
        (lambda s: s.calibrate_pairs([[0.0]], [[1.0]], [1]), "hold both kinds"),
    ],
)
def test_bad_pairs(call, message):
    with pytest.raises(ValueError, match=message):
        call(SimilaritySearch().fit([[0.0], [1.0]]))


def test_recall_at_several_k_by_hand():
    search = SimilaritySearch().fit([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "b", "a"])
    evaluation = search.evaluate([[0.9], [0.1]], ["a", "b"], recall_at=(1, 2, 3, 9))
    # .9 (a): b a b a; .1 (b): a b b a
    assert [evaluation[f"recall_at_{k}"] for k in (1, 2, 3)] == [0, 1, 1]
    assert "recall_at_9" not in evaluation.scores  # more than the gallery
    assert evaluation["map_at_r"] == pytest.approx(0.25)  # (1/2) / 2 each
    with pytest.raises(ValueError, match=r"recall_at must hold integers from 1; got \(0,\)"):
        search.evaluate([[0.9]], ["a"], recall_at=(0,))
