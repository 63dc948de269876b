"""Models of every kind, fitted on next to nothing."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skmetric import MetricLearner, SimilaritySearch
from skmetric.deep import DeepMetricLearner, FineTuning, SiameseLearner, TripletLearner
from skmetric.deep.losses import CrossBatchMemory, NTXentLoss, TripletMarginLoss
from skmetric.deep.miners import SemiHardMiner

RNG = np.random.default_rng(0)
X = (RNG.normal(size=(32, 6)) + 3 * np.eye(6)[np.arange(32) % 4]).astype(np.float32)
Y = np.array(["ant", "bee", "cat", "dog"])[np.arange(32) % 4]
IMAGES = RNG.integers(0, 256, (8, 12, 12, 3), dtype=np.uint8)
DEEP = {"n_components": 3, "max_epochs": 1, "random_state": 0, "device": "cpu"}


class Net(nn.Module):
    """A network of the user's own code."""

    def __init__(self, input_shape=(6,)):
        super().__init__()
        self.layer = nn.Linear(input_shape[0], 3)
        self.scale = nn.Buffer(nn.init.ones_(self.layer.bias.detach().clone()), persistent=False)

    def forward(self, x):
        return self.layer(x) * self.scale


def metric():
    return MetricLearner(shrinkage=(0.5, 0.5))


MADE = {  # name: how to make it, fitted
    "metric": lambda: metric().fit(X, Y),
    "float32": lambda: metric().fit(X.astype(np.float64), Y),
    "pipeline": lambda: make_pipeline(StandardScaler(), metric(), KNeighborsClassifier(3)).fit(X, Y),
    "union": lambda: FeatureUnion([("a", metric()), ("b", PCA(2))]).fit(X, Y),
    "frozen": lambda: FrozenEstimator(metric().fit(X, Y)),
    "grid": lambda: GridSearchCV(metric(), {"weighting": ["plda", "lda"]}, cv=2).fit(X, Y),
    "frozen network": lambda: FrozenEstimator(DeepMetricLearner("linear", **DEEP).fit(X, Y)),
    "deep": lambda: DeepMetricLearner("mlp", loss="proxy_anchor", **DEEP).fit(X, Y),
    "memory": lambda: DeepMetricLearner(
        "mlp", loss=CrossBatchMemory(NTXentLoss(), size=16), warm_start=True, **DEEP
    ).fit(X, Y),
    "miner": lambda: DeepMetricLearner(
        "linear", loss=TripletMarginLoss(miner=SemiHardMiner()), optimizer="sgd", **DEEP
    ).fit(X, Y),
    "closed_form": lambda: DeepMetricLearner(init="closed_form", **DEEP).fit(X, Y),
    "head": lambda: DeepMetricLearner("mlp", fine_tuning=FineTuning(ema=0.9), head="closed_form", **DEEP).fit(
        X, Y
    ),
    "siamese": lambda: SiameseLearner("mlp", **DEEP).fit(X.reshape(16, 2, 6), np.arange(16) % 2),
    "triplet": lambda: TripletLearner("mlp", **DEEP).fit(X[:30].reshape(10, 3, 6)),
    "images of pairs": lambda: SiameseLearner(
        "conv4", mean=0.5, std=[0.5, 0.25, 0.5], background="red", **DEEP
    ).fit(np.stack([IMAGES, IMAGES[::-1]], axis=1), np.arange(8) % 2),
    "images of triplets": lambda: TripletLearner("conv4", mean=[0.5, 0.4, 0.3], std=0.25, **DEEP).fit(
        np.stack([IMAGES, IMAGES[::-1], np.roll(IMAGES, 1, axis=0)], axis=1)
    ),
    "search": lambda: SimilaritySearch(metric()).fit(X, Y, metadata={"shop": list(Y)}),
    "classifier": lambda: make_pipeline(StandardScaler(), SimilaritySearch(metric())).fit(X, Y),
}


def answer(model):
    """What a model makes of the samples."""
    return model.predict(X) if hasattr(model, "predict") else model.transform(X)


def made(name):
    pytest.importorskip("skops")
    return MADE[name]()
