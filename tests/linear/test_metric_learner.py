"""MetricLearner as a user meets it."""

import joblib
import numpy as np
import pytest
import sklearn
from scipy.stats import spearmanr
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmetric import MetricLearner
from skmetric.base import unit_rows
from skmetric.linear._closed_form._scatter import class_scatter
from skmetric.linear._closed_form._span import span_of
from skmetric.metrics import RetrievalScorer, map_at_r, retrieval_report
from skmetric.model_selection import ClassDisjointKFold, class_disjoint_split

from .conftest import gaussian_classes

FIXED = (0.3, 0.5)


def distances(embeddings):
    embeddings = np.asarray(embeddings, np.float64)
    return np.linalg.norm(embeddings[:, None] - embeddings, axis=2)


# Laws


@pytest.mark.parametrize("weighting", ["plda", "wccn", "lda"])
def test_full_shrinkage_is_euclid_up_to_scale(few, weighting):
    X, y = few
    learner = MetricLearner((1, 1), normalize=False, weighting=weighting).fit(X, y)
    ratio = learner.components_[0, 0]
    np.testing.assert_allclose(learner.components_, ratio * np.eye(7), atol=1e-12)
    np.testing.assert_allclose(distances(learner.transform(X)), ratio * distances(X), atol=1e-10)


def test_embedding_is_what_the_docstring_says(few):
    X, y = few
    learner = MetricLearner(FIXED).fit(X, y)
    expected = unit_rows((unit_rows(X) - learner.mean_) @ learner.components_.T)
    np.testing.assert_allclose(learner.transform(X), expected, atol=1e-12)
    np.testing.assert_allclose(learner.mean_, unit_rows(X).mean(axis=0), atol=1e-12)


@pytest.mark.parametrize("normalize", [True, False])
def test_a_power_acts_on_features_first_and_keeps_their_sign(few, normalize):
    X, y = few
    learner = MetricLearner(FIXED, normalize=normalize, power=0.7, saturation=0.1).fit(X, y)
    rows = np.sign(X) * np.abs(X) ** 0.7
    expected = MetricLearner(FIXED, normalize=normalize, saturation=0.1).fit(rows, y)
    np.testing.assert_allclose(learner.transform(X), expected.transform(rows), atol=1e-12)
    np.testing.assert_allclose(
        learner.pair_distance(X[:9], -X[:9]), expected.pair_distance(rows[:9], -rows[:9]), atol=1e-12
    )
    assert (learner.power_, learner.saturation_) == (0.7, 0.1)


@pytest.mark.parametrize("weighting", ["plda", "wccn", "lda"])
def test_given_numbers_mean_what_they_meant(few, weighting):
    """Numbers for the shrinkage alone: neither power nor saturation."""
    X, y = few
    learner = MetricLearner(FIXED, weighting=weighting).fit(X, y)
    assert (learner.power_, learner.saturation_) == (1, 0)
    plain = MetricLearner(FIXED, weighting=weighting, power=1, saturation=0).fit(X, y)
    np.testing.assert_array_equal(learner.components_, plain.components_)
    saturated = MetricLearner(FIXED, weighting=weighting, saturation=1).fit(X, y)
    assert not np.allclose(saturated.transform(X), plain.transform(X), atol=1e-3)


def test_the_call_that_gives_the_fit_of_version_0_1(many):
    learner = MetricLearner(power=1, saturation=0, random_state=0).fit(*many)
    assert (learner.cv_results_["param_power"] == 1).all()
    assert (learner.cv_results_["param_saturation"] == 0).all()


def test_wccn_whitens_the_scatter_inside_classes(few):
    X, y = few
    learner = MetricLearner((0, 1), weighting="wccn", normalize=False).fit(X, y)
    covariance = class_scatter(learner.transform(X), y, 5).within_covariance()
    np.testing.assert_allclose(covariance, covariance[0, 0] * np.eye(7), atol=1e-9)


@pytest.mark.parametrize("shrinkage", [(0, 0), FIXED])
def test_scale_and_place_do_not_matter(few, shrinkage):
    X, y = few
    one = MetricLearner(shrinkage, normalize=False).fit(X, y).transform(X)
    other = MetricLearner(shrinkage, normalize=False).fit(100 * X - 7, y).transform(100 * X - 7)
    np.testing.assert_allclose(
        distances(other) / distances(other).max(), distances(one) / distances(one).max(), atol=1e-8
    )


@pytest.mark.parametrize("shrinkage", [FIXED, "cv"])
@pytest.mark.parametrize("data", ["few", "many"])  # splits drawn at random, and folds
def test_a_weight_counts_as_copies_and_none_as_removed(request, data, shrinkage):
    X, y = request.getfixturevalue(data)
    weights = np.random.default_rng(0).integers(0, 4, len(X))
    learner = MetricLearner(shrinkage, random_state=0)
    weighted = learner.fit(X, y, sample_weight=weights).transform(X)
    chosen = learner.shrinkage_
    copied = learner.fit(X.repeat(weights, axis=0), y.repeat(weights)).transform(X)
    assert learner.shrinkage_ == chosen
    np.testing.assert_allclose(weighted, copied, atol=1e-9)


def batches_of(y, kind):
    if kind == "later classes":
        return [np.flatnonzero(y < 2), np.flatnonzero(y >= 2)]
    if kind == "one class each":
        return [np.flatnonzero(y == c) for c in np.unique(y)[::-1]]
    if kind == "single rows":
        return np.split(np.arange(len(y)), len(y))
    return np.array_split(np.arange(len(y)), 4)  # classes are split across these


@pytest.mark.parametrize("kind", ["any", "later classes", "one class each", "single rows"])
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-5), (np.float32, 1e-3)])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("params", [{}, {"power": 0.5, "saturation": 0.2}], ids=["", "powered"])
def test_partial_fit_is_fit(few, kind, dtype, rtol, weighted, params):
    X, y = few[0].astype(dtype), np.array(list("edcba"))[few[1]]
    weights = np.random.default_rng(0).uniform(0.5, 2, len(X)) if weighted else None
    whole = MetricLearner(FIXED, **params).fit(X, y, sample_weight=weights)
    parts = MetricLearner(FIXED, **params)
    for rows in batches_of(few[1], kind):
        parts.partial_fit(X[rows], y[rows], sample_weight=None if weights is None else weights[rows])
    np.testing.assert_array_equal(parts.classes_, whole.classes_)
    assert parts.components_.dtype == dtype
    for name in ("mean_", "components_"):
        expected = getattr(whole, name)
        np.testing.assert_allclose(
            getattr(parts, name), expected, rtol=rtol, atol=rtol * np.abs(expected).max()
        )
    np.testing.assert_allclose(parts.transform(X), whole.transform(X), atol=10 * rtol)


def test_partial_fit_chooses_once(many):
    X, y = many
    learner = MetricLearner(random_state=0).partial_fit(X, y)
    chosen = learner.shrinkage_, learner.normalize_
    assert chosen == (lambda m: (m.shrinkage_, m.normalize_))(MetricLearner(random_state=0).fit(X, y))
    learner.partial_fit(*gaussian_classes(6, 10, 7, seed=5))
    assert (learner.shrinkage_, learner.normalize_) == chosen


def test_partial_fit_goes_on_from_fit(few):
    X, y = few
    going_on = MetricLearner(FIXED).fit(X[:30], y[:30]).partial_fit(X[30:], y[30:])
    np.testing.assert_allclose(going_on.transform(X), MetricLearner(FIXED).fit(X, y).transform(X), atol=1e-8)


def test_fit_forgets(few):
    X, y = few
    learner = MetricLearner(FIXED).partial_fit(X[:, :3], y).fit(X, y)
    np.testing.assert_array_equal(learner.components_, MetricLearner(FIXED).fit(X, y).components_)


@pytest.mark.parametrize("params", [{}, {"shrinkage": FIXED}, {"margin": 0.2}, {"n_components": 3}])
def test_float32_in_float32_out(many, params):
    X, y = many
    wide = MetricLearner(random_state=0, **params).fit(X, y)
    learner = MetricLearner(random_state=0, **params).fit(X.astype(np.float32), y)
    assert learner.components_.dtype == learner.mean_.dtype == np.float32
    assert learner.transform(X.astype(np.float32)).dtype == np.float32
    assert learner.transform(X).dtype == wide.transform(X).dtype == np.float64
    if "margin" not in params:
        np.testing.assert_allclose(distances(learner.transform(X)), distances(wide.transform(X)), atol=1e-3)


@pytest.mark.parametrize("params", [{}, {"margin": 0.2}])
def test_random_state_decides(many, params):
    X, y = many
    first, again = (MetricLearner(random_state=0, **params).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(first.components_, again.components_)
    np.testing.assert_array_equal(first.cv_results_["mean_test_score"], again.cv_results_["mean_test_score"])


def test_labels_of_any_kind_are_only_names(many):
    X, y = many
    expected = MetricLearner(random_state=0).fit(X, y)
    for labels in (np.array([f"c{c:02}" for c in y]), np.array([f"c{c:02}" for c in y], object), y - 7):
        learner = MetricLearner(random_state=0).fit(X, labels)
        np.testing.assert_array_equal(learner.components_, expected.components_)
        np.testing.assert_array_equal(learner.classes_, np.unique(labels))


def test_n_components_keeps_most_of_the_distances(few):
    X, y = few
    full = distances(MetricLearner(FIXED, normalize=False).fit(X, y).transform(X))
    errors = []
    for n_components in (2, 5, 7):
        learner = MetricLearner(FIXED, normalize=False, n_components=n_components).fit(X, y)
        assert learner.transform(X).shape == (len(X), n_components)
        assert learner.n_components_ == n_components
        errors.append(np.abs(distances(learner.transform(X)) - full).max())
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-9


def test_integers_and_bools_are_cast(few):
    X, y = few
    for cast in ((10 * np.abs(X)).astype(np.uint8), X > 0):
        learner = MetricLearner(FIXED).fit(cast, y)
        np.testing.assert_array_equal(learner.transform(cast), learner.transform(cast.astype(float)))


# Data that try it


def test_float32_far_from_the_origin():
    X, y = gaussian_classes(8, 30, 5)
    far = (X + 1e4).astype(np.float32)
    expected = distances(MetricLearner(FIXED, normalize=False).fit(X, y).transform(X))
    got = distances(MetricLearner(FIXED, normalize=False).fit(far, y).transform(far))
    assert spearmanr(got.ravel(), expected.ravel()).statistic > 0.99999


@pytest.mark.filterwarnings(r"ignore:shrinkage=\(0, 0\) does not shrink")
@pytest.mark.parametrize("shrinkage", ["cv", (0, 0), FIXED])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "shape",
    [(2, 10, 5), (3, 10, 5), (40, 3, 5), (6, 3, 50), (20, 2, 60)],
    ids=lambda shape: "x".join(map(str, shape)),
)
def test_any_shape_works(shape, dtype, shrinkage):
    X, y = gaussian_classes(*shape, dtype=dtype)
    X[:, 0] = 0.1  # a constant feature
    embeddings = MetricLearner(shrinkage, random_state=0).fit(X, y).transform(X)
    assert embeddings.shape == X.shape
    assert np.isfinite(embeddings).all()


def test_two_rows_a_class_are_no_regression():
    """scikit-learn warns of so many classes; for a metric they are the usual thing."""
    X, y = gaussian_classes(30, [1, 2] * 15, 5)
    assert MetricLearner(random_state=0).fit(X, y).cv_results_ is not None


def test_all_rows_alike():
    learner = MetricLearner(random_state=0).fit(np.ones((20, 3)), np.arange(20) % 5)
    assert np.isfinite(learner.transform(np.eye(3))).all()


@pytest.mark.parametrize(
    "params",
    [
        {"normalize": False},
        {"shrinkage": FIXED},
        {"margin": 0.2, "power": 0.5},
        {"power": 0.7, "saturation": 0.2},
    ],
    ids=str,
)
@pytest.mark.parametrize("weighting", ["plda", "wccn", "lda"])
def test_fewer_rows_than_features_give_the_distances_of_the_full_problem(params, weighting, monkeypatch):
    X, y = gaussian_classes(18, 3, 90)
    new = np.random.default_rng(1).normal(size=(30, 90))  # outside the span of X
    fits = []
    for span in (span_of, lambda X: None):
        monkeypatch.setattr("skmetric.linear._closed_form._solution.span_of", span)
        fits.append(MetricLearner(weighting=weighting, random_state=0, **params).fit(X, y))
    inside, full = fits
    assert inside.shrinkage_ == full.shrinkage_
    assert inside.n_steps_ == full.n_steps_
    np.testing.assert_allclose(distances(inside.transform(new)), distances(full.transform(new)), rtol=1e-6)
    np.testing.assert_allclose(inside.scatter_.within, full.scatter_.within, atol=1e-9)
    np.testing.assert_allclose(inside.mean_, full.mean_, atol=1e-12)


@pytest.mark.parametrize("n_components", [5, 54, 70])  # of 54 rows
def test_fewer_rows_than_features_keep_the_same_first_directions(monkeypatch, n_components):
    X, y = gaussian_classes(18, 3, 90)
    fits = []
    for span in (span_of, lambda X: None):
        monkeypatch.setattr("skmetric.linear._closed_form._solution.span_of", span)
        fits.append(MetricLearner(FIXED, n_components=n_components).fit(X, y))
        assert fits[-1].components_.shape == (n_components, 90)
    inside, full = (distances(learner.transform(X)) for learner in fits)
    np.testing.assert_allclose(inside, full, atol=1e-6)


@pytest.mark.parametrize("shape", [(6, 3, 50), (20, 8, 7)], ids=["fewer rows", "constant feature"])
def test_no_shrinkage_of_a_singular_covariance_warns(shape):
    X, y = gaussian_classes(*shape)
    X[:, 0] = 0.1
    with pytest.warns(UserWarning, match=r"differ along \d+ of \d+ directions.* Use shrin") as caught:
        MetricLearner((0, 0.5), normalize=False).fit(X, y)
    assert caught[0].filename == __file__
    MetricLearner((0, 0.5), normalize=False).fit(*gaussian_classes(20, 8, 7))  # does not warn


@pytest.mark.parametrize("params", [{}, {"shrinkage": FIXED}, {"margin": 0.2}], ids=str)
def test_equal_weights_are_no_weights(params):
    """scikit-learn/scikit-learn #10352: weights of 1 over the class size divided by 1.8e-15."""
    X, y = gaussian_classes(20, 8, 7)
    expected = MetricLearner(random_state=0, **params).fit(X, y)
    for weight in (1 / 8, 1e-30, 1e5 / 3):
        learner = MetricLearner(random_state=0, **params).fit(X, y, sample_weight=np.full(len(X), weight))
        np.testing.assert_allclose(
            distances(learner.transform(X)), distances(expected.transform(X)), atol=1e-8
        )


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_scale_of_weights_that_are_no_counts_changes_nothing(dtype):
    X, y = gaussian_classes(20, [2, 12] * 10, 7, dtype=dtype)
    weight = 1 / np.bincount(y)[y]  # 2 rows of a half, 12 of a twelfth
    first, other = (
        MetricLearner(random_state=0).fit(X, y, sample_weight=scale * weight) for scale in (1, 1e-9)
    )
    assert first.shrinkage_ == other.shrinkage_
    np.testing.assert_allclose(
        first.transform(X), other.transform(X), atol=2e-4 if dtype == np.float32 else 1e-9
    )


def test_whether_weights_are_counts_is_decided_on_all_of_them():
    """Some folds hold whole weights alone: scaled as others are not, they chose another shrinkage."""
    X, y = gaussian_classes(20, 3, 7)
    weight = np.where(y == 0, 0.5, 2.0)
    first, other = (
        MetricLearner(random_state=0).fit(X, y, sample_weight=scale * weight) for scale in (1, 1 / 3)
    )
    np.testing.assert_allclose(
        first.cv_results_["mean_test_score"], other.cv_results_["mean_test_score"], atol=1e-9
    )


# scikit-learn


def test_clone_and_refit(many):
    X, y = many
    learner = MetricLearner(random_state=3, n_components=4).fit(X, y)
    other = clone(learner)
    assert not hasattr(other, "components_")
    np.testing.assert_array_equal(other.fit(X, y).components_, learner.components_)


class Stop:
    """A callback that asks to stop after some steps."""

    def __init__(self, after):
        self.after, self.n_seen = after, 0

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.n_seen += context.task_name == "candidates"
        return self.n_seen >= self.after


def test_the_progress_bar_of_scikit_learn_counts_steps_of_the_choice(many, capsys):
    MetricLearner(random_state=0).set_callbacks(ProgressBar()).fit(*many)
    assert "MetricLearner - fit" in capsys.readouterr().out
    MetricLearner(FIXED).set_callbacks(ProgressBar()).fit(*many)  # there is nothing to choose


def test_a_callback_stops_the_choice(many):
    callback = Stop(after=2)
    learner = MetricLearner(random_state=0).set_callbacks(callback).fit(*many)
    assert callback.n_seen == 2
    assert set(learner.cv_results_["param_power"]) == {1.0, 0.7}  # of unit rows, the first two of six steps
    assert learner.transform(many[0]).shape == many[0].shape


def test_scoring_monitor_sees_the_best_learner_so_far(many):
    monitor = ScoringMonitor(scoring=RetrievalScorer("map_at_r", "recall_at_1"))
    learner = MetricLearner(normalize=True, power=1, random_state=0).set_callbacks(monitor).fit(*many)
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "candidates"]
    assert len(rows) == 1 + 6 + 1  # one family, six shrinkages, the saturations
    assert rows[-1]["map_at_r"] == pytest.approx(learner.score(*many))


def test_unfitted(few):
    with pytest.raises(NotFittedError):
        MetricLearner().transform(few[0])


@pytest.mark.parametrize("frame", ["pandas", "polars"])
def test_frames_and_feature_names(few, frame):
    library = pytest.importorskip(frame)
    X, y = few
    table = library.DataFrame({f"f{i}": column for i, column in enumerate(X.T)})
    learner = MetricLearner(FIXED, n_components=2).set_output(transform=frame).fit(table, y)
    out = learner.transform(table)
    assert isinstance(out, library.DataFrame)
    assert list(out.columns) == list(learner.get_feature_names_out()) == ["metriclearner0", "metriclearner1"]
    np.testing.assert_array_equal(learner.feature_names_in_, [f"f{i}" for i in range(7)])
    assert learner.score(table, y) == map_at_r(np.asarray(out), y)
    assert learner.pair_distance(table[:3], table[3:6]).shape == (3,)


LOAD = """
import sys, joblib, numpy as np
learner, X, expected = joblib.load(sys.argv[1])
np.testing.assert_array_equal(learner.transform(X), expected)
learner.partial_fit(X, np.arange(len(X)) % 3)
assert "torch" not in sys.modules
"""


def test_joblib_also_in_a_fresh_process(process_without_torch, few, tmp_path):
    X, y = few
    learner = MetricLearner(random_state=0).fit(X, y)
    path = tmp_path / "learner.joblib"
    joblib.dump((learner, X, learner.transform(X)), path)
    np.testing.assert_array_equal(joblib.load(path)[0].transform(X), learner.transform(X))
    process_without_torch.run(LOAD, path)


def test_sample_weight_is_routed(many):
    X, y = many
    weights = np.random.default_rng(0).integers(1, 4, len(X)).astype(float)
    with sklearn.config_context(enable_metadata_routing=True):
        learner = MetricLearner(FIXED).set_fit_request(sample_weight=True)
        pipe = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), learner)
        grid = {"metriclearner__weighting": ["plda", "wccn"]}
        scorer = RetrievalScorer("map_at_r").set_score_request(sample_weight=False)
        search = GridSearchCV(pipe, grid, cv=ClassDisjointKFold(2), scoring=scorer)
        search.fit(X, y, sample_weight=weights)
    best = search.best_estimator_
    expected = clone(best[-1]).fit(best[0].transform(X), y, sample_weight=weights)
    np.testing.assert_array_equal(best[-1].components_, expected.components_)
    assert not np.allclose(expected.components_, clone(best[-1]).fit(best[0].transform(X), y).components_)


# Bad input


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"shrinkage": (2, 0)}, r"shrinkage must be 'cv' or a pair of numbers from 0 to 1.* got \(2, 0\)"),
        ({"shrinkage": (0.5,)}, "shrinkage must be 'cv' or a pair of numbers"),
        ({"shrinkage": "auto"}, "The 'shrinkage' parameter of MetricLearner must be"),
        ({"weighting": "pca"}, "The 'weighting' parameter of MetricLearner must be"),
        ({"margin": 0}, "The 'margin' parameter of MetricLearner must be"),
        ({"power": 0}, "The 'power' parameter of MetricLearner must be"),
        ({"saturation": -1}, "The 'saturation' parameter of MetricLearner must be"),
        ({"n_components": 8}, "n_components=8 is more than the 7 features of X"),
    ],
)
def test_parameters(few, params, message):
    with pytest.raises(ValueError, match=message):
        MetricLearner(**params).fit(*few)


@pytest.mark.parametrize(("value", "kind"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_rows_that_are_not_finite_are_named(few, value, kind):
    X, y = few
    bad = X.copy()
    bad[[3, 8], 2] = value
    learner = MetricLearner(FIXED).fit(X, y)
    for call in (
        lambda: learner.fit(bad, y),
        lambda: learner.partial_fit(bad, y),
        lambda: learner.transform(bad),
    ):
        with pytest.raises(
            ValueError, match=f"Input X contains {kind} in rows 3, 8: drop or impute these rows"
        ):
            call()


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a"] * 61, r"y has one class only \(a\): telling classes apart needs two or more"),
        (np.arange(61), r"each of the 61 classes of y has one row: .* give two rows or more of some"),
        ([1, "a", *range(59)], r"y mixes labels of several types \(number, str\): convert them to one"),
        (np.array([1, "a"] + [2] * 59, object), r"y mixes labels of several types \(number, str\)"),
        (np.linspace(0, 1, 61), "Unknown label type: continuous"),
        ([0] * 60, "inconsistent numbers of samples"),
        (np.zeros((61, 2)), "1d array"),
        (None, "requires y to be passed"),
    ],
)
def test_labels(few, y, message):
    with pytest.raises(ValueError, match=message):
        MetricLearner().fit(few[0], y)


def test_weights(few):
    X, y = few
    for weights, message in [
        (np.zeros(61), "at least one non-zero"),
        (-np.ones(61), "Negative values"),
        (np.ones(3), r"sample_weight.shape == \(3,\)"),
        (np.where(y == 0, 1, 0), "y has one class only"),
    ]:
        with pytest.raises(ValueError, match=message):
            MetricLearner().fit(X, y, sample_weight=weights)


def test_partial_fit_refuses_what_does_not_fit(few):
    X, y = few
    learner = MetricLearner(FIXED).fit(X, y)
    with pytest.raises(ValueError, match="X has 3 features, but MetricLearner is expecting 7 features"):
        learner.partial_fit(X[:, :3], y)
    with pytest.raises(ValueError, match=r"y has '0', earlier labels are like 0: convert to one type"):
        learner.partial_fit(X, y.astype(str))
    np.testing.assert_array_equal(learner.components_, MetricLearner(FIXED).fit(X, y).components_)


def test_partial_fit_is_not_there_with_a_margin():
    assert not hasattr(MetricLearner(margin=0.1), "partial_fit")
    with pytest.raises(AttributeError) as error:
        MetricLearner(margin=0.1).partial_fit(np.eye(2), [0, 1])
    assert "use margin=None, or fit" in str(error.value.__cause__)


# Quality, on classes that were never fitted on


@pytest.mark.slow
def test_digits_lose_nothing():
    """No metric helps unseen digits, and five classes say little of five others: no harm on any half."""
    X, y = load_digits(return_X_y=True)
    gains, widths = [], []
    for seed in range(6):
        X_known, X_new, y_known, y_new = class_disjoint_split(X, y, random_state=seed)
        report = retrieval_report(X_new, y_new, scores=["map_at_r"], random_state=0)
        gains.append(
            MetricLearner(random_state=0).fit(X_known, y_known).score(X_new, y_new) - report["map_at_r"]
        )
        widths.append(np.ptp(report.intervals["map_at_r"]))
    # half a bootstrap interval of Euclid's score is .013
    assert np.mean(gains) > -0.005
    assert (np.array(gains) > -np.array(widths) / 2).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["banking77", "orl_faces_features"])
@pytest.mark.parametrize("seed", [0, 1])
def test_beats_cosine_on_real_features(load_set, name, seed):
    data = load_set(name)
    X_known, X_new, y_known, y_new = class_disjoint_split(data.data, data.target, random_state=seed)
    learner = MetricLearner(random_state=0).fit(X_known, y_known)
    cosine = map_at_r(unit_rows(X_new), y_new)
    # measured: banking77 .553 and .533 against .519 and .504; faces .832 and .805 against .740 and .732
    assert learner.score(X_new, y_new) > 1.04 * cosine


@pytest.mark.parametrize("weight", [1e300, 1e-200])
def test_weights_whose_squares_are_no_floats(weight):
    X, y = [[0.0], [1.0], [2.0], [4.0]], [0, 0, 1, 1]
    with pytest.raises(ValueError, match=r"largest sample_weight is .*: divide all by their mean"):
        MetricLearner().fit(X, y, sample_weight=[weight] * 4)


@pytest.mark.parametrize("size", [1e153, 1e160, 1e300])
def test_rows_whose_squares_overflow_are_refused_without_raw_warnings(size):
    X, y = np.random.default_rng(0).normal(size=(60, 5)) * size, np.arange(60) % 6
    with pytest.raises(ValueError, match="X is too large: its squares overflow; divide it by a constant"):
        MetricLearner(random_state=0).fit(X, y)
