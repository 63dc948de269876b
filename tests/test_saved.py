"""What earlier versions saved still loads, and gives the answers that it gave: ``tests/saved/*/make.py``."""

import json
from pathlib import Path

import joblib
import numpy as np
import pytest

from skmetric import io
from skmetric.search import SimilaritySearch

SAVED = Path(__file__).parent / "saved" / "v0_1"
SEARCHES = ["exact", "faiss", "centers"]


@pytest.fixture(scope="module")
def answers():
    return json.loads((SAVED / "answers.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def queries():
    return np.load(SAVED / "data.npz")["Q"]


def check_search(search, queries, answer):
    table = search.lookup(queries, 3)
    assert table["id"].tolist() == answer["ids"]
    np.testing.assert_allclose(table["distance"], answer["distances"], rtol=1e-5, atol=1e-6)
    assert search.predict(queries).tolist() == answer["predict"]
    assert search.calibration_.cutpoints["strict"] == answer["cutpoints"]["strict"]


@pytest.mark.parametrize("name", SEARCHES)
def test_a_pickled_search_of_an_earlier_version_answers_as_it_did(name, queries, answers):
    if name == "faiss":
        pytest.importorskip("faiss")
    check_search(joblib.load(SAVED / f"{name}.joblib"), queries, answers[name])


@pytest.mark.parametrize("name", SEARCHES)
def test_a_folder_of_an_earlier_version_answers_as_it_did(name, queries, answers):
    if name == "faiss":
        pytest.importorskip("faiss")
    learner = joblib.load(SAVED / "learner.joblib")
    check_search(SimilaritySearch.load(SAVED / name, learner), queries, answers[name])


@pytest.mark.parametrize("name", ["learner", "deep", "siamese"])
def test_a_pickled_learner_of_an_earlier_version_embeds_as_it_did(name, queries, answers):
    embeddings = joblib.load(SAVED / f"{name}.joblib").transform(queries)
    np.testing.assert_allclose(embeddings, answers[name], rtol=1e-4, atol=1e-5)


def test_a_pickled_learner_of_an_earlier_version_learns_on(queries):
    """It has neither power nor saturation: these are 1 and 0."""
    learner = joblib.load(SAVED / "learner.joblib")
    assert learner.get_params()["power"] is None
    before, labels = learner.transform(queries), learner.classes_[np.arange(len(queries)) % 2]
    weights = np.full(len(queries), 1e-9)
    np.testing.assert_allclose(
        learner.partial_fit(queries, labels, weights).transform(queries), before, atol=1e-5
    )


def test_a_pickled_pipeline_of_an_earlier_version_predicts_as_it_did(queries, answers):
    assert joblib.load(SAVED / "pipeline.joblib").predict(queries).tolist() == answers["pipeline"]


def test_a_new_pickle_names_public_modules_of_public_classes(tmp_path):
    joblib.dump(joblib.load(SAVED / "deep.joblib"), tmp_path / "deep.joblib")
    content = (tmp_path / "deep.joblib").read_bytes()
    assert b"skmetric.deep._learner" not in content
    assert b"skmetric.deep" in content


# Folders: a sample of each format number (v0_1 has number 3)

FORMATS = Path(__file__).parent / "saved" / "formats"


@pytest.mark.parametrize("number", [2, 4, 5])
def test_a_folder_of_each_format_number_answers_as_it_did(number, queries):
    answers = json.loads((FORMATS / "answers.json").read_text("utf-8"))
    for search in (
        SimilaritySearch.load(FORMATS / f"format_{number}"),
        io.load(FORMATS / f"format_{number}"),
    ):
        assert search.predict(queries).tolist() == answers["predict"]


def test_a_model_folder_embeds_as_it_did(queries):
    answers = json.loads((FORMATS / "answers.json").read_text("utf-8"))
    embeddings = io.load(FORMATS / "model_5").transform(queries)
    np.testing.assert_allclose(embeddings, answers["model_5"], rtol=1e-4, atol=1e-5)
