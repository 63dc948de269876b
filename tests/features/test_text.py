"""FrozenText: embeddings of texts by a model that is not trained."""

import os
import pickle
import sys
from functools import partial, wraps
from types import ModuleType

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.callback import ProgressBar
from sklearn.pipeline import make_pipeline
from torch import nn

from skmetric import MetricLearner, SimilaritySearch
from skmetric.features import FrozenText
from skmetric.features._text_model import digest_of_model

TEXTS = ["lost card", "new pin", "lost my card", "a pin"]
CALLS = []


def letters(texts, alphabet="aeiou"):
    """Counts of letters."""
    CALLS.extend(texts)
    return [[text.count(letter) for letter in alphabet] for text in texts]


class SentenceTransformer(nn.Module):
    """What the package of that name gives, as far as it is asked for."""

    loaded: list = []

    def __init__(self, name, device):
        super().__init__()
        self.loaded.append((name, device))
        self.weights = nn.Parameter(torch.full((1000, 5), 2.0 if name == "double" else 1.0))

    def encode(self, texts, batch_size, convert_to_numpy, show_progress_bar):
        assert convert_to_numpy
        assert not show_progress_bar
        return np.array(letters(texts)) * self.weights[0].detach().numpy()


@pytest.fixture(autouse=True)
def _package(monkeypatch):
    package = ModuleType("sentence_transformers")
    package.SentenceTransformer = SentenceTransformer
    monkeypatch.setitem(sys.modules, "sentence_transformers", package)
    SentenceTransformer.loaded.clear()
    CALLS.clear()


def test_values_of_a_function():
    embedded = FrozenText(letters, batch_size=3).fit_transform(TEXTS)
    assert embedded.dtype == np.float32
    np.testing.assert_array_equal(embedded, letters(TEXTS))


def test_a_name_is_loaded_once_and_its_pickle_does_not_hold_the_model():
    features = FrozenText("some-model", device="cpu").fit(TEXTS)
    features.transform(TEXTS)
    assert SentenceTransformer.loaded == [("some-model", "cpu")]
    assert len(pickle.dumps(features)) < 1000
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(features)).transform(TEXTS), letters(TEXTS))
    assert len(SentenceTransformer.loaded) == 2


@pytest.mark.parametrize("kind", [np.array, pd.Series, tuple, lambda texts: pd.DataFrame({"text": texts})])
def test_texts_of_any_sequence(kind):
    np.testing.assert_array_equal(FrozenText(letters).fit_transform(kind(TEXTS)), letters(TEXTS))


def test_lengths_of_one():
    lengths = np.linalg.norm(FrozenText(letters, normalize=True).fit_transform(TEXTS), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-6)


@pytest.mark.parametrize("model", [letters, partial(letters, alphabet="lostpincad"), "some-model"])
def test_each_text_goes_through_the_model_once(tmp_path, model):
    first = FrozenText(model, cache=tmp_path).fit_transform(TEXTS + TEXTS)
    assert sorted(CALLS) == sorted(TEXTS)
    again = FrozenText(model, cache=tmp_path, batch_size=2).fit_transform(TEXTS[::-1])
    assert len(CALLS) == len(TEXTS)
    np.testing.assert_array_equal(again, first[:4][::-1])


def test_another_model_has_other_entries(tmp_path):
    once, double = (FrozenText(name, cache=tmp_path).fit_transform(TEXTS) for name in ("some", "double"))
    np.testing.assert_array_equal(double, 2 * once)
    other = FrozenText(partial(letters, alphabet="xyzab"), cache=tmp_path).fit_transform(TEXTS)
    assert not np.array_equal(other, once)


def test_a_pipeline_from_texts_to_a_search(tmp_path):
    model = make_pipeline(FrozenText(letters), MetricLearner()).fit(TEXTS, [0, 1, 0, 1])
    joblib.dump(model, tmp_path / "model.joblib")
    search = SimilaritySearch(joblib.load(tmp_path / "model.joblib")).fit(TEXTS, [0, 1, 0, 1])
    assert search.predict(["my card is lost"]).tolist() == [0]
    assert list(model[0].get_feature_names_out()) == [f"frozentext{i}" for i in range(5)]


def test_progress_of_batches(capsys):
    features = FrozenText(letters, batch_size=2).set_callbacks(ProgressBar())
    np.testing.assert_array_equal(features.fit(TEXTS).transform(TEXTS), letters(TEXTS))


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ("lost card", TypeError, "a sequence of texts; got 'lost card'"),
        (["lost card", None], TypeError, "row 1 is None, a NoneType: fill missing ones"),
        (pd.Series(["lost card", np.nan]), TypeError, "row 1 is nan, a float: fill missing ones"),
        (pd.Series(["lost card", pd.NA], dtype="string"), TypeError, "row 1 is <NA>, a NAType: fill missing"),
        ({"lost card": 1}, TypeError, "a sequence of texts; got {'lost card': 1}, a dict"),
        ({"lost card"}, TypeError, "a sequence of texts; got {'lost card'}, a set"),
        ([1, 2], TypeError, "row 0 is 1, a int"),
        ([], ValueError, "X is empty"),
        (np.array([["a", "b"]]), ValueError, r"got shape \(1, 2\)"),
    ],
)
def test_what_holds_no_texts_is_refused(X, error, message):
    with pytest.raises(error, match=message):
        FrozenText(letters).fit(X)


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (lambda texts: [1.0] * len(texts), ValueError, r"shape \(1, n_features\) for 1 texts; got \(1,\)"),
        (lambda texts: [[np.nan]] * len(texts), ValueError, "NaN or infinity for the text 0"),
        (lambda texts: "no", ValueError, "no array of numbers"),
        (SentenceTransformer("x", "cpu").encode, TypeError, "SentenceTransformer itself"),
        (SentenceTransformer("x", "cpu"), TypeError, "SentenceTransformer itself"),
    ],
)
def test_models_that_give_no_embeddings(model, error, message):
    with pytest.raises(error, match=message):
        FrozenText(model).fit(TEXTS)


class Scaled:
    """Encoders that differ by a number, with a method of one name."""

    def __init__(self, scale):
        self.scale = scale

    def encode(self, texts):
        return self.scale * np.array(letters(texts))

    @classmethod
    def letters(cls, texts):
        return letters(texts)

    def named_like_another(self):
        @wraps(letters)
        def encode(texts):
            return self.encode(texts)

        return encode


@pytest.mark.parametrize(
    "model", [lambda texts: letters(texts), Scaled(2).encode, Scaled(2).named_like_another()]
)
def test_a_cache_needs_a_name_that_lasts(tmp_path, model):
    """By module and name, ``Scaled(1).encode`` and ``Scaled(2).encode`` would share entries."""
    with pytest.raises(ValueError, match="a function of a module, or cache=None"):
        FrozenText(model, cache=tmp_path).fit(TEXTS)


def test_the_method_of_a_class_is_a_function_of_its_module(tmp_path):
    found = FrozenText(Scaled.letters, cache=tmp_path).fit_transform(TEXTS)
    np.testing.assert_array_equal(found, letters(TEXTS))


def test_changed_code_has_other_entries(tmp_path, monkeypatch):
    """What a module is after an edit and a new start."""
    monkeypatch.syspath_prepend(tmp_path)
    found = []
    for inside in ("[len(text)]", "[2 * len(text)]", "[len(text)]"):
        module = ModuleType("encoders_of_a_user")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(f"def encode(texts):\n    return [{inside} for text in texts]", vars(module))
        found.append(FrozenText(module.encode, cache=tmp_path / "cache").fit_transform(["abc"]).item())
    assert found == [3, 6, 3]
    assert len([file for file in (tmp_path / "cache").glob("*/*") if file.is_file()]) == 2


def test_the_key_of_code_is_that_of_every_process(another_process, monkeypatch, capsys, tmp_path):
    """Python writes a set of texts in another order in each process."""
    code = "def encode(texts):\n    return [[text in {'a', 'b', 'c', 'd', 'e', 'f'}] for text in texts]\n"
    (tmp_path / "encoders_of_a_user.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    program = (
        "from skmetric.features._text_model import key_of_function\n"
        "import encoders_of_a_user\n"
        "print(key_of_function(encoders_of_a_user.encode))\n"
    )
    exec(program, {})
    key = capsys.readouterr().out
    assert another_process.run(program, env=os.environ | {"PYTHONPATH": str(tmp_path)}) == key
    assert key.startswith("encoders_of_a_user.encode ")


def test_another_prompt_has_other_entries():
    """Sentence models put a prompt before each text; it is no part of weights and structure."""
    model = SentenceTransformer("some", "cpu")
    before = digest_of_model(model)
    model.prompts, model.default_prompt_name = {"query": "query: "}, "query"
    assert digest_of_model(model) != before


def test_half_a_pair_of_code_units_is_kept(tmp_path):
    """JSON that is cut inside an emoji gives such a text, which UTF-8 has no bytes for."""
    text = ["lost card \ud83d"]
    np.testing.assert_array_equal(FrozenText(letters, cache=tmp_path).fit_transform(text), letters(text))


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ImportError, match="pip install sentence-transformers"):
        FrozenText("some-model").fit(TEXTS)
