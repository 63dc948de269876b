"""Metric learning for people who use scikit-learn.

Learn a distance from labels and put it to use: k-NN, similarity search, recognition of classes that were
never trained on. The names below load on first use (:pep:`562`), so that ``import skmetric`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._modules import install

if TYPE_CHECKING:  # what an editor completes; at run time the names below load it
    from . import (
        datasets as datasets,
    )
    from . import (
        deep as deep,
    )
    from . import (
        features as features,
    )
    from . import (
        inspection as inspection,
    )
    from . import (
        io as io,
    )
    from . import (
        linear as linear,
    )
    from . import (
        metrics as metrics,
    )
    from . import (
        model_selection as model_selection,
    )
    from . import (
        retrieval as retrieval,
    )
    from . import (
        search as search,
    )
    from . import (
        weak as weak,
    )
    from .deep import DeepMetricLearner as DeepMetricLearner
    from .features import FrozenFeatures as FrozenFeatures
    from .linear import MetricLearner as MetricLearner
    from .search import SimilaritySearch as SimilaritySearch

__version__ = "0.1.0"

_HOMES = {
    "DeepMetricLearner": "skmetric.deep",
    "FrozenFeatures": "skmetric.features",
    "MetricLearner": "skmetric.linear",
    "SimilaritySearch": "skmetric.search",
}

__all__ = [
    "DeepMetricLearner",
    "FrozenFeatures",
    "MetricLearner",
    "SimilaritySearch",
    "datasets",
    "deep",
    "features",
    "inspection",
    "io",
    "linear",
    "metrics",
    "model_selection",
    "retrieval",
    "search",
    "weak",
]

install()

if not TYPE_CHECKING:  # to a type checker a module with this function has every name

    def __getattr__(name: str) -> Any:
        if name in _HOMES:
            return getattr(import_module(_HOMES[name]), name)
        if name in __all__:
            return import_module(f"skmetric.{name}")
        raise AttributeError(f"module 'skmetric' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
