"""The same numbers as scikit-learn and pytorch-metric-learning where the definitions agree."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, ndcg_score

from skmetric import metrics
from skmetric.metrics._scores import parse_score, score_queries

PEER_NAMES = {
    "recall_at_1": "precision_at_1",
    "r_precision": "r_precision",
    "map_at_r": "mean_average_precision_at_r",
    "mean_average_precision": "mean_average_precision",
    "mean_reciprocal_rank": "mean_reciprocal_rank",
}


@pytest.fixture(params=["among itself", "gallery"])
def data(request):
    rng = np.random.default_rng(0)
    y = np.append(rng.integers(0, 20, size=300), 99)  # the last has nothing to find
    X = (rng.normal(size=(100, 8))[y] + 2 * rng.normal(size=(301, 8))).astype(np.float32)
    if request.param == "gallery":
        return {"embeddings": X[::3], "y": y[::3], "gallery": X[1::3], "y_gallery": y[1::3]}
    return {"embeddings": X, "y": y}


def test_against_pytorch_metric_learning(data):
    torch = pytest.importorskip("torch")
    pytest.importorskip("pytorch_metric_learning")
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
    from pytorch_metric_learning.utils.inference import CustomKNN

    peer = AccuracyCalculator(
        include=tuple(PEER_NAMES.values()),
        k=None,  # the whole gallery: with a smaller k its MAP and MRR are cut off, and no longer ours
        device=torch.device("cpu"),
        knn_func=CustomKNN(LpDistance(normalize_embeddings=False)),
    )
    theirs = peer.get_accuracy(data["embeddings"], data["y"], data.get("gallery"), data.get("y_gallery"))
    ours = {
        theirs_name: getattr(metrics, name.replace("at_1", "at_k"))(**data)
        for name, theirs_name in PEER_NAMES.items()
    }
    assert ours == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("mean_average_precision", average_precision_score),
        ("ndcg_at_5", lambda y, s: ndcg_score([y], [s], k=5)),
    ],
)
def test_each_query_against_scikit_learn(data, name, function):
    X, y = data["embeddings"].astype(float), data["y"]
    gallery, y_gallery = data.get("gallery", X).astype(float), data.get("y_gallery", y)
    ours = score_queries([parse_score(name)], **data).values[0]
    for query in range(len(X)):
        others = np.arange(len(gallery)) != (query if "gallery" not in data else -1)
        relevant = y_gallery[others] == y[query]
        if not relevant.any():
            assert np.isnan(ours[query])
            continue
        distances = np.linalg.norm(gallery[others] - X[query], axis=1)
        assert ours[query] == pytest.approx(function(relevant, -distances), abs=1e-12)
