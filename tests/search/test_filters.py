"""One language of filters: memory, FAISS, PostgreSQL and Milvus find the same, or refuse alike."""

import datetime

import numpy as np
import pandas as pd
import pytest

from skmetric.search import Not, SimilaritySearch

RNG = np.random.default_rng(0)
N = 60
X = RNG.normal(size=(N, 4)).astype(np.float32)
BIG = 2**53
NAN, INF = float("nan"), float("inf")
DAY = np.datetime64("2024-02-28T00:00:00", "us")
# the names are part of the test
COLUMNS = {
    "price": np.array([NAN, 0.0, 1.5, -2.0, INF, -INF, 3.0, float(BIG)])[np.arange(N) % 8],
    "my col": np.array([0, 1, 2, BIG, BIG + 1, -(2**63), 2**63 - 1])[np.arange(N) % 7],
    "$x%s": np.array(["", "a", "B", "b\"'\\%s{}\n", "é", "zz"], dtype=object)[np.arange(N) % 6],
    "in": np.arange(N) % 3 == 0,
    "on": np.where(np.arange(N) % 5 == 0, np.datetime64("NaT"), DAY + np.arange(N) * np.timedelta64(1, "D")),
}
NUMBERS = [
    0,
    1,
    2,
    1.5,
    -2.0,
    2.5,
    INF,
    -INF,
    float(BIG),
    BIG,
    BIG + 1,
    2**70,
    -(10**400),
    2**63 - 1,
    True,
    "1",
]
NUMBERS += [NAN, np.float64(3), np.int64(2)]
TEXTS = ["", "a", "B", "b\"'\\%s{}\n", "é", "nowhere", "a\0", "\ud800", 3, b"a"]
BOOLEANS = [True, False, np.True_, 1, "True"]
DATES = [DAY, DAY + np.timedelta64(3, "D"), datetime.date(2024, 3, 2), datetime.datetime(2024, 3, 2, 12)]
DATES += [
    np.datetime64("NaT"),
    np.datetime64("2024-03-02T00:00:00.0000005", "ns"),
    np.datetime64("20000-01-01"),
]
DATES += [datetime.datetime(2024, 3, 2, tzinfo=datetime.UTC), datetime.date(9999, 12, 31), "2024-03-02"]
VALUES = {"price": NUMBERS, "my col": NUMBERS, "$x%s": TEXTS, "in": BOOLEANS, "on": DATES}


def drawn(rng):
    """A filter of a small grammar."""
    name = rng.choice(list(COLUMNS))
    values = VALUES[name]

    def value():
        return None if rng.random() < 0.1 else values[rng.integers(len(values))]

    kind = rng.integers(4)
    asked = value()
    if kind == 1:
        asked = [value() for _ in range(rng.integers(1, 4))]
    if kind == 2:
        asked = slice(value(), value())
    return {str(name): Not(asked) if rng.random() < 0.35 else asked}


FILTERS = [drawn(np.random.default_rng(seed)) for seed in range(250)]


@pytest.fixture
def pair(other_index):
    """A gallery in memory, and another."""
    return [
        SimilaritySearch(index=index).fit(X, ids=np.arange(N) + 7, metadata=COLUMNS)
        for index in (None, other_index)
    ]


def outcome(search, where, **options):
    try:
        return sorted(search.items(where=where, **options)["id"].tolist())
    except (ValueError, KeyError) as error:
        return f"{type(error).__name__}: {error}"


def test_filters_of_a_grammar(pair):
    memory, other = pair
    found = [outcome(memory, where) for where in FILTERS]
    assert [outcome(other, where) for where in FILTERS] == found
    assert sum(isinstance(one, list) and len(one) > 0 for one in found) > 80
    for where in FILTERS[:40]:
        if isinstance(outcome(memory, where), list):
            ours, expected = (search.lookup(X[:3], 9, where=where) for search in (other, memory))
            assert ours["id"].tolist() == expected["id"].tolist()


def test_what_passes_by_hand():
    search = SimilaritySearch().fit(
        X[:4],
        metadata={"price": [1.0, None, 3.0, 4.0], "n": [1, 2, BIG, BIG + 1], "shop": ["A", "B", "C", "C"]},
    )
    for where, rows in [
        ({"price": slice(3, None)}, [2, 3]),  # NaN is above all to PostgreSQL
        ({"price": None}, [1]),
        ({"price": [None, 4]}, [1, 3]),
        ({"price": Not(4)}, [0, 2]),  # what is missing is not "not 4"
        ({"price": Not([None, 4])}, [0, 2]),
        ({"price": Not(None)}, [0, 2, 3]),
        ({"price": Not(slice(2, None))}, [0]),
        ({"price": [1, 2.5]}, [0]),
        ({"n": [1, 2.5]}, [0]),
        ({"n": slice(1.5, 2.5)}, [1]),
        ({"n": 2.0**53}, [2]),  # not its neighbour
        ({"n": slice(-INF, INF)}, [0, 1, 2, 3]),
        ({"n": INF}, []),
        ({"shop": Not(["A", "B"]), "n": Not(BIG)}, [3]),
        ({"shop": None}, []),
    ]:
        assert search.items(where=where)["id"].tolist() == rows, where


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"price": NAN}, r"where\['price'\] has nan, which equals nothing: None finds what is missing"),
        ({"on": np.datetime64("NaT")}, r"where\['on'\] has .*NaT.*None finds what is missing"),
        ({"on": np.datetime64("20000-01-01")}, "years go from 1 to 9999"),
        ({"on": datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)}, "convert it to UTC without one"),
        ({"$x%s": "a\0"}, r"where\['\$x%s'\] has a NUL character"),
        ({"$x%s": "\ud800"}, "a lone surrogate"),
        ({"price": Not(Not(1))}, "Not of Not"),
        ({"price": [Not(1)]}, "Not goes around a list"),
        ({"price": []}, "lists no value"),
        ({"price": slice(None)}, r"Not\(None\) finds all that have a value"),
        ({"nowhere": 1}, "'nowhere' that is not there"),
    ],
)
def test_what_is_refused_is_refused_alike(pair, where, message):
    for search in pair:
        for call in (search.lookup, search.kneighbors):
            with pytest.raises(ValueError, match=message):
                call(X[:1], where=where)


def test_among(pair):
    for search in pair:
        assert (
            search.lookup(X[:1], 3, among=[9, 8])["id"].tolist()
            == search.lookup(X[:1], 60)["id"][np.isin(search.lookup(X[:1], 60)["id"], [8, 9])].tolist()
        )
        assert search.items([9, 7])["id"].tolist() == [9, 7]
        assert search.items([9, 7], where={"in": True})["id"].tolist() == [7]
        assert search.lookup(X[:1], 3, among=pd.Series([9]), where={"in": True})["id"].tolist() == []
        rows = search.kneighbors(X[:1], 1, return_distance=False, among=[8])
        assert search.ids_[rows].tolist() == [[8]]
        assert [
            len(r) for r in search.radius_neighbors(X[:1], 99.0, return_distance=False, among=[8, 9])
        ] == [2]
        for among in ([8, 5000], ["8"], [True], [8.0]):
            with pytest.raises(KeyError):
                search.lookup(X[:1], 1, among=among)
        with pytest.raises(ValueError, match="among is empty"):
            search.lookup(X[:1], 1, among=[])
        with pytest.raises(ValueError, match="id 8 comes more than once"):
            search.lookup(X[:1], 1, among=[8, 8])
