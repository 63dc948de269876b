"""The runner-up: the score of a match, who is refused by it, and what chooses its weight."""

import joblib
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from skmetric.search import ClassCenters, FaissIndex, Not, SimilaritySearch
from skmetric.search._calibration._gathering._evidence import gather
from skmetric.search._calibration._matchers import make_matcher
from skmetric.search._calibration._scoring._runner_up import best_weight, scored, scores

RNG = np.random.default_rng(0)
CENTRES = RNG.normal(size=(12, 6)) * 2
y = np.repeat(np.arange(12), 14)
X = (CENTRES[y] + RNG.normal(size=(len(y), 6))).astype(np.float32)
KNOWN = y < 8
GALLERY, QUERIES = np.flatnonzero(KNOWN)[::2], np.flatnonzero(KNOWN)[1::2]
HAND = [[0.0], [1.0], [4.0], [4.5], [10.0]], ["a", "a", "b", "b", "c"]


def squared(scores):
    """With their sign."""
    return scores * np.abs(scores)


def test_scores_of_the_evidence_by_hand():
    # squares as themselves 1 - 16 / 2, 1 - 9 / 2, .25 - 9 / 2, .25 - 12.25 / 2; hidden 16 - 100 / 2,
    # 9 - 81 / 2, 9 - 36 / 2, 12.25 - 30.25 / 2, 30.25 - 81 / 2
    search = SimilaritySearch().fit(*HAND)
    found = gather(make_matcher("nearest"), 1, search._gallery.side(), runners_up=True)
    evidence = scored(found, 0.5)
    np.testing.assert_allclose(squared(evidence.known_distances), [-7, -3.5, -4.25, -5.875])
    np.testing.assert_allclose(squared(evidence.stranger_distances), [-34, -31.5, -9, -2.875, -10.25])
    assert evidence.floor == pytest.approx(-np.sqrt(50))  # at distance 0, the runner-up at 10
    assert evidence.second_distances is None  # three classes: two hidden leave no runner-up


def by_classes(gallery, labels, queries):
    """Distances of queries to each class, (n_queries, n_classes)."""
    distances = cdist(queries, gallery)
    return np.stack([distances[:, labels == label].min(axis=1) for label in np.unique(labels)], axis=1)


@pytest.mark.parametrize("matcher", ["nearest", ClassCenters()])
def test_evidence_is_that_of_a_gallery_without_the_class(matcher):
    gallery = gather(
        make_matcher(matcher), 1, SimilaritySearch().fit(X[KNOWN], y[KNOWN])._gallery.side(),
        SimilaritySearch().fit(X[GALLERY] + 0.1, y[GALLERY])._gallery.side(), runners_up=True,
    )  # fmt: skip
    rows, labels = X[KNOWN], y[KNOWN]
    if matcher != "nearest":
        rows = np.stack([rows[labels == label].mean(axis=0) for label in range(8)])
        labels = np.arange(8)
    table = by_classes(rows, labels, X[GALLERY] + 0.1)
    np.testing.assert_allclose(gallery.known_runners_up, np.sort(table)[:, 1], rtol=1e-5)
    table[np.arange(len(GALLERY)), y[GALLERY]] = np.inf
    ordered = np.sort(table)
    np.testing.assert_allclose(gallery.stranger_distances, ordered[:, 0], rtol=1e-5)
    np.testing.assert_allclose(gallery.second_distances, ordered[:, 1], rtol=1e-5)
    np.testing.assert_allclose(gallery.second_runners_up, ordered[:, 2], rtol=1e-5)


def refused_by_hand(search, queries, gallery=X[GALLERY], labels=y[GALLERY]):
    calibration = search.calibration_
    ordered = np.sort(by_classes(gallery, labels, queries))
    limit = calibration.cutpoints[search.cutpoint_]["score"]
    return ordered[:, 0] ** 2 - calibration.runner_up_weight * ordered[:, 1] ** 2 > squared(limit)


@pytest.mark.parametrize("per_class", [False, True])
@pytest.mark.parametrize("matcher", ["nearest", "center"])
def test_predict_and_evaluate_refuse_by_the_score(matcher, per_class):
    search = SimilaritySearch(matcher=matcher).fit(X[GALLERY], y[GALLERY])
    search.calibrate(runner_up=0.35, per_class=per_class, targets={"s": ("false_accept_rate", 0.1)})
    assert search.calibration_.runner_up_weight == 0.35
    evaluation = search.evaluate(X[QUERIES], y[QUERIES], X[~KNOWN])
    refused = search.predict(X[~KNOWN]) == -1
    assert 0 < refused.sum() < len(refused)
    assert evaluation["unknown_accepted"] == pytest.approx(1 - refused.mean())
    assert evaluation["identified"] == pytest.approx(search.score(X[QUERIES], y[QUERIES]))
    if matcher == "nearest" and not per_class:
        np.testing.assert_array_equal(refused, refused_by_hand(search, X[~KNOWN]))
    cut = search.calibration_.cutpoints["s"]
    table = search.calibration_.thresholds
    row = np.searchsorted(table["score"], cut["score"], side="right") - 1
    assert cut["false_accept_rate"] == table["false_accept_rate"][row]
    assert (np.diff(table["distance"]) >= 0).all()


@pytest.fixture(params=["memory", "HNSW16", "IVF4,Flat", "pgvector", "hnsw", "milvus"])
def index(request):
    if request.param == "memory":
        return None
    if request.param in ("HNSW16", "IVF4,Flat"):
        return FaissIndex(request.param, n_probe=4, ef_search=400)
    if request.param == "milvus":
        return request.getfixturevalue("milvus")
    make = request.getfixturevalue("make_pgvector")
    return make(method="hnsw") if request.param == "hnsw" else make()


def test_a_runner_up_behind_any_number_of_neighbours(index):
    # class 0 has 300 items about the query, the others are far: no search is deep enough by itself
    crowd = RNG.normal(size=(300, 6)).astype(np.float32) * 0.01
    rows = np.concatenate([crowd, X[GALLERY][y[GALLERY] > 0]])
    labels = np.concatenate([np.zeros(300, dtype=int), y[GALLERY][y[GALLERY] > 0]])
    shop = np.arange(len(rows)) % 2
    search = SimilaritySearch(index=index).fit(rows, labels, metadata={"shop": shop})
    search.calibrate(X[QUERIES], y[QUERIES], runner_up=0.5)
    queries = np.concatenate([np.zeros((1, 6), np.float32), X[~KNOWN]])
    for where, kept in [
        (None, shop >= 0),
        ({"shop": 1}, shop == 1),
        ({"label": Not([3, 4])}, ~np.isin(labels, [3, 4])),
    ]:
        ordered = np.sort(by_classes(rows[kept], labels[kept], queries))
        score = ordered[:, 0] ** 2 - 0.5 * ordered[:, 1] ** 2
        assert score[0] < -0.5  # far below that of strangers
        limit = np.sort(score)[len(score) // 2]
        limit = float(np.copysign(np.sqrt(np.abs(limit)), limit)) + 1e-4
        search.calibration_.cutpoints["optimal"]["score"] = limit
        np.testing.assert_array_equal(search.predict(queries, where=where) != -1, score <= squared(limit))
    with pytest.warns(UserWarning, match="are items of the gallery"):  # left out of its own search
        evaluation = search.evaluate(rows[:1], labels[:1], X[~KNOWN])
    assert evaluation["identified"] == 1


def test_one_class_alone_is_judged_by_its_distance(index):
    search = SimilaritySearch(index=index).fit(X[GALLERY], y[GALLERY])
    search.calibrate(runner_up=0.5)
    cut = search.calibration_.cutpoints["optimal"]
    assert (
        cut["distance"]
        == SimilaritySearch()
        .fit(X[GALLERY], y[GALLERY])
        .calibrate(runner_up=0)
        .cutpoints["optimal"]["distance"]
    )
    distances = cdist(X[~KNOWN], X[GALLERY][y[GALLERY] == 2]).min(axis=1)
    accepted = search.predict(X[~KNOWN], where={"label": 2}) != -1
    np.testing.assert_array_equal(accepted, distances <= cut["distance"])
    assert 0 < accepted.sum() < len(accepted) or distances.min() > cut["distance"]
    search.remove(search.ids_[search.labels_ != 2])
    np.testing.assert_array_equal(search.predict(X[~KNOWN]) != -1, accepted)
    np.testing.assert_array_equal(
        search.verify(X[:20], X[20:40]), search.pair_distance(X[:20], X[20:40]) <= cut["distance"]
    )


def test_auto_is_the_best_gain_less_half_its_error():
    search = SimilaritySearch().fit(X[GALLERY], y[GALLERY])
    evidence = gather(make_matcher("nearest"), 1, search._gallery.side(), runners_up=True)
    assert search.calibrate().runner_up_weight == best_weight(evidence, 8)


@pytest.mark.filterwarnings("ignore:the optimal cutpoint of protocol='closed'")
def test_auto_is_0_where_there_is_nothing_to_choose():
    search = SimilaritySearch(matcher="majority").fit(X[GALLERY], y[GALLERY])
    assert search.calibrate().runner_up_weight == 0
    assert search.set_params(matcher="nearest").calibrate(protocol="closed").runner_up_weight == 0
    two = SimilaritySearch().fit([[0.0], [0.1], [5.0], [5.2]], list("aabb"))
    assert two.calibrate().runner_up_weight == 0


def test_auto_sees_strangers_between_two_classes():
    # known queries are 3 from their item and 27 from the next class; strangers 3 and 5 from two classes
    centres = np.arange(20)[:, None] * 30.0
    gallery = np.concatenate([centres, centres + 8])
    labels = np.concatenate([np.arange(20), np.arange(20) + 100])
    known, strangers = centres - RNG.uniform(2, 4, size=(20, 1)), centres + RNG.uniform(2.5, 4, size=(20, 1))
    search = SimilaritySearch().fit(gallery, labels)
    calibration = search.calibrate(
        np.concatenate([known, strangers]), np.concatenate([np.arange(20), np.arange(20) + 1000])
    )
    assert calibration.runner_up_weight > 0


def test_a_weight_survives_folders_pickles_and_changes(tmp_path):
    search = SimilaritySearch().fit(X[GALLERY], y[GALLERY])
    search.calibrate(runner_up=0.35)
    search.save(tmp_path / "folder")
    joblib.dump(search, tmp_path / "pickle")
    predicted = search.predict(X)
    for again in (SimilaritySearch.load(tmp_path / "folder"), joblib.load(tmp_path / "pickle")):
        assert again.calibration_.runner_up_weight == 0.35
        assert again.calibration_.cutpoints == search.calibration_.cutpoints
        np.testing.assert_array_equal(again.predict(X), predicted)
    assert "0.35" in repr(search)
    assert "0.35" in repr(search.calibration_)
    assert "score" in repr(search.calibration_)
    rows, labels = np.concatenate([X[GALLERY], X[~KNOWN][:3]]), np.append(y[GALLERY], [8, 8, 8])
    search.partial_fit(rows[-3:], labels[-3:])  # a new class is a runner-up at once
    refused = refused_by_hand(search, X, rows, labels)
    assert (refused != (predicted == -1)).any()
    np.testing.assert_array_equal(search.predict(X) == -1, refused)


def test_a_calibration_of_an_earlier_version_has_no_weight():
    search = SimilaritySearch().fit(X[GALLERY], y[GALLERY])
    search.calibrate(runner_up=0)
    accepted = search.predict(X) != -1
    for cut in search.calibration_.cutpoints.values():
        del cut["score"]
    del search.calibration_.__dict__["runner_up_weight"]
    np.testing.assert_array_equal(search.predict(X) != -1, accepted)
    assert "distance" in repr(search.calibration_)


def test_scores_without_a_runner_up_are_shifted_distances():
    found = scores(np.array([1.0, 2.0, np.inf]), np.array([4.0, np.inf, np.inf]), 0.5, 0.25)
    np.testing.assert_allclose(found, [-np.sqrt(7), 1.75, np.inf])
    assert scores(np.array([1e200]), np.array([2e200]), 0.25)[0] == 0  # no square overflows


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"runner_up": "best"}, "runner_up must be 'auto' or a number from 0 to 1; got 'best'"),
        ({"runner_up": True}, "got True"),
        ({"runner_up": -0.1}, "got -0.1"),
        ({"runner_up": float("nan")}, "got nan"),
        ({"runner_up": 0.5, "protocol": "closed"}, "protocol='closed' has none"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        SimilaritySearch().fit(X[GALLERY], y[GALLERY]).calibrate(**options)


def test_refusals_of_galleries_and_matchers():
    with pytest.raises(ValueError, match="matcher='majority' does not give"):
        SimilaritySearch(matcher="majority").fit(X[GALLERY], y[GALLERY]).calibrate(runner_up=0.5)
    with pytest.raises(ValueError, match="must have three classes"):
        SimilaritySearch().fit([[0.0], [0.1], [5.0], [5.2]], list("aabb")).calibrate(runner_up=0.5)
