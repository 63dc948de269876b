"""Pages, distinct values, limits, filters of queries, queries of several rows: the same on all backends."""

import numpy as np
import pytest

from skmetric.search import FaissIndex, KReciprocal, NeighborAverage, Not, SimilaritySearch

RNG = np.random.default_rng(0)
N = 40
X = RNG.normal(size=(N, 3)).astype(np.float32)
Q = RNG.normal(size=(6, 3)).astype(np.float32)
IDS = [f"item {i}" for i in range(N)]
COLUMNS = {
    "product": [f"p{i % 7}" for i in range(N)],
    "price": np.where(np.arange(N) % 3 == 0, np.nan, np.arange(N) % 4),
    "shop": list("AB" * (N // 2)),
}
LABELS = np.array(["ant", "bee", "cat", "dog"])[np.arange(N) % 4]
BACKENDS = ["faiss", "postgres", "milvus"]
WHERE = [{"shop": "A"}, None, {"shop": Not("A"), "price": [1, 2]}, {"shop": "A"}, {"price": None}, None]
OPTIONS = [
    {"offset": 3},
    {"max_distance": 1.0},
    {"unique_by": "product"},
    {"unique_by": "price"},  # those without a price are all different
    {"unique_by": "label", "offset": 2, "max_distance": 2.0},
    {"where": WHERE},
    {"where": WHERE, "unique_by": "product", "offset": 1, "among": IDS[5:]},
    {"queries": list("aabbcc")},
    {"queries": list("abcabc"), "combine": "best"},
    {"queries": [3, 3, 3, 1, 1, 2], "combine": "best", "unique_by": "product", "where": WHERE[:3]},
    {"queries": list("aaaaab"), "where": [{"shop": "B"}, None], "offset": 2, "max_distance": 1.5},
]


def fitted(index=None, **options):
    return SimilaritySearch(index=index, n_neighbors=4, **options).fit(X, LABELS, ids=IDS, metadata=COLUMNS)


@pytest.fixture(params=BACKENDS)
def pair(request):
    """A gallery in memory, and another."""
    if request.param == "postgres":
        return fitted(), fitted(request.getfixturevalue("make_pgvector")())
    return fitted(), fitted(
        FaissIndex("Flat") if request.param == "faiss" else request.getfixturevalue("milvus")
    )


def brute(
    k=4, where=None, among=IDS, offset=0, max_distance=np.inf, unique_by=None, queries=None, combine="mean"
):
    """Ids of each query by loops."""
    names = list(range(len(Q))) if queries is None else queries
    found = {}
    values = {"label": LABELS} | COLUMNS
    for number, name in enumerate(dict.fromkeys(names)):
        rows = Q[[i for i, own in enumerate(names) if own == name]].astype(np.float64)
        rows = rows if combine == "best" else rows.mean(axis=0, keepdims=True).astype(np.float32)
        distance = np.linalg.norm(rows[:, None] - X.astype(np.float64), axis=2).min(axis=0)
        mine, seen, kept = (where or [None] * 9)[number] or {}, set(), []
        for i in np.argsort(distance, kind="stable"):
            price, shop = COLUMNS["price"][i], COLUMNS["shop"][i]
            if mine.get("shop") == "A" and shop != "A":
                continue
            if isinstance(mine.get("shop"), Not) and (shop == "A" or price not in (1, 2)):
                continue
            if mine.get("shop") == "B" and shop != "B":
                continue
            if mine.get("price", 0) is None and not np.isnan(price):
                continue
            value = None if unique_by is None else values[unique_by][i]
            if IDS[i] not in among or (value is not None and value == value and value in seen):
                continue
            seen.add(value)
            kept.append((IDS[i], distance[i]))
        found[name] = [i for i, d in kept[offset : offset + k] if d <= max_distance]
    return found


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(options))
def test_what_is_found_is_what_loops_find(options):
    search, expected = fitted(), brute(**options)
    table = search.lookup(Q, **options)
    got = {name: table["id"][table["query"] == name].tolist() for name in expected}
    assert got == expected
    assert any(expected.values())
    starts = [int(r) for r in table["rank"] if r == 1 + options.get("offset", 0)]
    assert len(starts) == sum(map(bool, expected.values()))
    distances, rows = search.kneighbors(Q, **options)
    assert [[IDS[row] for row in mine if row >= 0] for mine in rows] == list(expected.values())
    assert rows.shape == (len(expected), 4)
    assert (np.isinf(distances) == (rows < 0)).all()


def test_backends_agree(pair):
    memory, other = pair
    for options in OPTIONS:
        ours, expected = other.lookup(Q, **options), memory.lookup(Q, **options)
        for column in ("query", "rank", "id", "label", "product", "price"):
            np.testing.assert_array_equal(ours[column], expected[column], err_msg=str(options))
        np.testing.assert_allclose(ours["distance"], expected["distance"], rtol=1e-5)
        named = [search.ids_[search.kneighbors(Q, return_distance=False, **options)] for search in pair]
        np.testing.assert_array_equal(*named)
    rows = [search.radius_neighbors(Q, 1.5, return_distance=False, where=WHERE) for search in pair]
    ids = [[search.ids_[found].tolist() for found in mine] for search, mine in zip(pair, rows, strict=True)]
    assert ids[0] == ids[1]
    where = [{"label": Not("ant")}, {"label": "bee"}, None] * 2
    np.testing.assert_array_equal(other.predict(Q, where=where), memory.predict(Q, where=where))
    assert memory.predict(Q, where=where)[[1, 4]].tolist() == ["bee", "bee"]


def test_faults_are_named_alike(pair):
    for search in pair:
        for call in (search.lookup, search.kneighbors):
            for options, message in [
                ({"offset": -1}, "offset must be an integer from 0; got -1"),
                ({"offset": True}, "offset must be an integer from 0; got True"),
                ({"max_distance": -1}, "max_distance must be a number from 0"),
                ({"max_distance": np.nan}, "max_distance must be a number from 0"),
                ({"max_distance": "optimal"}, "'optimal' is no cutpoint: .* call calibrate first"),
                ({"unique_by": "nowhere"}, "'nowhere' is no column of the gallery; there are 'label', 'prod"),
                ({"unique_by": "item_id"}, "'item_id' is no column"),
                ({"where": WHERE[:2]}, "where has 2 filters, and there are 6 queries"),
                ({"where": [*WHERE[:5], {"nowhere": 1}]}, "where of query 5: .*'nowhere' that is not there"),
                ({"where": [*WHERE[:5], {}]}, "where of query 5: where must be a dict"),
                ({"where": [*WHERE[:5], "A"]}, "where of query 5: where must be a dict"),
                ({"queries": [1, 2]}, "queries must be one name for each of the 6 rows"),
                ({"queries": "abcdef"}, "queries must be one name for each of the 6 rows"),
                ({"queries": [1, 2, 3, 4, 5, None]}, "queries has None in row 5"),
                ({"queries": [1, 2, 3, 4, 5, "a"]}, "all integers or all text"),
                ({"queries": list("aaabbb"), "where": WHERE}, "6 filters, and there are 2 queries"),
                ({"combine": "median"}, "combine must be 'mean' or 'best'"),
            ]:
                with pytest.raises(ValueError, match=message):
                    call(Q, **options)
        with pytest.raises(ValueError, match="where of query 0"):
            search.predict(Q, where=[{"shop": 3}, *WHERE[1:]])
        with pytest.raises(ValueError, match=r"no item of the gallery passes where=\{'shop': 'C'\}"):
            search.predict(Q, where=[{"shop": "C"}, *WHERE[1:]])


def test_each_item_among_the_others():
    search = SimilaritySearch(n_neighbors=2).fit([[0.0], [1.0], [3.0], [7.0]], ["a", "a", "b", "b"])
    assert search.kneighbors(offset=1, return_distance=False).tolist() == [[2, 3], [2, 3], [0, 3], [1, 0]]
    assert search.kneighbors(unique_by="label", return_distance=False).tolist() == [
        [1, 2],
        [0, 2],
        [1, 3],
        [2, 1],
    ]
    assert search.kneighbors(max_distance=2.0, return_distance=False).tolist() == [
        [1, -1],
        [0, 2],
        [1, -1],
        [-1, -1],
    ]
    assert search.kneighbors(n_neighbors=3, offset=2)[0].shape == (4, 1)
    with pytest.raises(ValueError, match="give X"):
        search.kneighbors(queries=[1])


def test_a_value_of_most_items_hides_no_other():
    products = ["many"] * 300 + ["few", "one"]
    search = SimilaritySearch().fit(np.arange(302.0)[:, None], metadata={"product": products})
    assert search.lookup([[0.0]], 5, unique_by="product")["id"].tolist() == [0, 300, 301]


def test_limits_by_a_cutpoint():
    labels = np.array(["a", "b", "c"])[np.arange(30) % 3]
    points = np.array([[0.0], [10.0], [20.0]])[np.arange(30) % 3] + RNG.normal(size=(30, 1))
    search = SimilaritySearch(n_neighbors=30).fit(points, labels)
    limit = search.calibrate().cutpoints["optimal"]["distance"]
    assert search.lookup([[0.0]], max_distance="optimal")["distance"].max() <= limit
    assert len(search.lookup([[0.0]], max_distance="optimal")) == len(
        search.lookup([[0.0]], max_distance=limit)
    )
    with pytest.raises(ValueError, match="'strict' is no cutpoint: the calibration has optimal"):
        search.lookup([[0.0]], max_distance="strict")
    search.set_params(rerank=KReciprocal())
    with pytest.raises(ValueError, match="is a Euclidean distance, and rerank"):
        search.lookup([[0.0]], max_distance="optimal")


def test_pages_of_a_ranking_that_options_change():
    search = fitted(rerank=KReciprocal(k1=5, k2=2), query_expansion=NeighborAverage(2))
    whole = search.lookup(Q, 8)["id"].reshape(6, 8)
    pages = [search.lookup(Q, 4, offset=offset)["id"].reshape(6, 4) for offset in (0, 4)]
    np.testing.assert_array_equal(np.hstack(pages), whole)
    filtered = search.lookup(Q, 2, where=[{"shop": "A"}] * 6)["id"]
    np.testing.assert_array_equal(filtered, search.lookup(Q, 2, where={"shop": "A"})["id"])


def test_means_on_the_sphere_stay_there():
    # between 0 and 90 degrees lies 45: the mean of the two points is (.5, .5), on the sphere (.71, .71)
    search = SimilaritySearch(n_neighbors=1).fit([[1.0, 0.0], [0.0, 1.0], [0.5**0.5, 0.5**0.5]])
    distances, rows = search.kneighbors([[1.0, 0.0], [0.0, 1.0]], queries=[7, 7])
    assert rows.tolist() == [[2]]
    assert distances[0, 0] == pytest.approx(0, abs=1e-7)
    off = SimilaritySearch(n_neighbors=1).fit([[2.0, 0.0], [0.0, 1.0], [1.0, 0.5]])
    assert off.kneighbors([[2.0, 0.0], [0.0, 1.0]], queries=[7, 7])[0].tolist() == [[0.0]]


def test_distances_to_named_items(pair):
    expected = np.linalg.norm(Q[:, None].astype(np.float64) - X[[7, 3]], axis=2)
    for search in pair:
        np.testing.assert_allclose(search.distances_to(Q, ["item 7", "item 3"]), expected, rtol=1e-6)
        with pytest.raises(
            KeyError, match=r"ids has id 'x' \(and 1 more\), which no item of the gallery has"
        ):
            search.distances_to(Q, ["item 7", "x", "y"])
        with pytest.raises(KeyError, match=r"ids has 1\.5, and ids are integers or text'$"):
            search.distances_to(Q, [1.5])
        with pytest.raises(ValueError, match="id 'item 1' comes more than once in ids"):
            search.distances_to(Q, ["item 1", "item 1"])
        with pytest.raises(ValueError, match="ids is empty"):
            search.distances_to(Q, [])


def test_ids_that_a_query_names_are_no_change(pair):
    for search in pair:
        for call in (search.lookup, search.kneighbors, search.predict):
            with pytest.raises(
                KeyError, match="among has id 'x', which no item of the gallery has"
            ) as caught:
                call(Q, among=["item 3", "x"])
            assert "nothing was changed" not in str(caught.value)
        with pytest.raises(KeyError, match="ids has id 'x', which"):
            search.items(["x"])
        with pytest.raises(KeyError, match="id 'x' is not in the gallery: nothing was changed"):
            search.remove(["x"])


def test_recommendations_by_hand():
    # like 0 and 2: their mean is 1, nearest is 1.1; away from 4 by half of (1 - 4): -0.5
    items = [[0.0], [2.0], [4.0], [1.1], [-0.4], [3.0]]
    search = SimilaritySearch(n_neighbors=2).fit(items, ids=list("abcdef"))
    assert search.recommend(["a", "b"])["id"].tolist() == ["d", "e"]
    away = search.recommend(["a", "b"], ["c"])
    assert away["id"].tolist() == ["e", "d"]
    np.testing.assert_allclose(away["distance"], [0.1, 1.6])
    assert search.recommend(["a", "b"], ["c"], weight=0)["id"].tolist() == ["d", "e"]
    # like 1, at norm 1, and unlike .2: 1.4
    line = SimilaritySearch(n_neighbors=1).fit([[0.2], [1.0], [1.4]])
    assert line.recommend([1], [0])["distance"].tolist() == pytest.approx([0.0], abs=1e-12)
    # f, at 3, is as near to c as to b, and d is nearest to b at .9
    best = search.recommend(["a", "b"], ["c"], 4, combine="best")
    assert best["id"].tolist() == ["e", "d", "f"]
    np.testing.assert_allclose(best["distance"], [0.4, 0.9, 1.0])
    assert search.recommend(["b"], ["f"], 4, combine="best")["id"].tolist() == ["d", "a", "e"]


@pytest.mark.parametrize("combine", ["mean", "best"])
def test_recommendations_agree_on_backends(pair, combine):
    like, unlike = IDS[:3], IDS[10:14]
    for options in ({}, {"unique_by": "product", "where": {"shop": "A"}}, {"offset": 2, "among": IDS[:30]}):
        tables = [search.recommend(like, unlike, 5, combine=combine, **options) for search in pair]
        assert tables[0]["id"].tolist() == tables[1]["id"].tolist()
        np.testing.assert_allclose(tables[0]["distance"], tables[1]["distance"], rtol=1e-5)
        assert not set(tables[0]["id"]) & {*like, *unlike}
    for search in pair:
        for options, message in [
            ({"like": []}, "like is empty"),
            ({"like": IDS[:2], "unlike": IDS[1]}, "like and unlike have an item in common"),
            ({"like": IDS[:1], "weight": 1.0}, "weight= moves the point"),
            ({"like": IDS[:1], "unlike": IDS[1], "combine": combine, "weight": -1.0}, "weight"),
            ({"like": [IDS[0]] * 2}, "comes more than once in like"),
        ]:
            with pytest.raises(ValueError, match=message):
                search.recommend(**options)
        with pytest.raises(KeyError, match="unlike has id 'x', which no item"):
            search.recommend(IDS[:1], "x")


FILTERS = [
    None,
    {"shop": "A"},
    {"shop": Not("A"), "price": [1, 2]},
    {"price": None},
    {"price": slice(1, 2)},
    {"label": Not(["ant", "bee"])},
    {"product": ["p1", "p2", "p5"], "shop": "B"},
]


def drawn(rng):
    """All options of a lookup at once, at random."""
    names = rng.choice(list("abcd"), len(Q)).tolist() if rng.random() < 0.4 else None
    n_queries = len(Q) if names is None else len(set(names))
    filters = [FILTERS[i] for i in rng.integers(0, len(FILTERS), n_queries)]
    out = [rng.choice(IDS, rng.integers(0, 9), replace=False).tolist() or None for _ in range(n_queries)]
    return {
        "n_neighbors": int(rng.integers(1, 9)),
        "offset": int(rng.integers(0, 4)),
        "max_distance": [None, 1.0, 2.0][rng.integers(3)],
        "unique_by": [None, "product", "price", "label"][rng.integers(4)],
        "where": filters if rng.random() < 0.5 else filters[0],
        "among": rng.choice(IDS, 25, replace=False).tolist() if rng.random() < 0.5 else None,
        "exclude": [None, out, out[0]][rng.integers(3)],
        "queries": names,
        "combine": ["mean", "best"][rng.integers(2)],
    }


def by_loops(search, options):
    """Ids and distances of each query, from all distances."""
    queries, values = options["queries"] or list(range(len(Q))), {"label": LABELS} | COLUMNS
    limit = np.inf if options["max_distance"] is None else options["max_distance"]
    found = {}
    for number, name in enumerate(dict.fromkeys(queries)):
        rows = Q[[i for i, own in enumerate(queries) if own == name]]
        rows = rows if options["combine"] == "best" else rows.mean(axis=0, keepdims=True)
        distance = np.linalg.norm(rows[:, None].astype(float) - X, axis=2).min(axis=0)
        where, out = options["where"], options["exclude"] or []
        where = where[number] if isinstance(where, list) else where
        out = out if not out or isinstance(out[0], str) else out[number] or []
        passing = set(search.items(where=where)["id"].tolist()) & set(options["among"] or IDS) - set(out)
        seen, kept = set(), []
        for i in np.argsort(distance):
            value = None if options["unique_by"] is None else values[options["unique_by"]][i]
            if IDS[i] in passing and (value is None or value != value or value not in seen):
                seen.add(value)
                kept.append((IDS[i], distance[i]))
        page = kept[options["offset"] : options["offset"] + options["n_neighbors"]]
        found[name] = [(i, d) for i, d in page if d <= limit]
    return found


def test_all_options_at_once(pair):
    rng, n_found = np.random.default_rng(1), 0
    for _ in range(8):
        options = drawn(rng)
        expected = by_loops(pair[0], options)
        for search in pair:
            table = search.lookup(Q, **options)
            for name, kept in expected.items():
                mine = table["query"] == name
                assert table["id"][mine].tolist() == [i for i, _ in kept], options
                np.testing.assert_allclose(table["distance"][mine], [d for _, d in kept], rtol=1e-4)
            rows = search.kneighbors(Q, return_distance=False, **options)
            ids = [search.ids_[row[row >= 0]].tolist() for row in rows]
            assert ids == [[i for i, _ in kept] for kept in expected.values()], options
            n_found += len(table)
    assert n_found > 150


def test_recommendations_with_all_options_at_once(pair):
    rng, n_found = np.random.default_rng(2), 0
    for _ in range(6):
        options = drawn(rng)
        filters, out = options.pop("where"), options.pop("exclude")
        del options["queries"]
        options["where"] = filters[0] if isinstance(filters, list) else filters
        options["exclude"] = out if out is None or isinstance(out[0], str) else out[0]
        named = rng.choice(IDS, 5, replace=False).tolist()
        tables = [search.recommend(named[:3], named[3:], **options) for search in pair]
        assert tables[0]["id"].tolist() == tables[1]["id"].tolist(), options
        np.testing.assert_allclose(tables[0]["distance"], tables[1]["distance"], rtol=1e-4)
        assert not set(tables[0]["id"]) & {*named, *(options["exclude"] or [])}
        n_found += len(tables[0])
    assert n_found > 8


def test_predictions_and_radii_with_all_options_at_once(pair):
    rng = np.random.default_rng(3)
    for _ in range(3):
        options = drawn(rng)
        where = options["where"] if isinstance(options["where"], list) else [options["where"]] * len(Q)
        where = (where * len(Q))[: len(Q)]
        out = [rng.choice(IDS, rng.integers(0, 5), replace=False).tolist() for _ in Q]
        asked = {"where": where, "exclude": out}
        near = [search.radius_neighbors(Q, 1.7, return_distance=False, **asked) for search in pair]
        ids = [[search.ids_[r].tolist() for r in rows] for search, rows in zip(pair, near, strict=True)]
        assert ids[0] == ids[1]
        names = [search.predict(Q, **asked).tolist() for search in pair]
        assert names[0] == names[1]
