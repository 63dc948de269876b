"""The server that the guide shows: texts and images, a bad request, health, a new save."""

import io
import runpy
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skmetric import SimilaritySearch

pytest.importorskip("fastapi")
client_of = pytest.importorskip("fastapi.testclient").TestClient
SERVER = Path(__file__).parents[1] / "doc" / "guide" / "server.py"
TEXTS = ["lost my card", "card is lost", "change the pin", "a new pin please"]


def mean_colour(images):
    """An embedder of images."""
    return np.array([np.asarray(image.convert("RGB"), float).mean(axis=(0, 1)) for image in images])


@pytest.fixture
def client(tmp_path, monkeypatch):
    """A client of the server on a folder, which holds no gallery yet."""
    monkeypatch.setenv("GALLERY", str(tmp_path))
    names = runpy.run_path(str(SERVER))
    names["current"].get.__globals__["EVERY"] = 0.0  # looks at the folder at each request
    return client_of(names["app"])


def save(search, folder):
    joblib.dump(search.embedder_, folder / "embedder.joblib")
    search.save(folder / "gallery")


def test_texts_health_and_a_new_save(client, tmp_path):
    assert client.get("/health").status_code == 503
    words = make_pipeline(TfidfVectorizer(), TruncatedSVD(3, random_state=0)).fit(TEXTS)
    search = SimilaritySearch(words, n_neighbors=1).fit(TEXTS, ["card", "card", "pin", "pin"])
    save(search, tmp_path)
    assert client.get("/health").json() == {"items": 4, "classes": 2, "calibrated": False}
    found = client.post("/rows", json={"samples": ["pin"], "n_neighbors": 2}).json()
    assert found["names"] == ["pin"]
    assert [row["label"] for row in found["nearest"]] == ["pin", "pin"]
    save(search.partial_fit(["freeze it"], ["freeze"]), tmp_path)
    assert client.post("/rows", json={"samples": ["freeze"]}).json()["names"] == ["freeze"]


def test_images_and_what_is_none(client, tmp_path):
    image = pytest.importorskip("PIL.Image")
    pictures = [image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    save(
        SimilaritySearch(FunctionTransformer(mean_colour), n_neighbors=1).fit(pictures, ["red", "blue"]),
        tmp_path,
    )
    sent = io.BytesIO()
    image.new("RGB", (4, 4), "navy").save(sent, "PNG")
    assert client.post("/image", content=sent.getvalue()).json()["names"] == ["blue"]
    refused = client.post("/image", content=b"no image")
    assert refused.status_code == 400
    assert "no image that can be read" in refused.json()["detail"]
    assert client.post("/rows", json={"rows": [[1]]}).status_code == 422
    assert client.post("/rows", content=b"no json").status_code == 422
    assert client.post("/image", content=b"", headers={"content-length": "99999999"}).status_code == 413
