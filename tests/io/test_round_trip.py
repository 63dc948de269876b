"""Save and load is the identity, for every kind of model; what is of the user's own code is named."""

import functools
import json
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skmetric import FrozenFeatures, MetricLearner, SimilaritySearch, io, linear
from skmetric.deep import DeepMetricLearner
from skmetric.features import FrozenText
from skmetric.io._fitted import check_text_model
from skmetric.search import ExactIndex, FaissIndex

from .conftest import DEEP, IMAGES, MADE, Net, X, Y, made, metric

TREE = ["sklearn.metrics._dist_metrics.EuclideanDistance64", "sklearn.neighbors._kd_tree.KDTree"]


def embedded(model):
    """What a model makes of the samples, whatever it is."""
    samples = IMAGES if len(getattr(model, "input_shape_", ())) == 3 else X
    return model.transform(samples) if hasattr(model, "transform") else model.predict(X)


@pytest.mark.parametrize("name", MADE)
def test_a_loaded_model_gives_the_same(name, tmp_path):
    model = made(name)
    io.save(model, tmp_path)
    loaded = io.load(tmp_path, trusted=TREE, verify=True)
    assert_array_equal(embedded(loaded), embedded(model))
    assert repr(loaded) == repr(getattr(model, "best_estimator_", model))
    io.save(loaded, tmp_path)  # in its own place
    assert_array_equal(embedded(io.load(tmp_path, trusted=TREE)), embedded(model))


def test_a_frozen_search_comes_back_as_what_it_found_and_frozen(tmp_path):
    frozen = FrozenEstimator(made("grid"))
    io.save(frozen, tmp_path)
    loaded = io.load(tmp_path)
    assert repr(loaded) == repr(FrozenEstimator(frozen.best_estimator_))
    assert_array_equal(loaded.transform(X), frozen.transform(X))


LINEAR = [name for name in linear.__all__ if hasattr(getattr(linear, name), "fit")]


DATA = {  # of learners that learn from something else than labels
    "MLKR": (X, np.arange(32.0)),
    **dict.fromkeys(["ITML", "MMC", "SDML"], (X.reshape(16, 2, 6), np.where(np.arange(16) % 2, 1, -1))),
    "SCML": (X[:30].reshape(10, 3, 6),),
    "LSML": (X.reshape(8, 4, 6),),
}


@pytest.mark.parametrize("name", LINEAR)
def test_every_linear_learner(name, tmp_path):
    learner = getattr(linear, name)().fit(*DATA.get(name, (X, Y)))
    io.save(learner, tmp_path)
    assert_array_equal(io.load(tmp_path).transform(X), learner.transform(X))


@pytest.mark.parametrize("name", ["deep", "memory", "siamese", "triplet"])
def test_a_loaded_learner_trains_on_as_the_original_does(name, tmp_path):
    model = made(name).set_params(warm_start=True)
    io.save(model, tmp_path)
    data = {"siamese": (X.reshape(16, 2, 6), np.arange(16) % 2), "triplet": (X[:30].reshape(10, 3, 6),)}
    args = data.get(name, (X, Y))
    assert_array_equal(io.load(tmp_path).fit(*args).transform(X), model.fit(*args).transform(X))


def test_a_loaded_search_goes_on(tmp_path):
    search = made("search")
    search.calibrate()
    io.save(search, tmp_path)
    loaded = io.load(tmp_path)
    assert loaded.calibration_.cutpoints == search.calibration_.cutpoints
    assert loaded.lookup(X[:3], 2)["shop"].tolist() == search.lookup(X[:3], 2)["shop"].tolist()
    assert loaded.partial_fit(X[:1] + 50, ["new"], metadata={"shop": ["s"]}).predict(X[:1] + 50).tolist() == [
        "new"
    ]
    with pytest.raises(ValueError, match=r"holds the embedder too, .*: open it by skmetric\.io\.load"):
        SimilaritySearch.load(tmp_path)
    assert_array_equal(SimilaritySearch.load(tmp_path, search.embedder_).predict(X), search.predict(X))


def test_one_format_with_the_folder_of_a_search(tmp_path):
    search = made("search")
    search.save(tmp_path)
    with pytest.raises(ValueError, match=r"without its embedder, a MetricLearner: open it by Simil"):
        io.load(tmp_path)
    SimilaritySearch().fit(X, Y).save(tmp_path)
    assert io.load(tmp_path).predict(X[:2]).tolist() == ["ant", "bee"]


@pytest.mark.parametrize("index", [ExactIndex(), FaissIndex("Flat")], ids=repr)
def test_an_index(index, tmp_path):
    if isinstance(index, FaissIndex):
        pytest.importorskip("faiss")
    io.save(index.add([3, 5], [[0.0], [9.0]]), tmp_path)
    assert io.load(tmp_path).query([[8.0]], 1).indices.tolist() == [[5]]


def test_a_network_of_ones_own_is_named_and_brought(tmp_path):
    learner = DeepMetricLearner(Net, **DEEP).fit(X, Y)
    io.save(learner, tmp_path)
    with pytest.raises(
        ValueError, match=r"class 'Net' is of the code .*: load with modules=\{'Net': \.\.\.\}"
    ):
        io.load(tmp_path)
    loaded = io.load(tmp_path, modules={"Net": Net})
    assert_array_equal(loaded.transform(X), learner.transform(X))
    assert loaded.module is Net


def test_an_instance_of_ones_own_comes_from_a_factory(tmp_path):
    features = FrozenFeatures(Flat(), mean=0.5, std=0.25).fit(IMAGES)
    io.save(features, tmp_path)
    assert_array_equal(
        io.load(tmp_path, modules={"Flat": Flat}).transform(IMAGES), features.transform(IMAGES)
    )


def test_another_network_under_the_name_is_refused(tmp_path):
    io.save(DeepMetricLearner(Net, **DEEP).fit(X, Y), tmp_path)
    with pytest.raises(ValueError, match=r"do not fit the network <lambda>: the file lacks 0\.bias"):
        io.load(tmp_path, modules={"Net": lambda shape: torch.nn.Linear(6, 3)})


def lengths(texts):
    return np.array([[len(text), 1] for text in texts])


def test_a_function_of_texts_is_asked_for_as_such(tmp_path):
    """The message asked for a function that returns a network."""
    texts, labels = ["a", "bb", "cccc", "ddddd"], [0, 0, 1, 1]
    model = make_pipeline(FrozenText(lengths), MetricLearner((0.5, 0.5))).fit(texts, labels)
    io.save(model, tmp_path)
    with pytest.raises(ValueError, match=r"function or class 'lengths' .* the same function or class$"):
        io.load(tmp_path)
    assert_array_equal(
        io.load(tmp_path, modules={"lengths": lengths}).transform(texts), model.transform(texts)
    )


def test_a_folder_of_a_model_of_texts_is_named_by_whoever_loads(tmp_path):
    """A folder of a text model may name code to run: a foreign model must not lead there."""
    (tmp_path / "minilm").mkdir()
    text = FrozenText(str(tmp_path / "minilm"))
    text.n_features_out_ = 3
    io.save(text, tmp_path / "saved")
    assert str(tmp_path) not in (tmp_path / "saved/manifest.json").read_text()
    with pytest.raises(
        ValueError, match=r"model is the model of texts './minilm', a folder.* load with modules="
    ):
        io.load(tmp_path / "saved")
    assert io.load(tmp_path / "saved", modules={"./minilm": "/mine"}).model == "/mine"


@pytest.mark.parametrize("name", ["/tmp/x", "../x", "a/b/c", "here", "~/x", "c:\\x", "file://x"])
def test_what_may_be_a_folder_is_no_name_of_a_hub(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    check_text_model(FrozenText, "model", "sentence-transformers/all-MiniLM-L6-v2", "", {})
    with pytest.raises(ValueError, match="a folder"):
        check_text_model(FrozenText, "model", name, "", {})


def a_loss(embeddings, labels):
    return (embeddings[labels == labels[0]] ** 2).sum()


def test_what_only_training_needs_may_be_missing(tmp_path):
    learner = DeepMetricLearner("mlp", loss=a_loss, warm_start=True, **DEEP).fit(X, Y)
    io.save(learner, tmp_path)
    loaded = io.load(tmp_path)
    assert_array_equal(loaded.transform(X), learner.transform(X))
    with pytest.raises(RuntimeError, match="'a_loss' is of the code of whoever saved this model"):
        loaded.set_params(warm_start=False).fit(X, Y)
    io.load(tmp_path, modules={"a_loss": a_loss}).set_params(warm_start=False).fit(X, Y)


def test_what_has_no_name_is_refused(tmp_path):
    learner = DeepMetricLearner("mlp", loss=lambda e, y: e.sum(), **DEEP).fit(X, Y)
    with pytest.raises(TypeError, match=r"_made_of.loss|loss is <function .*which has none"):
        io.save(learner, tmp_path)
    with pytest.raises(TypeError, match="a folder holds an estimator; got 7, a int"):
        io.save(7, tmp_path)


def test_a_partial_optimizer(tmp_path):
    sgd = functools.partial(torch.optim.SGD, momentum=0.9)
    io.save(DeepMetricLearner("mlp", optimizer=sgd, **DEEP).fit(X, Y), tmp_path)
    loaded = io.load(tmp_path).optimizer
    assert (loaded.func, loaded.keywords) == (torch.optim.SGD, {"momentum": 0.9})


def test_no_path_of_this_machine_is_in_a_folder(tmp_path):
    features = FrozenFeatures(Flat(), mean=0.5, std=0.25, cache=tmp_path / "secret").fit(IMAGES)
    pipe = make_pipeline(features, memory=str(tmp_path / "secret"))
    io.save(pipe, tmp_path / "model")
    text = (tmp_path / "model/manifest.json").read_text()
    assert "secret" not in text
    assert io.load(tmp_path / "model", modules={"Flat": Flat})[0].cache is None


class Flat(torch.nn.Flatten):
    """Pixels as features."""


def double(X):
    return 2 * X


def test_a_type_that_nobody_trusts_is_named(tmp_path):
    pytest.importorskip("skops")
    io.save(make_pipeline(FunctionTransformer(double), metric()).fit(X, Y), tmp_path)
    name = f"{double.__module__}.double"
    with pytest.raises(ValueError, match=rf"steps\[0\]\[1\] has types that are not trusted: {name}\. If you"):
        io.load(tmp_path)


def test_versions_are_in_the_manifest_and_told_when_they_differ(tmp_path, monkeypatch):
    io.save(made("metric"), tmp_path)
    told = json.loads((tmp_path / "manifest.json").read_text())["versions"]
    assert told["numpy"] == np.__version__
    monkeypatch.setattr("skmetric.__version__", "99.0")
    with pytest.warns(UserWarning, match=r"skmetric .*, and this is skmetric 99\.0") as caught:
        io.load(tmp_path)
    assert {warning.filename for warning in caught} == {__file__}


# skops by itself


@pytest.mark.parametrize("name", ["metric", "deep", "memory", "miner", "siamese"])
def test_skops_names_public_types_alone(name, tmp_path):
    skops = pytest.importorskip("skops.io")
    model = made(name)
    data = skops.dumps(model)
    names = skops.get_untrusted_types(data=data)
    assert all("._" not in found for found in names)
    assert_array_equal(embedded(skops.loads(data, trusted=names)), embedded(model))


def test_skops_refuses_a_network_of_ones_own_by_name():
    skops = pytest.importorskip("skops.io")
    learner = DeepMetricLearner(Net, **DEEP).fit(X, Y)
    with pytest.raises(TypeError, match="the network Net is of your own code"):
        skops.loads(skops.dumps(learner), trusted=["skmetric.deep.DeepMetricLearner"])


def test_pickles_hold_no_private_class():
    for name in ("metric", "deep", "memory"):
        content = pickle.dumps(made(name))
        assert b"skmetric._" not in content
        assert b"skmetric.deep._" not in content
        assert b"skmetric.linear._" not in content


# The walk: a process that has neither the training data nor trust in the file

SERVE = """
import sys
import numpy as np
from skmetric import io

search = io.load(sys.argv[1], verify=True)
print(*search.predict(np.load(sys.argv[2])))
"""


def test_train_save_and_serve_where_nobody_trusts_the_file(another_process, tmp_path):
    known = np.isin(Y, ["ant", "bee"])
    learner = DeepMetricLearner("mlp", **DEEP | {"max_epochs": 3}).fit(X[known], Y[known])
    search = SimilaritySearch(learner, no_match_label="nobody").fit(X[:24], Y[:24])
    search.calibrate(X[24:], Y[24:])
    io.save(search, tmp_path / "model")
    np.save(tmp_path / "queries.npy", X[24:])
    served = another_process.run(SERVE, tmp_path / "model", tmp_path / "queries.npy").split()
    assert served == search.predict(X[24:]).tolist()


def test_a_linear_model_is_served_without_torch(process_without_torch, tmp_path):
    io.save(MetricLearner(shrinkage=(0.5, 0.5)).fit(X, Y), tmp_path)
    code = (
        f"import sys; from skmetric import io; io.load({str(tmp_path)!r}); assert 'torch' not in sys.modules"
    )
    process_without_torch.run(code)
