"""Every public class that a model may have: a new one is saved here because it exists."""

import inspect
import pkgutil
from importlib import import_module

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator
from torch import nn

import skmetric
from skmetric import io
from skmetric.deep import DeepMetricLearner, Distributed, FineTuning, augment, losses, miners
from skmetric.linear import ITML

from .conftest import DEEP, IMAGES, X, Y

PAIRS, ALIKE = X.reshape(16, 2, 6), np.arange(16) % 2
TRIPLETS = (X[:30].reshape(10, 3, 6),)


class Maps(nn.Sequential):
    """A network of the user's own code."""

    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3), nn.Flatten())


def lengths(texts):
    return np.array([[len(text), 1] for text in texts])


ARGUMENTS = {  # of those that cannot be made without, or that would take long
    "FromLabels": {"estimator": ITML(random_state=0), "random_state": 0},
    "FrozenFeatures": {"model": Maps()},
    "FrozenText": {"model": lengths},
    **dict.fromkeys(["DeepMetricLearner", "SiameseLearner", "TripletLearner"], DEEP | {"module": "mlp"}),
}
DATA = {  # of those that learn from something else than rows and labels
    "MLKR": (X, np.arange(32.0)),
    **dict.fromkeys(["ITML", "MMC", "SDML"], (PAIRS, np.where(ALIKE, 1, -1))),
    "SCML": TRIPLETS,
    "LSML": (X.reshape(8, 4, 6),),
    "SiameseLearner": (PAIRS, ALIKE),
    "TripletLearner": TRIPLETS,
    "FrozenFeatures": (IMAGES,),
    "FrozenText": (["a", "bb", "cccc", "ddddd"],),
}
OWN = {"Maps": Maps, "lengths": lengths}


def public_classes(*parents):
    """Classes of a kind in the `__all__` of a public module."""
    modules = [module.name for module in pkgutil.walk_packages(skmetric.__path__, "skmetric.")]
    public = map(import_module, ["skmetric", *(name for name in modules if "._" not in name)])
    members = {getattr(module, name) for module in public for name in module.__all__}
    kinds = [
        m for m in members if inspect.isclass(m) and issubclass(m, parents) and not inspect.isabstract(m)
    ]
    return sorted(kinds, key=lambda kind: kind.__name__)


ESTIMATORS = {kind.__name__: kind for kind in public_classes(BaseEstimator) if hasattr(kind, "fit")}
any_estimator = pytest.mark.parametrize("name", ESTIMATORS)


def fitted(name):
    return ESTIMATORS[name](**ARGUMENTS.get(name, {})).fit(*DATA.get(name, (X, Y)))


def answer(name, model):
    """What a model makes of its samples; pairs and triplets were made of X."""
    if not hasattr(model, "transform"):
        return model.predict(X)
    return model.transform(DATA[name][0] if name.startswith("Frozen") else X)


@any_estimator
def test_each_comes_back_from_a_folder(name, tmp_path):
    model = fitted(name)
    io.save(model, tmp_path)
    loaded = io.load(tmp_path, modules=OWN, verify=True)
    assert_array_equal(answer(name, loaded), answer(name, model))
    assert type(loaded) is type(model)
    assert repr(loaded.get_params(deep=False).keys()) == repr(model.get_params(deep=False).keys())


# a search has its own folder; a network of the user's own is refused, as the last test says
@pytest.mark.parametrize(
    "name", [name for name in ESTIMATORS if name not in ("SimilaritySearch", "FrozenFeatures")]
)
def test_skops_names_public_types_alone(name):
    skops = pytest.importorskip("skops.io")
    model = fitted(name)
    data = skops.dumps(model)
    names = skops.get_untrusted_types(data=data)
    assert not [found for found in names if found.startswith("skmetric") and "._" in found]
    assert_array_equal(answer(name, skops.loads(data, trusted=names)), answer(name, model))


def test_skops_refuses_features_of_a_network_of_ones_own():
    skops = pytest.importorskip("skops.io")
    with pytest.raises(TypeError, match="the network Maps is of your own code"):
        skops.dumps(fitted("FrozenFeatures"))


def of_shelf(shelf, **arguments):
    """An object of each class of a shelf that is a parameter of learners."""
    kinds = [getattr(shelf, name) for name in shelf.__all__]
    kinds = [kind for kind in kinds if inspect.isclass(kind) and issubclass(kind, BaseEstimator)]
    for kind in kinds:
        needed = {
            name
            for name, parameter in inspect.signature(kind).parameters.items()
            if parameter.default is parameter.empty
        }
        yield kind(**{name: arguments[name] for name in needed})


def distance_to_first(embeddings, labels):
    return (embeddings - embeddings[0]).square().sum()


PARTS = {
    **{type(loss).__name__: {"loss": loss} for loss in of_shelf(losses, loss=losses.NTXentLoss())},
    "ForeignLoss": {"loss": losses.ForeignLoss(distance_to_first)},
    **{
        type(miner).__name__: {"loss": losses.TripletMarginLoss(miner=miner)}
        for miner in of_shelf(miners, n_components=3)
    },
    **{type(change).__name__: {"augment": change} for change in of_shelf(augment)},
    "FineTuning": {"fine_tuning": FineTuning(accumulate=2, ema=0.9)},
    "Distributed": {"distributed": Distributed(devices=2)},
}


@pytest.mark.parametrize("name", PARTS)
def test_each_part_of_a_learner_comes_back_from_a_folder(name, tmp_path):
    learner = DeepMetricLearner(**PARTS[name])
    io.save(learner, tmp_path)
    own = {"distance_to_first": distance_to_first}
    assert repr(io.load(tmp_path, modules=own).get_params()) == repr(learner.get_params())


def test_the_walk_finds_what_there_is():
    assert {"MetricLearner", "FrozenText", "SimilaritySearch", "FromLabels", "TripletLearner"} <= set(
        ESTIMATORS
    )
    assert {"ProxyAnchorLoss", "SemiHardMiner", "TwoViews", "MatryoshkaLoss"} <= set(PARTS)
