"""Columns of metadata: their types, what is missing, and paths."""

from datetime import date, datetime
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import polars
import pytest
from PIL import Image
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn

from skmetric import FrozenFeatures, SimilaritySearch

X = [[0.0], [1.0], [2.0]]
DATES = [date(2025, 1, 1), datetime(2025, 1, 2, 12), np.datetime64("2025-01-03")]


def column(values, **where):
    """A column as lookups return it, in the order of enrolment."""
    search = SimilaritySearch().fit(X, metadata={"m": values})
    return search.lookup([[-1.0]], 3, **where)["m"]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([3, 1, 2], np.int64),
        ([0.5, 1, 2], np.float64),
        (np.array([3, 1, 2], np.uint8), np.uint8),
        ([True, False, True], np.bool_),
        (["a", "bc", ""], np.dtype("U2")),
        (np.array(["a", "bc", ""], dtype=object), np.dtype("U2")),
        (pd.Series(["a", "bc", ""], dtype="category"), np.dtype("U2")),
        (pd.Series([3, 1, 2], dtype="Int64"), np.int64),
        (polars.Series(["a", "bc", ""]), np.dtype("U2")),
        ([Path("a"), Path("b/c"), "d"], np.dtype("U3")),
        (DATES, "datetime64[us]"),
        (pd.Series(pd.to_datetime(["2025-01-01", "2025-01-02", "2025-01-03"])), "datetime64[us]"),
        (np.array(["2025-01-01", "2025-01-02", "2025-01-03"], dtype="datetime64[ns]"), "datetime64[us]"),
    ],
)
def test_types(values, dtype):
    found = column(values)
    assert found.dtype == dtype
    kept = [str(value) if isinstance(value, Path) else value for value in values]
    if found.dtype.kind == "M":
        kept = [np.datetime64(value) for value in kept]
    assert found.tolist() == np.array(kept, dtype=found.dtype).tolist()


def test_dates_are_dates_in_records():
    search = SimilaritySearch().fit(X, metadata={"m": np.array(DATES, dtype="datetime64[ns]")})
    assert search.lookup([[1.1]], 1).to_records()[0]["m"] == datetime(2025, 1, 2, 12)
    found = search.lookup([[1.1]], 1, where={"m": slice(date(2025, 1, 3), None)})
    assert found["id"].tolist() == [2]


def test_missing_numbers_and_dates_pass_no_filter():
    for values in ([1, None, 3], [1, np.nan, 3], pd.Series([1, pd.NA, 3], dtype="Int64")):
        found = column(values)
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, [1, np.nan, 3])
    for values in ([DATES[0], None, DATES[2]], pd.Series(pd.to_datetime([DATES[0], None, DATES[2]]))):
        assert np.isnat(column(values)).tolist() == [False, True, False]
    metadata = {"price": [1, None, 3], "on": [DATES[0], DATES[1], None]}
    search = SimilaritySearch(n_neighbors=1).fit(X, metadata=metadata)
    assert search.lookup([[1.0]], 2, where={"price": slice(None, 9)})["id"].tolist() == [0, 2]
    assert search.lookup([[2.0]], 2, where={"on": slice(date(2020, 1, 1), None)})["id"].tolist() == [1, 0]
    search.partial_fit([[9.0]], metadata={"price": [7], "on": [None]})  # an integer among the reals
    assert search.lookup([[9.0]])["price"].tolist() == [7.0]


@pytest.mark.parametrize("library", [pd, polars])
def test_a_frame(library):
    metadata = library.DataFrame({"shop": ["A", "B", "C"], "price": [1.5, 2.5, 3.5]})
    record = SimilaritySearch().fit(X, metadata=metadata).lookup([[1.0]], 1).to_records()[0]
    assert (record["shop"], record["price"]) == ("B", 2.5)


# Paths


def brightness(paths):
    """An embedder of files: each gives its size in bytes."""
    return np.array([[float(Path(path).stat().st_size)] for path in paths])


@pytest.fixture
def files(tmp_path):
    """Paths of files of 1, 2 and 4 bytes."""
    paths = [tmp_path / name for name in ("a.png", "b.png", "c.png")]
    for path, size in zip(paths, (1, 2, 4), strict=True):
        path.write_bytes(b"x" * size)
    return paths


@pytest.mark.parametrize("kind", [list, lambda paths: list(map(str, paths)), lambda p: np.array(p, str)])
def test_paths_of_samples_are_kept(files, kind, tmp_path):
    search = SimilaritySearch(FunctionTransformer(brightness), n_neighbors=1)
    search.fit(kind(files[:2]), ["a", "b"], metadata={"shop": ["A", "B"]})
    table = search.lookup([files[1]])
    assert table["path"].tolist() == [str(files[1])]
    assert list(table.columns) == ["query", "rank", "id", "distance", "label", "path", "shop"]
    search.partial_fit(kind(files[2:]), ["c"], metadata={"shop": ["C"]})
    assert search.lookup([files[2]])["path"].tolist() == [str(files[2])]
    assert search.lookup([files[2]], where={"path": str(files[0])})["label"].tolist() == ["a"]
    search.update([0], kind(files[2:]), ["d"], metadata={"shop": ["D"]})
    assert set(search.lookup([files[2]], 2)["path"]) == {str(files[2])}
    search.save(tmp_path / "folder")
    joblib.dump(search, tmp_path / "search.joblib")
    for again in (
        SimilaritySearch.load(tmp_path / "folder", embedder=FunctionTransformer(brightness)),
        joblib.load(tmp_path / "search.joblib"),
    ):
        assert again.lookup([files[1]])["path"].tolist() == [str(files[1])]


def test_samples_that_are_no_paths_have_no_column(files):
    sizes = FunctionTransformer(lambda X: np.array([[float(len(str(x)))] for x in X]))
    assert "path" not in SimilaritySearch(sizes).fit(["a text", "another"]).lookup(["a"], 1).columns
    assert "path" not in SimilaritySearch(sizes).fit([str(files[0]), "no file"]).lookup(["a"], 1).columns
    mine = SimilaritySearch(sizes).fit(files, metadata={"path": ["x", "y", "z"]})  # the user's own come first
    assert set(mine.lookup(["a"], 3)["path"]) == {"x", "y", "z"}
    search = SimilaritySearch(sizes).fit(files)
    with pytest.raises(ValueError, match=r"columns given at fit, \['path'\]; got \[\]"):
        search.partial_fit(["a text"])
    assert search.partial_fit(["a text"], metadata={"path": [""]}).lookup(["......"], 1)["path"] == [""]


def test_images_by_path_through_a_network(tmp_path):
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for i, path in enumerate(paths):
        Image.fromarray(np.clip(rng.integers(0, 60, (16, 16, 3)) + 90 * i, 0, 255).astype(np.uint8)).save(
            path
        )
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    features = FrozenFeatures(network, image_size=16)
    search = SimilaritySearch(features).fit(paths, ["dark", "grey", "bright"])
    table = search.set_output(transform="pandas").lookup(paths[2:], 1)
    assert table["path"].tolist() == [str(paths[2])]
    as_last_step = make_pipeline(features, SimilaritySearch(n_neighbors=1)).fit(
        paths, ["dark", "grey", "bright"]
    )
    assert as_last_step.predict(paths).tolist() == ["dark", "grey", "bright"]


def test_what_is_wrong_is_said_before_the_embedder_works():
    worked = []
    embedder = FunctionTransformer(lambda X: worked.append(1) or np.array([[float(len(x))] for x in X]))
    for options in ({"ids": ["x", "x"]}, {"metadata": {"m": [1]}}, {"y": ["a"]}):
        with pytest.raises(ValueError, match=r"comes more than once|must be one value|1 labels for 2 rows"):
            SimilaritySearch(embedder).fit(["a", "bb"], **options)
    assert not worked


def test_a_name_that_no_server_keeps_is_refused_in_a_whole_sentence():
    with pytest.raises(ValueError, match=r"has a lone surrogate \(which is no character\): rename it"):
        SimilaritySearch().fit([[0.0]], metadata={"a\ud800": [1]})


def test_two_columns_of_one_name_are_refused():  # the second replaced the first
    with pytest.raises(ValueError, match="two columns named '5', as text and as a int"):
        SimilaritySearch().fit(np.eye(2), metadata={"5": [1, 2], 5: [3, 4]})
