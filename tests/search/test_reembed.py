"""New embeddings for the items of a gallery: all of them or none, and the threshold is stale."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from skmetric import MetricLearner
from skmetric.search import ClassCenters, FaissIndex, KReciprocal, SimilaritySearch

X, y = load_digits(return_X_y=True)
IDS = [f"image {i}" for i in range(300)]
STALE = "chosen for the embeddings before reembed.*calibrate again"


def fitted(embedder, **options):
    search = SimilaritySearch(embedder, **options)
    return search.fit(X[:300], y[:300], ids=IDS, metadata={"place": np.arange(300)})


def test_items_have_the_embeddings_that_a_new_fit_gives_them():
    """tensorflow/similarity #37: a learner trained on moves an item's distance to itself from 0."""
    learner = MetricLearner(n_components=5, random_state=0).fit(X[:300], y[:300])
    search = fitted(learner)
    learner.partial_fit(X[300:], y[300:])
    search.reembed(X[:300])
    peer = fitted(learner)
    np.testing.assert_array_equal(search.index_.vectors(), peer.index_.vectors())
    assert search.lookup(X[400:410]).to_records() == peer.lookup(X[400:410]).to_records()
    assert search.kneighbors(X[:300], 1)[0].max() == pytest.approx(0, abs=1e-6)
    assert (search.predict(X[:300]) == y[:300]).all()


@pytest.mark.parametrize("options", [{}, {"matcher": ClassCenters()}, {"rerank": KReciprocal(5, 2)}])
def test_what_was_made_of_the_old_embeddings_is_forgotten(options):
    search = fitted(PCA(3).fit(X), **options)
    search.predict(X[:5]), search.decision_function(X[:5]), search.kneighbors(X[:5])
    search.set_params(embedder=PCA(8).fit(X[:500])).reembed(X[:300])
    peer = fitted(search.embedder, **options)
    assert search.n_components_ == 8
    np.testing.assert_array_equal(search.kneighbors(X[300:320])[1], peer.kneighbors(X[300:320])[1])
    np.testing.assert_allclose(search.decision_function(X[300:320]), peer.decision_function(X[300:320]))


def test_a_gallery_that_was_changed_keeps_its_order_and_goes_on():
    search = fitted(PCA(3).fit(X))
    search.remove([IDS[0]]).update([IDS[1]], X[500:501], y[500:501], metadata={"place": [500]})
    order = search.items()["place"]
    search.set_params(embedder=PCA(4).fit(X)).reembed(X[order])
    assert search.items()["place"].tolist() == [*range(2, 300), 500]
    np.testing.assert_allclose(search.index_.vectors(), search.embedder_.transform(X[order]))
    search.partial_fit(X[600:601], y[600:601], ids=["new"], metadata={"place": [600]})
    assert search.lookup(X[600:601], 1)["id"].tolist() == ["new"]


def test_items_in_faiss_have_new_embeddings_too():
    pytest.importorskip("faiss")
    search = fitted(PCA(3).fit(X), index=FaissIndex("Flat")).set_params(embedder=PCA(4).fit(X))
    search.reembed(X[:300])
    assert isinstance(search.index_, FaissIndex)
    assert search.lookup(X[:50], 1)["id"].tolist() == IDS[:50]


def test_the_threshold_is_stale_until_it_is_chosen_again(tmp_path):
    search = fitted(PCA(8).fit(X))
    search.calibrate()
    search.reembed(X[:300])
    assert "calibrated before reembed: calibrate again" in repr(search)
    with pytest.warns(UserWarning, match=STALE) as caught:
        search.predict(X[:2])
    assert caught[0].filename == __file__
    search.save(tmp_path / "gallery")
    with pytest.warns(UserWarning, match=STALE):
        SimilaritySearch.load(tmp_path / "gallery", search.embedder_).predict(X[:2])
    search.calibrate()
    search.predict(X[:2])  # no warning is left
    assert "accepts distances up to" in repr(search)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (X[:299], "X has 299 rows and the gallery 300 items"),
        (np.full((300, 64), np.nan), "NaN"),
        (X[:300, :5], "X has 5 features"),
    ],
)
def test_an_error_leaves_the_search_as_it_was(bad, message):
    search = fitted(PCA(3).fit(X))
    before = search.lookup(X[300:310]).to_records()
    search.set_params(embedder=PCA(4).fit(X))
    with pytest.raises(ValueError, match=message):
        search.reembed(bad)
    assert search.n_components_ == 3
    assert search.lookup(X[300:310]).to_records() == before


def test_without_an_embedder_rows_are_the_new_embeddings():
    search = SimilaritySearch().fit([[0.0], [1.0]]).reembed([[3.0, 4.0], [0.0, 0.0]])
    assert search.kneighbors([[0.0, 0.0]], 2)[0].tolist() == [[0.0, 5.0]]


def test_samples_by_id_in_any_order_or_by_a_function():
    embedder, order = PCA(5).fit(X), np.random.default_rng(0).permutation(300)
    expected = fitted(embedder).index_.vectors()
    asked = []

    def samples(ids):
        asked.append(len(ids))
        return np.array([X[int(i.split()[1])] for i in ids])

    for given, options in (
        (X[:300][order], {"ids": [IDS[i] for i in order]}),
        (samples, {"batch_size": 128}),
    ):
        search = fitted(PCA(3).fit(X)).set_params(embedder=embedder).reembed(given, **options)
        np.testing.assert_allclose(search.index_.vectors(), expected, atol=1e-6)
        assert search.ids_.tolist() == IDS
        search.predict(X[:2])  # it is known by its new embedder
    assert asked == [128, 128, 44]


@pytest.mark.parametrize(
    ("given", "ids", "error", "message"),
    [
        (X[:299], IDS[1:], ValueError, "ids leaves out id 'image 0'"),
        (X[:301], [*IDS, "stranger"], KeyError, "ids has id 'stranger', which no item of the gallery has"),
        (X[:300], IDS[:299], ValueError, "X has 300 rows and ids has 299"),
    ],
)
def test_ids_that_are_not_those_of_the_gallery(given, ids, error, message):
    search = fitted(PCA(3).fit(X))
    with pytest.raises(error, match=message):
        search.set_params(embedder=PCA(4).fit(X)).reembed(given, ids=ids)
    assert search.n_components_ == 3
