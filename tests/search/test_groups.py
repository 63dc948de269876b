"""Groups in a search: an item is not compared with items of its own class and group."""

import copy

import numpy as np
import pytest

from skmetric.search import ClassCenters, NeighborAverage, SimilaritySearch

near_duplicates = pytest.mark.filterwarnings("ignore:.*near-duplicates, such as photos of one session")


def photographed_twice(n_classes=12, n_groups=3, size=2, seed=0):
    """Sessions of a class differ; the photos of one session hardly do."""
    rng = np.random.default_rng(seed)
    y, group = (part.ravel() for part in np.mgrid[:n_classes, :n_groups].repeat(size, axis=2).reshape(2, -1))
    session = rng.normal(size=(n_classes, n_groups, 8))
    X = 1.5 * rng.normal(size=(n_classes, 8))[y] + session[y, group] + 0.1 * rng.normal(size=(len(y), 8))
    return X, y, group


def left(y, group, i):
    """Items that query i may see."""
    return ~((y == y[i]) & (group == group[i]))


def test_groups_are_a_column_of_metadata():
    X, y, group = photographed_twice()
    search = SimilaritySearch().fit(X[:20], y[:20], groups=group[:20], metadata={"n": range(20)})
    search.partial_fit(X[20:30], y[20:30], groups=group[20:30], metadata={"n": range(20, 30)})
    table = search.lookup(X[:1], n_neighbors=30)
    np.testing.assert_array_equal(table["groups"], group[table["id"]])
    search.update([3], groups=[7])
    assert search.lookup(X[:1], where={"groups": 7})["id"].tolist() == [3]


def test_folders_keep_groups(tmp_path):
    X, y, group = photographed_twice()
    search = SimilaritySearch().fit(X, y, groups=group)
    promised = search.calibrate()
    search.save(tmp_path / "search")
    again = SimilaritySearch.load(tmp_path / "search").calibrate()
    assert again.cutpoints["optimal"] == promised.cutpoints["optimal"]


@near_duplicates
def test_calibration_without_the_own_session_promises_what_holds():
    """A group hidden from its own queries: what new sessions show."""
    X, y, group = photographed_twice(n_classes=40, n_groups=4)
    known, new = group < 3, group == 3
    plain, grouped = (
        SimilaritySearch().fit(X[known], y[known], groups=groups) for groups in (None, group[known])
    )
    cuts = [search.calibrate().cutpoints["optimal"] for search in (plain, grouped)]
    found = [search.evaluate(X[new], y[new])["identified"] for search in (plain, grouped)]
    assert cuts[0]["recall"] - found[0] > 0.3  # photos of one session promise too much
    assert abs(cuts[1]["recall"] - found[1]) < 0.1
    assert grouped.calibration_.n_known == known.sum()


@pytest.mark.parametrize("matcher", ["nearest", "majority", "ratio"])
def test_calibration_by_a_loop(matcher):
    """Distances and matches of known queries are those of a gallery without the items that are hidden."""
    X, y, group = photographed_twice(seed=1)
    search = SimilaritySearch(matcher=matcher, n_neighbors=3).fit(X, y, groups=group)
    calibration = search.calibrate(runner_up=0)
    limit, right = calibration.cutpoints["optimal"]["distance"], 0
    for i in range(len(y)):
        kept = left(y, group, i)
        one = SimilaritySearch(matcher=matcher, n_neighbors=3).fit(X[kept], y[kept])
        one.calibration_, one.cutpoint_ = calibration, "optimal"
        right += one.predict(X[[i]])[0] == y[i]
    assert limit < np.inf
    assert calibration.cutpoints["optimal"]["recall"] == pytest.approx(right / len(y), abs=1e-12)


def test_items_of_one_group_only_are_strangers_only():
    X, y, group = photographed_twice(n_classes=6, n_groups=2)
    group = np.where(y == 0, 0, group)
    calibration = SimilaritySearch().fit(X, y, groups=group).calibrate()
    assert (calibration.n_known, calibration.n_strangers) == (20, 24)
    with pytest.raises(ValueError, match="no query has an item of its class to find"):
        SimilaritySearch().fit(X, y, groups=y).calibrate()


def test_calibration_on_queries_with_groups():
    X, y, group = photographed_twice()
    search = SimilaritySearch().fit(X, y, groups=group)
    of_items = search.calibrate().cutpoints["optimal"]
    again = search.calibrate(X, y, groups=group).cutpoints[
        "optimal"
    ]  # items as queries: the same, no warning
    assert again == pytest.approx(of_items)


@pytest.mark.parametrize("matcher", ["center", ClassCenters(2)], ids=str)
def test_centres_are_made_without_the_own_group(matcher):
    X, y, group = photographed_twice(n_classes=8)
    search = SimilaritySearch(matcher=matcher).fit(X, y, groups=group)
    found = search.evaluate(X, y, groups=group, per_query=True).per_query["score"]
    for g in range(3):  # centres are made in folds: the fold of a query holds no item of its class and group
        one = SimilaritySearch(matcher=matcher).fit(X[group != g], y[group != g])
        expected = -one.decision_function(X[group == g]).max(axis=1)
        np.testing.assert_allclose(found[group == g], expected)
    search.calibrate(runner_up=0)
    assert search.calibration_.n_known == len(y)
    assert search.evaluate(X, y, groups=group)["identified"] == pytest.approx(
        search.calibration_.cutpoints["optimal"]["recall"]
    )


@pytest.mark.parametrize("matcher", ["nearest", "majority", "distance"])
def test_evaluation_by_a_loop(matcher):
    X, y, group = photographed_twice()
    search = SimilaritySearch(matcher=matcher, n_neighbors=3).fit(X, y, groups=group)
    evaluation = search.evaluate(
        X[::3], y[::3], X[:5] + 9, groups=group[::3], recall_at=(1, 3), per_query=True
    )
    rows = np.arange(len(y))[::3]
    for place, i in enumerate(rows):
        kept = left(y, group, i)
        one = SimilaritySearch(matcher=matcher, n_neighbors=3).fit(X[kept], y[kept])
        expected = one.evaluate(X[[i]], y[[i]], recall_at=(1, 3), per_query=True).per_query
        for name, values in expected.items():
            assert evaluation.per_query[name][place] == pytest.approx(values[0], abs=1e-12), name
    assert (evaluation.n_known, evaluation.n_unknown) == (len(rows), 5)
    assert np.isnan(evaluation.per_query["map_at_r"][-5:]).all()


def test_evaluation_with_runners_up_by_a_loop():
    X, y, group = photographed_twice(n_classes=5, n_groups=3, size=6)  # classes larger than the first search
    search = SimilaritySearch().fit(X, y, groups=group)
    search.calibrate(runner_up=0.5)
    found = search.evaluate(X[::7], y[::7], groups=group[::7], per_query=True).per_query["score"]
    for place, i in enumerate(range(0, len(y), 7)):
        kept = left(y, group, i)
        one = SimilaritySearch().fit(X[kept], y[kept])
        one.calibration_, one.cutpoint_ = search.calibration_, "optimal"
        assert found[place] == pytest.approx(
            one.evaluate(X[[i]], y[[i]], per_query=True).per_query["score"][0], abs=1e-9
        )


def test_queries_with_nothing_left_count_as_strangers():
    X, y, group = photographed_twice(n_classes=4)
    group = np.where(y == 0, 9, group)
    evaluation = SimilaritySearch().fit(X, y, groups=group).evaluate(X, y, groups=group)
    assert (evaluation.n_known, evaluation.n_unknown) == (18, 6)
    with pytest.raises(ValueError, match="class in the gallery, outside its group"):
        SimilaritySearch().fit(X, y, groups=y).evaluate(X, y, groups=y)


def test_prediction_leaves_out_the_whole_group():
    X, y, group = photographed_twice()
    for settings in ({}, {"matcher": "majority"}):
        search = SimilaritySearch(**settings).fit(X, y, groups=group)
        found = search.predict(X, groups=group)
        for g in range(3):
            one = SimilaritySearch(**settings).fit(X[group != g], y[group != g])
            np.testing.assert_array_equal(found[group == g], one.predict(X[group == g]))
    assert (found != y).any()
    np.testing.assert_array_equal(search.predict(X[:4], groups=[99] * 4), search.predict(X[:4]))


def test_prediction_with_groups_and_filters():
    X, y, group = photographed_twice()
    search = SimilaritySearch().fit(X, y, groups=group, metadata={"even": y % 2 == 0})
    search.calibrate()
    found = search.predict(X, where={"even": True}, groups=group)
    assert set(found) <= {-1, *range(0, 12, 2)}
    assert search.match_probability(X, groups=group).shape == (72,)
    with pytest.raises(ValueError, match="where has a condition on 'groups'"):
        search.predict(X, where={"groups": 1}, groups=group)
    with pytest.raises(ValueError, match="matcher='center' matches to prototypes of whole classes"):
        SimilaritySearch(matcher="center").fit(X, y, groups=group).predict(X, groups=group)


def test_bad_groups_leave_the_gallery_as_it_was():
    X, y, group = photographed_twice()
    search, without = SimilaritySearch().fit(X, y, groups=group), SimilaritySearch().fit(X, y)
    bad = [
        (lambda: without.fit(X, y, groups=group[1:]), "groups has 71 values for 72 rows"),
        (lambda: without.fit(X, y, groups=[None, *group[1:].astype(str)]), "groups has no group in row 0"),
        (lambda: without.fit(X, y, groups=group, metadata={"groups": group}), "leave one out"),
        (lambda: search.partial_fit(X, y), "the items of the gallery have groups: give groups="),
        (lambda: search.upsert(range(72), X, y), "the items of the gallery have groups: give groups="),
        (lambda: without.partial_fit(X, y, groups=group), "have no groups: leave out groups="),
        (lambda: search.partial_fit(X, y, groups=group.astype(str)), "'groups'"),
        (lambda: without.calibrate(X, y, groups=group), "fit with groups"),
        (lambda: search.calibrate(groups=group), "without X the items of the gallery are the queries"),
        (lambda: search.calibrate(X, y, groups=group.astype(str)), "groups and those of the items hold"),
        (lambda: without.evaluate(X, y, groups=group), "fit with groups"),
        (lambda: search.evaluate(X, y, groups=group[1:]), "groups has 71 values for 72 rows"),
        (lambda: without.predict(X, groups=group), "fit with groups"),
        (lambda: search.predict(X, groups=group[1:]), "groups has 71 values for 72 rows"),
        (
            lambda: search.predict(X, groups=group.astype(str)),
            "groups= are of another type",
        ),
    ]
    before = search.ids_.tolist(), without.ids_.tolist()
    for call, message in bad:
        with pytest.raises(ValueError, match=message):
            call()
    assert (search.ids_.tolist(), without.ids_.tolist()) == before
    search.set_params(augment_gallery=NeighborAverage())
    with pytest.raises(ValueError, match=r"evaluate\(groups=\) ranks by Euclidean distance"):
        search.evaluate(X, y, groups=group)


@near_duplicates
def test_evaluation_of_subgroups():
    X, y, group = photographed_twice()
    search = SimilaritySearch().fit(X[group < 2], y[group < 2])
    search.calibrate()
    new, strangers = group == 2, X[:6] + 50
    by = np.where(y[new] % 3 == 0, "dark", "light")
    kinds = ["dark", "dark", "light", "light", "mask", "mask"]
    evaluation = search.evaluate(X[new], y[new], strangers, by=by, by_unknown=kinds, per_query=True)
    assert {kind: (e.n_known, e.n_unknown) for kind, e in evaluation.by.items()} == {
        "dark": (8, 2),
        "light": (16, 2),
        "mask": (0, 2),
    }
    part = search.evaluate(X[new][by == "dark"], y[new][by == "dark"], strangers[:2])
    assert evaluation.by["dark"].scores == pytest.approx(part.scores)
    assert evaluation.by["dark"].intervals.keys() == part.intervals.keys()
    assert evaluation.by["mask"].scores == {"unknown_accepted": 0.0}
    assert evaluation.per_query["accepted"][:24].mean() >= evaluation["identified"]
    lines = str(evaluation).splitlines()
    assert [line.split()[:3] for line in lines[-5:-2]] == [
        ["dark", "8", "2"],
        ["light", "16", "2"],
        ["mask", "0", "2"],
    ]
    assert "<td>mask</td>" in evaluation._repr_html_()
    assert copy.deepcopy(evaluation).by.keys() == evaluation.by.keys()


def test_bad_subgroups():
    X, y, _ = photographed_twice()
    search = SimilaritySearch().fit(X, y)
    for settings, message in [
        ({"by": y[1:]}, "by has 71 values for 72 rows"),
        ({"by": [None, *y[1:].astype(str)]}, "by has no subgroup in row 0"),
        ({"by_unknown": y}, "give by, those of X, too"),
        ({"by": y, "by_unknown": y}, "which is missing"),
        ({"by": y, "by_unknown": list("ab"), "X_unknown": X[:2]}, "by and by_unknown hold labels"),
    ]:
        with pytest.raises(ValueError, match=message):
            search.evaluate(X, y, **settings)


@near_duplicates
def test_a_metric_fitted_to_the_gallery_is_calibrated_without_the_own_session():
    """The metric that judges a photo has seen none of its session; distances of a session do not count."""
    X, y, group = photographed_twice(n_classes=20, n_groups=3)
    from skmetric import MetricLearner

    search = SimilaritySearch(MetricLearner(random_state=0).fit(X, y), adapt_metric=True).fit(
        X, y, groups=group
    )
    cut = search.calibrate().cutpoints["optimal"]
    plain = SimilaritySearch(MetricLearner(random_state=0).fit(X, y), adapt_metric=True).fit(X, y)
    assert search.calibration_.n_known == len(y)
    assert cut["recall"] < plain.calibrate().cutpoints["optimal"]["recall"]


def test_lookups_leave_out_ids_of_all_queries_or_of_each():
    X = np.arange(6.0)[:, None]
    search = SimilaritySearch(n_neighbors=2).fit(X, ids=list("abcdef"))

    def found(exclude, **settings):
        table = search.lookup([[0.1], [4.9]], exclude=exclude, **settings)
        return ["".join(table["id"][table["query"] == query]) for query in (0, 1)]

    assert found(None) == ["ab", "fe"]
    assert found(["a", "f"]) == ["bc", "ed"]
    assert found([["a", "b"], None]) == ["cd", "fe"]
    assert found([[], ["f"]], n_neighbors=1) == ["a", "e"]
    assert found([["a"], ["e"]], where=[None, None], offset=1, n_neighbors=1) == ["c", "d"]
    assert found(list("abcde")) == ["f", "f"]
    assert found(i for i in "af") == ["bc", "ed"]
    assert found("f") == ["ab", "ed"]
    long = SimilaritySearch(n_neighbors=1).fit(X[:2], ids=["b", "bc"])
    assert long.lookup([[0.0]], exclude="b")["id"].tolist() == ["bc"]
    with pytest.raises(KeyError, match="'cb'"):
        long.lookup([[0.0]], exclude="cb")  # one id, not the ids 'c' and 'b'
    with pytest.raises(KeyError, match="'x'"):
        found(["x"])
    with pytest.raises(ValueError, match="exclude has 1 lists of ids, and there are 2 queries"):
        found([["a"]])


def test_the_worst_queries_are_drawn_first():
    pytest.importorskip("matplotlib").use("agg")
    from skmetric.inspection import NeighborsDisplay

    X, y = np.array([[0.0], [1.0], [10.0], [11.0]]), ["a", "a", "b", "b"]
    search = SimilaritySearch(n_neighbors=2).fit(X, y)
    queries, labels = [[0.4], [10.4], [9.0], [50.0]], ["a", "a", "b", "c"]
    shown = ["fine", "wrong", "right", "strange"]
    names = list("wxyz")
    display = NeighborsDisplay.from_estimator(
        search, queries, labels, queries=shown, gallery=names, worst=True
    )
    assert list(display.queries) == ["wrong", "fine", "right", "strange"]
    with pytest.raises(ValueError, match=r"worst=True sorts queries .* give y"):
        NeighborsDisplay.from_estimator(search, queries, gallery=names, worst=True)


@pytest.mark.parametrize("kind", ["pgvector", "milvus"])
def test_groups_on_a_server(kind, request):
    """Calibration there hides the own session too: it promises less than without groups."""
    index = (
        request.getfixturevalue("make_pgvector")() if kind == "pgvector" else request.getfixturevalue(kind)
    )
    X, y, group = photographed_twice(n_classes=5)
    there = SimilaritySearch(index=index).fit(X, y, groups=group)
    here = SimilaritySearch().fit(X, y, groups=group)
    np.testing.assert_array_equal(there.predict(X, groups=group), here.predict(X, groups=group))
    for queries in ((), (X[::3], y[::3], group[::3])):
        asked = dict(zip(["X", "y", "groups"], queries, strict=False))
        found, expected = (
            search.calibrate(**asked, n_resamples=10).cutpoints["optimal"] for search in (there, here)
        )
        assert found == pytest.approx(expected, rel=1e-5)
    first = there.ids_[0]
    assert first not in there.lookup(X[:1], n_neighbors=29, exclude=[first])["id"]
    with pytest.raises(ValueError, match="hides other items from each query, and the gallery is on a server"):
        there.evaluate(X, y, groups=group)
    with pytest.raises(ValueError, match="the items of the gallery have groups: give groups="):
        there.partial_fit(X, y)
