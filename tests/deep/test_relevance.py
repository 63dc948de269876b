"""The learner on grades: several labels, hierarchies, matrices and functions."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch.utils.data import IterableDataset

from skmetric.deep import DeepMetricLearner, SiameseLearner, losses
from skmetric.metrics import RetrievalScorer, map_at_r

RNG = np.random.default_rng(0)
SETS = [set(RNG.choice(5, size=RNG.integers(0, 3), replace=False).tolist()) for _ in range(60)]
TAGS = np.array([[label in row for label in range(5)] for row in SETS], dtype=int)
X = (TAGS @ RNG.normal(size=(5, 8)) + 2 * RNG.normal(size=(60, 8))).astype(np.float32)
FINE = np.arange(60) % 12
TREE = np.stack([FINE // 4, FINE], axis=1)
SETTINGS = {
    "n_components": 4,
    "max_epochs": 2,
    "random_state": 0,
    "device": "cpu",
}


def learner(relevance, **settings):
    return DeepMetricLearner(relevance=relevance, **SETTINGS | settings)


def common(first, second):
    return first @ second.T


def overlaps(first, second):
    return [[len(a & b) for b in second] for a in first]


FORMS = {
    "indicator": (TAGS, "multilabel"),
    "sets": (SETS, "multilabel"),
    "levels": (TREE, "hierarchy"),
    "matrix": (None, TAGS @ TAGS.T / 5),
    "sparse matrix": (FINE, csr_array(TAGS @ TAGS.T)),
    "function": (TAGS, lambda a, b: a @ b.T),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("loss", ["auto", "log_ratio", "cosine_regression"])
def test_each_form_trains_with_each_loss_of_grades(form, loss):
    y, relevance = FORMS[form]
    fitted = learner(relevance, loss=loss, max_epochs=1).fit(X, y)
    assert np.isfinite(fitted.history_[0]["loss"])
    assert fitted.history_[0]["mean_positive_distance"] > 0
    assert fitted.transform(X).shape == (60, 4)


def test_learning_overlaps_brings_common_labels_nearer():
    fitted = learner("multilabel", max_epochs=12, steps_per_epoch=4).fit(X[:40], TAGS[:40])
    untrained = map_at_r(X[40:], SETS[40:], relevance="multilabel")
    assert fitted.score(X[40:], SETS[40:]) > untrained


def test_hierarchy_holds_out_classes_of_the_coarsest_level():
    tree = np.stack([FINE // 2, FINE], axis=1)
    fitted = learner("hierarchy", validation_fraction=0.4, refit=True).fit(X, tree)
    assert len(fitted.validation_classes_) == 3
    assert {"validation_map_at_r"} <= fitted.history_[0].keys()
    assert fitted.classes_.tolist() == list(range(12))


def test_validation_scores_by_grades():
    fitted = learner("multilabel", validation_fraction=0.3, scoring=["linear_ndcg_at_5", "map_at_r"])
    fitted.fit(X, SETS)
    assert 0 < fitted.untrained_scores_["validation_linear_ndcg_at_5"] < 1
    seen = []

    def scorer(estimator, X, y):
        seen.append(y)
        return 1.0

    learner("multilabel", validation_fraction=0.3, scoring=scorer).fit(X, SETS)
    assert len(seen[0]) == 18
    assert all(isinstance(labels, set) for labels in seen[0])


def test_a_memory_and_prefixes_get_the_grades_too():
    for loss in (
        losses.CrossBatchMemory(losses.SupConLoss()),
        losses.MatryoshkaLoss(losses.SupConLoss(), [2, 4]),
    ):
        assert np.isfinite(learner("multilabel", loss=loss).fit(X, TAGS).history_[-1]["loss"])


def test_labels_in_one_column_are_ravelled_and_more_are_refused():
    one = DeepMetricLearner(**SETTINGS).fit(X, FINE)
    column = DeepMetricLearner(**SETTINGS).fit(X, FINE[:, None])
    assert np.array_equal(one.transform(X), column.transform(X))
    with pytest.raises(ValueError, match="1d array"):
        DeepMetricLearner(**SETTINGS).fit(X, TREE)


@pytest.mark.parametrize(
    "loss", ["triplet", "arc_face", "nt_xent", losses.MarginLoss(), lambda e, y: e.sum()]
)
def test_other_losses_are_refused_by_name(loss):
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    with pytest.raises(ValueError, match=f"loss={name} compares classes.*'log_ratio'"):
        learner("multilabel", loss=loss).fit(X, TAGS)


def test_weights_of_samples_are_refused():
    with pytest.raises(ValueError, match=r"sample_weight .* relevance=.multilabel."):
        DeepMetricLearner(relevance="multilabel").fit(
            np.eye(4, dtype=np.float32), [["a"], ["a"], ["b"], ["b"]], sample_weight=np.ones(4)
        )


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"head": "closed_form"}, "fitted on classes"),
        ({"init": "closed_form"}, "fitted on classes"),
        ({"augment": "two_views", "loss": "sup_con"}, "without labels"),
        ({"loss": losses.SupConLoss(relevance="hierarchy")}, "pass relevance= to DeepMetricLearner"),
        ({"relevance": lambda a, b: a @ b.T, "samples_per_class": 2}, "no label for each sample"),
        ({"early_stopping": True, "validation_fraction": 0.0}, "samples to score on"),
        ({"distance": "cosine", "normalize": False}, "unit sphere"),
        ({"scoring": "map_at_s"}, "unknown score 'map_at_s'"),
    ],
)
def test_what_would_be_ignored_is_refused(settings, match):
    with pytest.raises(ValueError, match=match):
        learner(**{"relevance": "multilabel"} | settings).fit(X, TAGS)


@pytest.mark.parametrize(
    ("relevance", "y", "match"),
    [
        (np.eye(3), None, r"shape \(3, 3\)"),
        (-np.eye(60), None, "negative"),
        ("hierarchy", TREE[:, ::-1], "not nested"),
        ("multilabel", SETS[:5], "5 samples for 60 rows"),
        ("multilabel", None, "y is None, and relevance='multilabel' needs the labels"),
        ("hierarchy", None, "y is None, and relevance='hierarchy' needs the labels"),
        ("tags", TAGS, "relevance"),
    ],
)
def test_bad_grades_are_refused(relevance, y, match):
    with pytest.raises(ValueError, match=match):
        learner(relevance).fit(X, y)


def test_going_on_and_grid_search():
    fitted = learner("multilabel", warm_start=True).fit(X, TAGS)
    assert len(fitted.fit(X, TAGS).history_) == 4
    assert len(fitted.partial_fit(X, TAGS).history_) == 5
    assert len(fitted.set_params(relevance="hierarchy").fit(X, TREE).history_) == 7
    classes = fitted.set_params(relevance="labels", loss="sup_con").fit(X, FINE)
    assert len(classes.history_) == 9
    scorer = RetrievalScorer("map_at_r", relevance="multilabel")
    search = GridSearchCV(learner("multilabel"), {"loss": ["auto", "log_ratio"]}, scoring=scorer, cv=2)
    assert np.isfinite(search.fit(X, TAGS).cv_results_["mean_test_score"]).all()


def test_the_loss_keeps_no_grades_in_a_pickle():
    import pickle

    fitted = learner("multilabel").fit(X, TAGS)
    again = pickle.loads(pickle.dumps(fitted))
    assert fitted.loss_._grades is None  # whose next labels are others
    assert again.loss_._grades is None
    assert np.array_equal(again.transform(X), fitted.transform(X))
    assert clone(fitted).relevance == "multilabel"


def test_same_seed_same_bits():
    first, second = (learner("multilabel").fit(X, TAGS).transform(X) for _ in range(2))
    assert np.array_equal(first, second)


def test_a_stream_is_refused_by_what_it_cannot_tell():
    class Tagged(IterableDataset):
        def __iter__(self):
            return iter(zip(torch.from_numpy(X), TAGS, strict=True))

    with pytest.raises(ValueError, match="relevance='multilabel' takes the labels of all samples before"):
        learner("multilabel", steps_per_epoch=2).fit(Tagged())


@pytest.mark.parametrize("relevance", ["multilabel", np.eye(12), lambda a, b: a == b])
def test_grades_of_a_loss_are_refused_where_labels_are_codes(relevance):
    loss = losses.SupConLoss(relevance=relevance)
    with pytest.raises(ValueError, match=r"relevance of the loss SupConLoss .* pass relevance="):
        learner("labels", loss=losses.CrossBatchMemory(loss)).fit(X, FINE)
    pairs, same = np.arange(20).reshape(10, 2), np.arange(10) % 2
    with pytest.raises(ValueError, match=r"relevance of the loss SupConLoss .* pass relevance="):
        SiameseLearner(loss=loss).fit(X, same, pairs=pairs)


OTHERS = np.where(np.arange(60)[:, None] % 2, TAGS, 1)
CHANGED = {
    "tags": ((TAGS, "multilabel"), (np.maximum(TAGS, [0, 0, 0, 0, 1]), "multilabel")),
    "levels": ((TREE, "hierarchy"), (np.stack([FINE // 3, FINE], axis=1), "hierarchy")),
    "sparse matrix": ((None, csr_array(TAGS @ TAGS.T)), (None, csr_array(2 * TAGS @ TAGS.T))),
    "labels of a function": ((TAGS, common), (OTHERS, common)),
    "sets of a function": ((SETS, overlaps), ([row | {9} for row in SETS], overlaps)),
}


@pytest.mark.parametrize("change", CHANGED)
def test_a_checkpoint_of_other_grades_is_refused(change, tmp_path):
    before, now = CHANGED[change]
    for _ in range(2):
        learner(before[1], checkpoint=tmp_path).fit(X, before[0])
    with pytest.raises(ValueError, match="other samples, labels"):
        learner(now[1], checkpoint=tmp_path).fit(X, now[0])


def test_score_with_a_matrix_says_what_to_use():
    grades = TAGS @ TAGS.T
    fitted = learner(grades).fit(X)
    for y in (None, FINE):
        with pytest.raises(ValueError, match=r"map_at_r\(learner.transform\(X\), y, relevance=\)"):
            fitted.score(X, y)
