"""SimilaritySearch: a gallery that grows, lookups, and a classifier for scikit-learn."""

import base64
import re
from datetime import UTC, datetime
from io import BytesIO

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid, RadiusNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler

import skmetric
from skmetric.exceptions import NoEmbeddingError
from skmetric.retrieval import Neighbors
from skmetric.search import ClassCenters, ExactIndex, Index, LookupTable, SimilaritySearch

X, y = load_digits(return_X_y=True)
names = np.array(["nought", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])[y]
TRAIN, TEST = slice(0, 600), slice(600, 900)


def fitted(**options):
    return SimilaritySearch(**options).fit(X[TRAIN], names[TRAIN])


def test_the_root_offers_it():
    assert skmetric.SimilaritySearch is SimilaritySearch
    assert issubclass(ExactIndex, Index)


@pytest.mark.filterwarnings("ignore:self.within_class_std_dev_")  # of NearestCentroid
@pytest.mark.parametrize(
    ("matcher", "peer"),
    [
        ("nearest", KNeighborsClassifier(1)),
        ("majority", KNeighborsClassifier(1)),  # n_neighbors=1 below
        ("center", NearestCentroid()),
    ],
)
def test_predicts_as_scikit_learn_does(matcher, peer):
    search = fitted(matcher=matcher, n_neighbors=1)
    expected = peer.fit(X[TRAIN], names[TRAIN]).predict(X[TEST])
    assert (search.predict(X[TEST]) == expected).mean() > 0.995  # exact ties may differ


def test_a_vote_by_distance_is_that_of_scikit_learn():
    peer = KNeighborsClassifier(7, weights="distance").fit(X[TRAIN], names[TRAIN])
    search = fitted(matcher="distance", n_neighbors=7)
    np.testing.assert_array_equal(search.predict(X[TEST]), peer.predict(X[TEST]))
    np.testing.assert_allclose(search.decision_function(X[TEST]), peer.predict_proba(X[TEST]), atol=1e-12)


def test_kneighbors_and_radius_neighbors_are_those_of_scikit_learn():
    search, peer = fitted(), RadiusNeighborsClassifier().fit(X[TRAIN], y[TRAIN])
    knn = KNeighborsClassifier(algorithm="brute").fit(X[TRAIN], y[TRAIN])
    for queries in (X[TEST], None):
        distances, rows = search.kneighbors(queries, 4)
        np.testing.assert_allclose(distances, knn.kneighbors(queries, 4)[0], rtol=1e-6)
        assert rows.shape == distances.shape
    distances, rows = search.radius_neighbors(X[TEST], 25.5)
    expected, _ = peer.radius_neighbors(X[TEST], 25.5, sort_results=True)
    assert [len(r) for r in rows] == [len(e) for e in expected]
    for ours, theirs in zip(distances, expected, strict=True):
        np.testing.assert_allclose(ours, theirs)


def test_the_decision_is_minus_the_distance_to_the_nearest_of_each_class():
    search = SimilaritySearch().fit([[0.0], [1.0], [4.0], [9.0]], ["a", "a", "b", "c"])
    np.testing.assert_allclose(search.decision_function([[2.0]]), [[-1, -2, -7]])
    two = SimilaritySearch().fit([[0.0], [4.0]], ["a", "b"])
    np.testing.assert_allclose(two.decision_function([[3.0]]), [2.0])  # -1 - -3


def test_a_grown_gallery_is_as_one_fitted_whole():
    search = SimilaritySearch()
    for part in np.array_split(np.arange(600), 5):
        search.partial_fit(X[part], names[part])
    whole = fitted()
    np.testing.assert_array_equal(search.predict(X[TEST]), whole.predict(X[TEST]))
    np.testing.assert_array_equal(search.classes_, whole.classes_)
    np.testing.assert_array_equal(search.ids_, whole.ids_)


def test_remove_and_update():
    search = SimilaritySearch().fit([[0.0], [1.0], [2.0]], ["a", "b", "c"], ids=["x", "y", "z"])
    search.remove("x")
    assert search.classes_.tolist() == ["b", "c"]
    assert search.predict([[0.0]]).tolist() == ["b"]
    search.update(["y"], [[7.0]], ["a"])
    assert search.ids_.tolist() == ["z", "y"]
    assert search.predict([[0.0], [6.0]]).tolist() == ["c", "a"]
    search.remove(["y", "z"]).partial_fit([[1.0]], ["d"], ids=["x"])
    assert search.predict([[0.0]]).tolist() == ["d"]


def test_items_can_be_updated_under_the_ids_that_fit_gave():
    search = SimilaritySearch().fit([[0.0], [1.0]], [5, 6]).update(0, [[9.0]], [7])
    assert search.ids_.tolist() == [1, 0]
    assert search.partial_fit([[3.0]], [5]).ids_.tolist() == [1, 0, 3]  # none is used twice
    assert search.predict([[8.0]]).tolist() == [7]


def test_search_alone_needs_no_labels():
    search = SimilaritySearch().fit(X[TRAIN])
    assert not hasattr(search, "classes_")
    assert "label" not in search.lookup(X[:1]).columns
    with pytest.raises(ValueError, match="predict needs labels, and the gallery has none"):
        search.predict(X[:1])


class TestEmbedder:
    def test_a_fitted_one_is_used_as_it_is_and_another_is_fitted_on_a_clone(self):
        pca = PCA(5).fit(X[600:])
        assert fitted(embedder=pca).embedder_ is pca
        unfitted = PCA(5)
        search = fitted(embedder=unfitted)
        assert not hasattr(unfitted, "components_")
        assert search.n_components_ == 5
        assert search.n_features_in_ == 64

    def test_a_pipeline_is_fitted_though_its_last_step_has_nothing_to_fit(self):
        unfitted = make_pipeline(PCA(5, svd_solver="full"), "passthrough", Normalizer())
        search = fitted(embedder=unfitted)
        assert not hasattr(unfitted[0], "components_")
        expected = clone(unfitted).fit_transform(X[TRAIN])
        np.testing.assert_allclose(search.index_.vectors(), expected)
        assert fitted(embedder=search.embedder_).embedder_ is search.embedder_

    def test_the_last_step_is_left_out_if_it_predicts(self):
        knn = make_pipeline(StandardScaler(), PCA(5, svd_solver="full"), KNeighborsClassifier())
        for embedder in (knn, clone(knn).fit(X[TRAIN], y[TRAIN])):
            expected = make_pipeline(StandardScaler(), PCA(5, svd_solver="full")).fit_transform(X[TRAIN])
            np.testing.assert_allclose(fitted(embedder=embedder).index_.vectors(), expected)
        grid = GridSearchCV(knn, {"pca__n_components": [3]}).fit(X[TRAIN], y[TRAIN])
        assert fitted(embedder=grid).n_components_ == 3

    def test_clone_forgets_unless_frozen(self):
        pca = PCA(5).fit(X[600:])
        assert not hasattr(clone(SimilaritySearch(pca)).embedder, "components_")
        assert clone(SimilaritySearch(FrozenEstimator(pca))).embedder.components_ is pca.components_

    def test_as_the_last_step_of_a_pipeline_and_in_a_grid(self):
        pipeline = make_pipeline(StandardScaler(), SimilaritySearch(matcher="majority"))
        grid = GridSearchCV(pipeline, {"similaritysearch__n_neighbors": [1, 5]}).fit(X[TRAIN], names[TRAIN])
        assert grid.score(X[TEST], names[TEST]) > 0.9

    def test_samples_need_not_be_arrays(self):
        lengths = FunctionTransformer(lambda words: np.array([[float(len(word))] for word in words]))
        search = SimilaritySearch(lengths).fit(["a", "bb", "cccc"], ["one", "two", "four"])
        assert search.predict(["xxxxx"]).tolist() == ["four"]

    def test_one_that_cannot_embed_or_changed(self):
        with pytest.raises(NoEmbeddingError, match="embedder=LogisticRegression has no transform"):
            fitted(embedder=LogisticRegression(max_iter=10_000))
        pca = PCA(5).fit(X[TRAIN])
        search = fitted(embedder=pca)
        pca.set_params(n_components=4).fit(X[TRAIN])
        for call in (search.predict, search.kneighbors):
            with pytest.raises(ValueError, match=r"differs in components_, .* of PCA.*fit again"):
                call(X[TEST])
        search.set_params(check_embedder=False)
        for call in (search.predict, search.kneighbors):
            with pytest.raises(ValueError, match="gave 4 dimensions and the gallery has 5: it has changed"):
                call(X[:1])
        with pytest.raises(ValueError, match="gave 4 dimensions"):
            search.partial_fit(X[:1], names[:1])


class TestLookup:
    def search(self):
        metadata = {"shop": ["A", "B", "A"], "price": [1, 2, 3]}
        return SimilaritySearch(n_neighbors=2).fit(
            [[0.0], [1.0], [5.0]], ["ant", "bee", "cat"], ids=["x", "y", "z"], metadata=metadata
        )

    def test_rows_by_hand(self):
        table = self.search().lookup([[0.75], [9.0]])
        assert isinstance(table, LookupTable)
        assert len(table) == 4
        assert table.to_records() == [
            {"query": 0, "rank": 1, "id": "y", "distance": 0.25, "label": "bee", "shop": "B", "price": 2},
            {"query": 0, "rank": 2, "id": "x", "distance": 0.75, "label": "ant", "shop": "A", "price": 1},
            {"query": 1, "rank": 1, "id": "z", "distance": 4.0, "label": "cat", "shop": "A", "price": 3},
            {"query": 1, "rank": 2, "id": "y", "distance": 8.0, "label": "bee", "shop": "B", "price": 2},
        ]
        assert "<td>bee</td>" in table._repr_html_()

    def test_html_shows_thumbnails_of_the_files_that_are_here(self, tmp_path):
        image = pytest.importorskip("PIL.Image")
        image.new("RGB", (200, 100), "red").save(tmp_path / "a.png")
        (tmp_path / "b.png").write_bytes(b"no image")
        paths = [str(tmp_path / "a.png"), str(tmp_path / "b.png"), "/nowhere/<script>.png"]
        search = SimilaritySearch().fit([[0.0], [1.0], [2.0]], ["<b>ant</b>"] * 3, metadata={"path": paths})
        html = search.lookup([[0.0]])._repr_html_()
        sources = re.findall(r'<img src="data:image/png;base64,([^"]*)"', html)
        assert len(sources) == 1
        assert image.open(BytesIO(base64.b64decode(sources[0]))).size == (64, 32)
        assert "<b>" not in html
        assert "<script>" not in html
        assert "<th>path</th>" in html

    def test_html_has_no_column_of_pictures_where_none_is_here(self):
        search = SimilaritySearch().fit([[0.0]], ["ant"], metadata={"path": ["/nowhere/a.png"]})
        assert "<img" not in search.lookup([[0.0]])._repr_html_()

    @pytest.mark.parametrize("library", ["pandas", "polars"])
    def test_a_data_frame_where_set_output_asks_for_one(self, library):
        module = pytest.importorskip(library)
        search = self.search().set_output(transform=library)
        assert isinstance(search.lookup([[0.0]]), module.DataFrame)
        with sklearn.config_context(transform_output=library):
            assert list(self.search().lookup([[0.0]])["id"]) == ["x", "y"]
        with pytest.raises(ValueError, match="transform must be one of"):
            search.set_output(transform="numpy")

    def test_metadata_follows_the_items_and_may_come_as_a_frame(self):
        search = self.search().remove(["x"])
        new = pd.DataFrame({"price": [9.5], "shop": ["a long name"]})
        search.partial_fit([[0.0]], ["dog"], ids=["w"], metadata=new)
        found = search.lookup([[0.0]], n_neighbors=3)
        assert found["price"].tolist() == [9.5, 2.0, 3.0]
        assert found["shop"].tolist() == ["a long name", "B", "A"]


def own():
    return SimilaritySearch().fit([[0.0], [1.0]], ["a", "b"], ids=[1, 2], metadata={"shop": ["A", "B"]})


def enrol(y=("c",), **options):
    return own().partial_fit([[2.0]], y, **options)


SHOP = {"shop": ["A"]}
TWO = [[0.0], [1.0]]
NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)
REFUSED = [
    (lambda s: s.fit(TWO, ids=["x", "x"]), ValueError, "id 'x' comes more than once"),
    (lambda s: s.fit(TWO, ids=[1]), ValueError, "one for each of the 2 items"),
    (lambda s: s.fit(TWO, ids=[0.5, 1]), ValueError, "ids must be integers or text"),
    (lambda s: s.fit(TWO, ids=["x", 1]), ValueError, "ids must be integers or text, .*; got int, str"),
    (lambda s: s.fit(TWO, ids=np.array([1, 2**63], "u8")), ValueError, "id 9223372036854775808 is beyond"),
    (lambda s: s.fit(TWO, [1, "a"]), ValueError, "y mixes labels of several types"),
    (lambda s: s.fit(TWO, metadata={"m": [1]}), ValueError, "metadata 'm' must be one value for each"),
    (
        lambda s: s.fit(TWO, metadata={"m": [1, "a"]}),
        ValueError,
        "must be of one type: .*; got numbers and text",
    ),
    (lambda s: s.fit(TWO, metadata={"m": ["a", None]}), ValueError, "no value in row 1: give '' or a word"),
    (lambda s: s.fit(TWO, metadata={"m": [None, True]}), ValueError, "no value in row 0: give False, or"),
    (lambda s: s.fit(TWO, metadata={"m": [None, None]}), ValueError, "got no value"),
    (lambda s: s.fit(TWO, metadata={"m": [[1], [2]]}), ValueError, "must be a column, of one axis; got 2"),
    (lambda s: s.fit(TWO, metadata={"m": [NOON, NOON]}), ValueError, "dates of a time zone: convert them"),
    (lambda s: s.fit(TWO, metadata={"rank": [1, 2]}), ValueError, "lookups add a column of this name"),
    (lambda s: enrol(ids=[2], metadata=SHOP), ValueError, "id 2 is in the gallery already"),
    (lambda s: enrol(metadata=SHOP), ValueError, "ids must be given each time or never"),
    (lambda s: enrol(ids=["x"], metadata=SHOP), ValueError, "ids must be all integers or all text"),
    (lambda s: enrol(ids=[3]), ValueError, r"columns given at fit, \['shop'\]; got \[\]"),
    (lambda s: enrol(ids=[3], metadata={"shop": [1]}), ValueError, "metadata 'shop' is <U1 since fit"),
    (lambda s: enrol(None, ids=[3], metadata=SHOP), ValueError, "fitted with labels: give y"),
    (lambda s: enrol([3], ids=[3], metadata=SHOP), ValueError, "y holds labels of another type"),
    (lambda s: s.remove([1, 7]), KeyError, "id 7 is not in the gallery"),
    (lambda s: s.remove([1, 1]), ValueError, "id 1 comes more than once"),
    (lambda s: s.update([7], [[0.0]], ["a"]), KeyError, "id 7 is not in the gallery"),
    (lambda s: s.update([1], [[0.0]], ["a"]), ValueError, "columns given at fit"),
    (lambda s: s.kneighbors_graph([[0.0]], 3), ValueError, "n_neighbors=3 is more than the 2 items"),
    (lambda s: s.kneighbors_graph(None, 2), ValueError, "n_neighbors=2 is more than the 1 items"),
    (lambda s: s.predict([[0.0]], where={"shop": "Z"}), ValueError, "no item of the gallery passes"),
    (lambda s: s.kneighbors(None, 0), ValueError, "n_neighbors must be an integer from 1; got 0"),
    (lambda s: s.lookup([[0.0]], 1.5), ValueError, "n_neighbors must be an integer from 1; got 1.5"),
    (lambda s: s.radius_neighbors([[0.0]], -1), ValueError, "radius must be a number from 0"),
    (lambda s: s.radius_neighbors([[0.0]], "far"), ValueError, "radius must be a number from 0; got 'far'"),
    (
        lambda s: s.fit(TWO, metadata=[{"m": 1}, {"m": 2}]),
        ValueError,
        "must be a dict of columns .*; got list",
    ),
    (lambda s: s.remove([1, 2]).predict([[0.0]]), ValueError, "the gallery is empty: enrol some"),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSED)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call(own())


def test_what_fails_changes_nothing():
    search = own()
    with pytest.raises(ValueError, match="contains NaN in row 1"):
        search.partial_fit([[2.0], [np.nan]], ["c", "d"], ids=[3, 4], metadata={"shop": ["A", "B"]})
    with pytest.raises(KeyError):
        search.remove([1, 7])
    assert search.ids_.tolist() == [1, 2]
    assert len(search.index_) == 2


def test_classes_of_one_item_are_no_regression():
    words = [f"person {i}" for i in range(50)]
    assert (
        len(SimilaritySearch().fit(X[:50], np.arange(50)).classes_) == 50
    )  # and no warning, as anywhere here
    for labels in (words, np.array(words, dtype=object)):
        assert SimilaritySearch().fit(X[:50], labels).predict(X[3:4]).tolist() == ["person 3"]
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        SimilaritySearch().fit(X[:50], np.arange(50) + 0.5)


def test_the_no_match_label_must_not_be_a_class():
    with pytest.raises(ValueError, match="no_match_label='a' is a class of y too"):
        SimilaritySearch(no_match_label="a").fit(TWO, ["a", "b"])
    with pytest.warns(UserWarning, match="no_match_label='unknown' is a class of y too"):
        SimilaritySearch().fit(TWO, ["a", "unknown"])


def test_unfitted():
    for call in (SimilaritySearch().predict, SimilaritySearch().kneighbors_graph):
        with pytest.raises(NotFittedError):
            call([[0.0]])


def test_centers_follow_the_gallery():
    search = SimilaritySearch(matcher=ClassCenters()).fit([[0.0], [2.0], [9.0]], ["a", "a", "b"])
    assert search.predict([[5.1]]).tolist() == ["b"]  # centres at 1 and 9
    assert search.partial_fit([[10.0]], ["a"]).predict([[5.1]]).tolist() == ["a"]  # at 4 and 9
    with pytest.raises(ValueError, match="n_centers must be an integer from 1; got 0"):
        ClassCenters(0)


def test_joblib(tmp_path):
    search = fitted(embedder=PCA(5, svd_solver="full"))
    joblib.dump(search, tmp_path / "search.joblib")
    loaded = joblib.load(tmp_path / "search.joblib")
    np.testing.assert_array_equal(loaded.predict(X[TEST]), search.predict(X[TEST]))
    loaded.partial_fit(X[TEST], names[TEST])
    assert len(loaded.ids_) == 900


class FindsNothing(ExactIndex):
    """An index whose approximate search finds nothing for some queries: those beyond 10."""

    def query(self, embeddings, k, **filters):
        found = super().query(embeddings, k, **filters)
        lost = np.asarray(embeddings)[:, :1] > 10
        return Neighbors(np.where(lost, np.inf, found.distances), np.where(lost, -1, found.indices))


@pytest.mark.parametrize("matcher", ["nearest", "majority", "distance", "ratio"])
def test_a_query_that_found_nothing_is_no_match(matcher):
    search = SimilaritySearch(index=FindsNothing(), n_neighbors=2, matcher=matcher)
    search.fit([[0.0], [0.1], [5.0], [5.2]], ["ant", "ant", "bee", "bee"])
    assert search.predict([[0.0], [20.0], [5.0]]).tolist() == ["ant", "unknown", "bee"]


def test_a_table_is_iterated_by_the_names_of_its_columns():
    table = SimilaritySearch().fit([[0.0], [1.0]], ["a", "b"]).lookup([[0.1]], 1)
    assert list(table) == ["query", "rank", "id", "distance", "label"]
    assert "label" in table
