"""scikit-learn's own checks, over every public estimator: a new one is checked because it exists."""

import inspect
import pkgutil
import warnings
from functools import partial
from importlib import import_module

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

import skmetric
from skmetric import DeepMetricLearner, FrozenFeatures, MetricLearner, SimilaritySearch
from skmetric.features import FrozenText
from skmetric.linear import ITML, LMNN, LSML, MLKR, MMC, NCA, SCML, SDML
from skmetric.linear._closed_form import _refine
from skmetric.weak import FromLabels

# Arguments of those that cannot be made without, and further settings of others, worth a run of all checks
ARGUMENTS = {
    # not normalised, for checks with n_components=1: the unit sphere on a line is two points
    DeepMetricLearner: [
        {"module": "linear", "n_components": 2, "normalize": False, "max_epochs": 1, "random_state": 0},
        {"module": "linear", "n_components": 2, "distance": "poincare", "max_epochs": 1, "random_state": 0},
    ],
    FromLabels: [
        {"estimator": learner, "random_state": 0}
        for learner in (ITML(random_state=0), SCML(random_state=0), LSML())  # one for each kind of tuple
    ],
    FrozenFeatures: [{"model": nn.Conv2d(3, 4, 3)}],
    FrozenText: [{"model": np.char.str_len}],
    LMNN: [{"max_iter": 3}],
    MLKR: [{"max_iter": 3}],
    NCA: [{"max_iter": 3}, {"batch_size": 16, "max_iter": 2}],
    MetricLearner: [
        {},
        {"shrinkage": (0.3, 0.5)},
        {"margin": 0.1, "shrinkage": (0.3, 0.5)},
        {"weighting": "wccn", "n_components": 1},
    ],
    SimilaritySearch: [{}, {"embedder": StandardScaler()}, {"matcher": "center"}],
}

# Estimator -> check -> why it may fail.
EXPECTED_FAILURES = {
    DeepMetricLearner: {
        "check_sample_weight_equivalence_on_dense_data": "batches are drawn: weights say how often on average"
    }
}

# Linear learners of tuples, on all checks, as if they took tables. These feed samples and their classes, or
# wait for an error that such a table does not reach; FromLabels(learner) passes them.
NO_TUPLES = "feeds a table of samples: tuples have three axes, or come with pairs=, triplets= or quadruplets="
FEED_TABLES = """
    complex_data dict_unchanged dont_overwrite_parameters dtype_object estimator_sparse_array
    estimator_sparse_matrix estimator_sparse_tag estimators_dtypes estimators_empty_data_messages
    estimators_fit_returns_self estimators_nan_inf estimators_overwrite_params estimators_pickle
    f_contiguous_array_estimator fit2d_1feature fit2d_1sample fit2d_predict1d fit_check_is_fitted
    fit_idempotent fit_score_takes_y methods_sample_order_invariance methods_subset_invariance n_features_in
    n_features_in_after_fitting pipeline_consistency positive_only_tag_during_fit readonly_memmap_input
    requires_y_none transformer_data_not_an_array transformer_general transformer_n_iter
    transformer_preserve_dtypes classifier_data_not_an_array classifier_not_supporting_multiclass
    classifiers_classes classifiers_regression_target classifiers_train non_transformer_estimators_n_iter
    supervised_y_2d all_zero_sample_weights_error sample_weights_pandas_series
    sample_weights_not_an_array sample_weights_list sample_weights_shape sample_weights_not_overwritten
    sample_weight_equivalence_on_dense_data sample_weight_equivalence_on_sparse_data
"""
EXPECTED_OF_TUPLES = dict.fromkeys((f"check_{name}" for name in FEED_TABLES.split()), NO_TUPLES)

# scikit-learn's checks that feed no data; it skips them, with the others, for estimators that take no tables
WITHOUT_DATA = (
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_mixin_order",
    "check_get_params_invariance",
    "check_set_params",
)


def public_estimators():
    """Every class with ``fit`` in an ``__all__`` of the package."""
    modules = [module.name for module in pkgutil.walk_packages(skmetric.__path__, "skmetric.")]
    found = set()
    for module in map(import_module, ["skmetric", *(name for name in modules if "._" not in name)]):
        members = [getattr(module, name) for name in module.__all__]
        found |= {
            member
            for member in members
            if inspect.isclass(member)
            and issubclass(member, BaseEstimator)
            and hasattr(member, "fit")
            and not inspect.isabstract(member)
        }
    return sorted(found, key=lambda estimator: estimator.__name__)


ESTIMATORS = [cls(**arguments) for cls in public_estimators() for arguments in ARGUMENTS.get(cls, [{}])]
TABLES = [estimator for estimator in ESTIMATORS if estimator.__sklearn_tags__().input_tags.two_d_array]


def as_if_for_tables(kind):
    """A learner of tuples whose tags say that it takes tables, so that no check is left out."""

    def tags(self):
        tags = kind.__sklearn_tags__(self)
        tags.input_tags.two_d_array = True
        return tags

    return type(kind.__name__, (kind,), {"__sklearn_tags__": tags, "__init__": kind.__init__})()


def other_checks():
    """Checks of estimators that take images and the like; those that feed tables are left out."""
    for estimator in ESTIMATORS:
        if estimator in TABLES:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SkipTestWarning
            yield from estimator_checks.estimator_checks_generator(estimator, legacy=True)
        for name in WITHOUT_DATA:
            yield estimator, partial(getattr(estimator_checks, name), type(estimator).__name__)


def name_of(value):
    return getattr(getattr(value, "func", value), "__name__", type(value).__name__)


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    """A margin descends for 4 steps in place of 320: the checks fit hundreds of times."""
    monkeypatch.setattr(_refine, "_STEPS", (0, 4))


# the sparse rows of a check are zeros with several labels
@pytest.mark.filterwarnings("ignore:the two samples of pair .* are equal")
@parametrize_with_checks(TABLES, expected_failed_checks=lambda e: EXPECTED_FAILURES.get(type(e), {}))
def test_takes_tables(estimator, check):
    check(estimator)


@pytest.mark.parametrize("kind", [ITML, MMC, SDML, SCML, LSML])
def test_takes_tuples(kind):
    estimator = as_if_for_tables(kind)
    results = estimator_checks.check_estimator(
        estimator, expected_failed_checks=EXPECTED_OF_TUPLES, on_fail=None, on_skip=None
    )
    assert [result["check_name"] for result in results if result["status"] == "failed"] == []
    assert sum(result["status"] == "passed" for result in results) >= 10


@pytest.mark.parametrize(("estimator", "check"), list(other_checks()), ids=name_of)
def test_takes_others(estimator, check):
    check(estimator)


def test_the_walk_finds_the_estimators():
    assert {MetricLearner, FrozenFeatures} <= set(public_estimators())
    assert set(ARGUMENTS) <= set(public_estimators())


@pytest.mark.parametrize("kind", ["bfloat16", "float32"])
@pytest.mark.parametrize(
    "estimator",
    [
        MetricLearner(shrinkage=(0.3, 0.5)),
        SimilaritySearch(),
        DeepMetricLearner("linear", n_components=2, max_epochs=1, random_state=0),
    ],
)
def test_tensors_of_any_float_type_and_with_gradients(estimator, kind):
    rows, y = np.random.default_rng(0).normal(size=(20, 3)), np.repeat(range(5), 4)
    X = torch.tensor(rows, requires_grad=True).to(getattr(torch, kind))
    rows = X.detach().float().numpy()
    results = [
        clone(estimator).fit(data, y).kneighbors(data, 3)[1]
        if isinstance(estimator, SimilaritySearch)
        else clone(estimator).fit(data, y).transform(data)
        for data in (X, rows)
    ]
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("estimator", [MetricLearner(), SimilaritySearch(), DeepMetricLearner()])
def test_a_loader_is_refused_by_name(estimator):
    loader = torch.utils.data.DataLoader(torch.zeros(8, 2))
    with pytest.raises(ValueError, match="X is a DataLoader, which gives batches: pass"):
        estimator.fit(loader, [0, 1] * 4)
