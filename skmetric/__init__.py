"""Metric learning for people who use scikit-learn.

Learn a distance from labels and put it to use: k-NN, similarity search, recognition of classes that were
never trained on. The names below load on first use (:pep:`562`), so that ``import skmetric`` costs nothing.
"""

from importlib import import_module

from ._moved import install

__version__ = "0.1.0"

_HOMES = {
    "DeepMetricLearner": "skmetric.deep",
    "FrozenFeatures": "skmetric.features",
    "MetricLearner": "skmetric.linear",
    "SimilaritySearch": "skmetric.search",
}
_SUBPACKAGES = [
    "datasets",
    "deep",
    "features",
    "inspection",
    "linear",
    "metrics",
    "model_selection",
    "retrieval",
    "search",
]

__all__ = ["DeepMetricLearner", "FrozenFeatures", "MetricLearner", "SimilaritySearch", *_SUBPACKAGES]


install()


def __getattr__(name):
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _SUBPACKAGES:
        return import_module(f"skmetric.{name}")
    raise AttributeError(f"module 'skmetric' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
