"""Groups: items of the query's class and group are left out, as if they were not in the gallery."""

import numpy as np
import pytest
import sklearn
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate

from skmetric import metrics
from skmetric.metrics import RetrievalScorer, compare, map_at_r, recall_at_k, retrieval_report
from skmetric.metrics._scores import parse_score, score_queries
from skmetric.retrieval import rank

NAMES = [
    *("recall_at_1", "recall_at_5", "precision_at_5", "precision_at_40", "r_precision", "map_at_r"),
    *("mean_average_precision", "mean_reciprocal_rank", "ndcg_at_5"),
]


def market(n=140, n_classes=9, n_cameras=4, seed=0, kind=float):
    """Cameras that shift what they see: photos of one camera are near each other."""
    rng = np.random.default_rng(seed)
    y, camera = rng.integers(0, n_classes, n), rng.integers(0, n_cameras, n)
    X = rng.normal(size=(n_classes, 6))[y] + rng.normal(size=(n_cameras, 6))[camera] + rng.normal(size=(n, 6))
    return (X if kind is float else np.round(X)), y, camera


def by_the_script(names, X, y, groups, gallery=None, y_gallery=None, groups_gallery=None):
    """For each query: drop the junk (same identity, same camera), sort what is left, score the list."""
    among = gallery is None
    gallery, y_gallery, groups_gallery = (X, y, groups) if among else (gallery, y_gallery, groups_gallery)
    values = []
    for i in range(len(X)):
        kept = ~((y_gallery == y[i]) & (groups_gallery == groups[i]))
        distance = np.sqrt(((gallery[kept] - X[i]) ** 2).sum(axis=1))
        hits = (y_gallery[kept] == y[i])[np.argsort(distance, kind="stable")]
        values.append([by_hand(name, hits) for name in names])
    return np.array(values).T


def by_hand(name, hits):
    n_relevant, family, _, k = hits.sum(), *name.rpartition("_")
    if not n_relevant:
        return np.nan
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    discounts = 1 / np.log2(np.arange(2, len(hits) + 2))
    match family:
        case "recall_at":
            return hits[: int(k)].any()
        case "precision_at":
            return hits[: int(k)].sum() / int(k)
        case "ndcg_at":
            return discounts[: int(k)][hits[: int(k)]].sum() / discounts[: min(n_relevant, int(k))].sum()
    match name:
        case "r_precision":
            return hits[:n_relevant].mean()
        case "map_at_r":
            return precision[:n_relevant][hits[:n_relevant]].sum() / n_relevant
        case "mean_average_precision":
            return precision[hits].mean()
    return 1 / (1 + hits.argmax())


@pytest.mark.parametrize("kind", [float, int], ids=["floats", "ties"])
@pytest.mark.parametrize("n_classes", [3, 9, 60])
def test_scores_are_those_of_the_evaluation_script(kind, n_classes):
    """Few classes, many, and so many that some queries have nothing left."""
    X, y, camera = market(kind=kind, n_classes=n_classes)
    result = score_queries([parse_score(name) for name in NAMES], X, y, groups=camera)
    np.testing.assert_allclose(result.values, by_the_script(NAMES, X, y, camera), atol=1e-12)
    sides = {"gallery": X[:90], "y_gallery": y[:90], "groups_gallery": camera[:90]}
    result = score_queries([parse_score(name) for name in NAMES], X[90:], y[90:], groups=camera[90:], **sides)
    np.testing.assert_allclose(
        result.values, by_the_script(NAMES, X[90:], y[90:], camera[90:], **sides), atol=1e-12
    )


@pytest.mark.parametrize("name", NAMES)
def test_each_score_alone_and_its_function(name):
    """Alone a score looks less deep, and the kernel takes other ways."""
    X, y, camera = market()
    expected = np.nanmean(by_the_script([name], X, y, camera))
    family, _, k = name.rpartition("_")
    of_name = {"k": int(k)} if k.isdigit() else {}
    function = getattr(metrics, f"{family}_k" if of_name else name)
    assert function(X, y, groups=camera, **of_name) == pytest.approx(expected, abs=1e-12)


def test_value_by_hand():
    # "a" is seen by cameras 0, 0, 1 at 0, 1, 3; "b" once by camera 0, at 2; "c" once
    X, y, camera = [[0.0], [1.0], [3.0], [2.0], [9.0]], list("aaabc"), [0, 0, 1, 0, 1]
    # first a: b, a; second a: b, a; the third leaves out itself alone: b, a, a. b and c have nothing to find
    report = retrieval_report(X, y, groups=camera, scores=["mean_average_precision"], resample="queries")
    assert report["mean_average_precision"] == pytest.approx((1 / 2 + 1 / 2 + (1 / 2 + 2 / 3) / 2) / 3)
    assert (report.n_queries, report.n_unanswerable, report.n_gallery) == (3, 2, 4)
    assert report.n_left_out == pytest.approx(2 / 3)
    assert "3 queries, each searched among 4 items, less those of its class and group (0.7 on" in str(report)
    assert recall_at_k(X, y, groups=camera) == 0 < recall_at_k(X, y)


def test_a_group_for_each_row_changes_nothing():
    X, y, _ = market()
    plain, grouped = retrieval_report(X, y), retrieval_report(X, y, groups=range(len(y)))
    assert (grouped.scores, grouped.chance) == (plain.scores, pytest.approx(plain.chance, abs=1e-15))
    assert grouped.intervals == plain.intervals
    assert (plain.n_left_out, grouped.n_left_out) == (None, 0)


def test_types_of_groups_do_not_matter():
    pandas = pytest.importorskip("pandas")
    X, y, camera = market()
    names = pandas.Series([f"camera {number}" for number in camera], index=range(9, len(y) + 9))
    assert map_at_r(X, y, groups=names) == map_at_r(X, y, groups=camera.tolist())


def test_ranking_says_how_many_items_each_query_was_searched_among():
    ranking = rank([[0.0], [1.0], [2.0]], list("aab"), groups=[0, 0, 0])
    np.testing.assert_array_equal(ranking.n_gallery, [1, 1, 2])
    np.testing.assert_array_equal(ranking.n_relevant, [0, 0, 0])
    assert not ranking.relevant.any()


def test_queries_that_stand_in_the_gallery_are_left_out_by_their_group():
    """The usual way of Market-1501: queries are photos of the gallery's cameras. No warning, no error."""
    X, y, camera = market()
    some = {"gallery": X, "y_gallery": y, "groups_gallery": camera}
    part = slice(0, 140, 3)
    expected = np.nanmean(by_the_script(["map_at_r"], X, y, camera)[0][part])
    assert map_at_r(X[part], y[part], groups=camera[part], **some) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([0, 1], "groups has 2 values for 4 rows: give one group for each row"),
        (
            [0, 1, np.nan, 1],
            "groups has no group in row 2: give each of these rows a group that no other row",
        ),
        (["s", None, "t", None], "groups has no group in rows 1, 3"),
        ([0, "s", 1, 1], "groups mixes labels of several types"),
        ([0] * 4, "all items of a query's class are also of its group"),
        (np.zeros((4, 2)), "groups should be a 1d array"),
    ],
)
def test_bad_groups(groups, message):
    with pytest.raises(ValueError, match=message):
        map_at_r([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1], groups=groups)


def test_groups_of_one_side_only():
    X, y = [[0.0], [1.0], [2.0]], [0, 0, 1]
    sides = {"gallery": [[0.5], [1.5]], "y_gallery": [0, 1]}
    for given in ({"groups": y}, {"groups_gallery": [0, 1]}):
        with pytest.raises(ValueError, match="groups and groups_gallery go together"):
            map_at_r(X, y, **sides, **given)
    with pytest.raises(ValueError, match="groups_gallery is given and gallery is not"):
        map_at_r(X, y, groups=y, groups_gallery=[0, 1])
    with pytest.raises(ValueError, match="groups and groups_gallery hold labels of several types"):
        map_at_r(X, y, **sides, groups=y, groups_gallery=["s", "t"])


def test_compare_leaves_groups_out_under_both_metrics():
    X, y, camera = market()
    comparison = compare(X, X[:, :3], y, groups=camera, scores=["map_at_r"])
    assert comparison.scores_a["map_at_r"] == pytest.approx(map_at_r(X, y, groups=camera))
    assert comparison.scores_b["map_at_r"] == pytest.approx(map_at_r(X[:, :3], y, groups=camera))


def test_the_scorer_gets_groups_by_metadata_routing():
    X, y, camera = market()
    scorer = RetrievalScorer("map_at_r")
    with sklearn.config_context(enable_metadata_routing=True):
        scorer.set_score_request(groups=True)
        found = GridSearchCV(PCA(), {"n_components": [6]}, scoring=scorer, cv=[(range(140), range(70))])
        scores = found.fit(X, y, groups=camera).cv_results_["mean_test_score"]
        again = cross_validate(PCA(6), X, y, scoring=scorer, cv=3, params={"groups": camera})["test_score"]
    assert scores == pytest.approx(map_at_r(X[:70], y[:70], groups=camera[:70]))
    assert again.shape == (3,)
    assert scorer(PCA(6).fit(X), X, y, groups=camera) == pytest.approx(map_at_r(X, y, groups=camera))


def test_a_scorer_that_asks_for_no_groups_leaves_them_to_the_splitter():
    X, y, camera = market()
    with sklearn.config_context(enable_metadata_routing=True):
        found = GridSearchCV(
            PCA(), {"n_components": [6]}, scoring=RetrievalScorer("map_at_r"), cv=GroupKFold(2)
        )
        assert found.fit(X, y, groups=camera).best_score_ > 0


def test_scores_of_each_query():
    X, y, camera = market(n_classes=60)
    report = retrieval_report(X, y, groups=camera, per_query=True, scores=["map_at_r", "recall_at_1"])
    expected = by_the_script(["map_at_r", "recall_at_1"], X, y, camera)
    np.testing.assert_allclose(list(report.per_query.values()), expected, atol=1e-12)
    assert np.isnan(report.per_query["map_at_r"]).sum() == report.n_unanswerable > 0
    assert retrieval_report(X, y).per_query is None


def test_scores_of_subgroups():
    X, y, _ = market()
    light = np.where(np.arange(140) % 3 == 0, "night", "day")
    report = retrieval_report(X, y, by=light, per_query=True, scores=["map_at_r"], resample="queries")
    for value, part in report.by.items():
        assert part["map_at_r"] == pytest.approx(report.per_query["map_at_r"][light == value].mean())
        assert part.intervals["map_at_r"][0] < part["map_at_r"] < part.intervals["map_at_r"][1]
        assert part.n_gallery == report.n_gallery == 139
    assert [row.split()[:2] for row in str(report).splitlines()[4:6]] == [["day", "93"], ["night", "47"]]


def test_a_subgroup_with_nothing_to_find():
    X, y, by = [[0.0], [1.0], [2.0]], list("aab"), ["x", "x", "y"]
    report = retrieval_report(X, y, by=by, scores=["recall_at_1"], resample="queries")
    assert report.by["y"] is None
    assert str(report).splitlines()[5].split() == ["y", "0", "-"]


def test_bad_subgroups():
    with pytest.raises(ValueError, match="by has no subgroup in row 1: name their subgroup, such as 'unk"):
        retrieval_report([[0.0], [1.0], [2.0]], list("aab"), by=["x", None, "y"])
    with pytest.raises(ValueError, match="by has 2 values for 3 rows: give one subgroup for each row"):
        retrieval_report([[0.0], [1.0], [2.0]], list("aab"), by=["x", "y"])
