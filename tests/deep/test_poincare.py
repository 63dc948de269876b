"""The learner whose metric is the distance on the Poincaré ball."""

import numpy as np
import pytest
import torch
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skmetric.deep._ball import ball_distance, iter_ball_rankings
from skmetric.deep.losses import CrossBatchMemory, HyperbolicInfoNCELoss, MultiSimilarityLoss
from skmetric.metrics import RetrievalScorer
from skmetric.metrics._ranking import map_at_r
from skmetric.model_selection import ClassDisjointKFold
from skmetric.retrieval import Ranking, rank

POINCARE = {"distance": "poincare", "loss": "auto"}


def arcosh_distance(u, v, c=0.1):
    """The usual formula, in float64."""
    u, v = np.asarray(u, float), np.asarray(v, float)
    inside = (1 - c * (u**2).sum(-1)) * (1 - c * (v**2).sum(-1))
    return np.arccosh(1 + 2 * c * ((u - v) ** 2).sum(-1) / inside) / np.sqrt(c)


@pytest.fixture
def points():
    """Points of the ball of curvature .1, near the centre and near the rim, and labels."""
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((60, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return directions * rng.uniform(0.2, 3.1, (60, 1)), rng.integers(0, 5, 60)


def brute_force(embeddings, y, c=0.1):
    """Ranking by the usual formula, query by query."""
    relevant = []
    for i, point in enumerate(embeddings):
        others = np.delete(np.arange(len(y)), i)
        order = np.argsort(arcosh_distance(point, embeddings[others], c), kind="stable")
        relevant.append(y[others][order] == y[i])
    relevant = np.array(relevant)
    return Ranking(relevant, relevant.sum(1), len(y) - 1)


def test_rankings_are_by_distance_on_the_ball(points):
    embeddings, y = points
    ((rows, ranking),) = iter_ball_rankings(embeddings, y, curvature=0.1)
    assert rows.tolist() == list(range(60))
    expected = brute_force(embeddings, y)
    np.testing.assert_array_equal(ranking.relevant, expected.relevant)
    np.testing.assert_array_equal(ranking.n_relevant, expected.n_relevant)
    assert (ranking.relevant != rank(embeddings, y).relevant).any()  # the Euclidean order is another one


def test_rankings_of_a_gallery_in_blocks(points, monkeypatch):
    embeddings, y = points
    monkeypatch.setattr("skmetric.deep._ball._BLOCK_BYTES", 4000)
    blocks = list(
        iter_ball_rankings(
            embeddings[:20], y[:20], gallery=embeddings[20:], y_gallery=y[20:], depth=7, curvature=0.1
        )
    )
    assert len(blocks) > 1
    relevant = np.concatenate([ranking.relevant for _, ranking in blocks])
    order = arcosh_distance(embeddings[:20, None], embeddings[None, 20:]).argsort(axis=1)[:, :7]
    np.testing.assert_array_equal(relevant, y[20:][order] == y[:20, None])
    assert blocks[0][1].n_gallery == 40


def test_rankings_leave_out_the_own_class_and_group(points):
    embeddings, y = points
    groups = np.arange(60) % 3
    ((_, ranking),) = iter_ball_rankings(embeddings, y, groups=groups, curvature=0.1)
    for i in range(60):
        kept = ~((y == y[i]) & (groups == groups[i]))
        hits = (y[kept] == y[i])[arcosh_distance(embeddings[i], embeddings[kept]).argsort()]
        np.testing.assert_array_equal(ranking.relevant[i, : len(hits)], hits)
        assert not ranking.relevant[i, len(hits) :].any()
        assert (ranking.n_relevant[i], ranking.n_gallery[i]) == (hits.sum(), len(hits))


def test_distance_of_near_points_keeps_its_digits():
    near = np.array([[1.0, 1.0]]), np.array([[1.0, 1.0 + 1e-12]])
    expected = (
        2 * (near[1] - near[0])[0, 1] / (1 - 0.1 * 2)
    )  # to first order; the arcosh form gives 0 or 1e-8
    np.testing.assert_allclose(ball_distance(*near, 0.1), [expected], rtol=1e-9)


def test_the_learner_goes_by_the_ball(tiny, blobs):
    X, y = blobs
    learner = tiny("mlp", max_epochs=5, **POINCARE).fit(X, y)
    assert isinstance(learner.loss_, HyperbolicInfoNCELoss)
    assert learner.loss_.on_ball
    embeddings = learner.transform(X)
    assert (np.linalg.norm(embeddings, axis=1) < 0.1**-0.5).all()
    expected = arcosh_distance(embeddings[:10], embeddings[10:20])
    np.testing.assert_allclose(learner.pair_distance(X[:10], X[10:20]), expected, rtol=1e-6)
    score = map_at_r(brute_force(embeddings, np.unique(y, return_inverse=True)[1])).mean()
    assert learner.score(X, y) == pytest.approx(score)
    assert RetrievalScorer("map_at_r")(learner, X, y) == pytest.approx(score)
    assert learner.history_[-1]["loss"] < learner.history_[0]["loss"]


def test_history_has_distances_on_the_ball(tiny, blobs):
    X, y = blobs
    settings = {"classes_per_batch": 6, "samples_per_class": 10, "steps_per_epoch": 1, "max_epochs": 1}
    row = tiny(learning_rate=1e-12, **POINCARE, **settings).fit(X, y).history_[0]
    embeddings = tiny(learning_rate=1e-12, **POINCARE, **settings).fit(X, y).transform(X)
    distances = arcosh_distance(embeddings[:, None], embeddings[None])
    assert row["mean_negative_distance"] == pytest.approx(distances[y[:, None] != y].mean(), rel=1e-3)


def test_validation_goes_by_the_ball(tiny, blobs):
    X, y = blobs
    learner = tiny("mlp", max_epochs=3, validation_fraction=0.5, learning_rate=0.01, **POINCARE).fit(X, y)
    held_out = np.isin(y, learner.validation_classes_)
    best = learner.history_[learner.best_epoch_ - 1]["validation_map_at_r"]
    assert learner.score(X[held_out], y[held_out]) == pytest.approx(best)


def test_cross_validation_goes_by_the_ball(tiny, blobs):
    X, y = blobs
    learner, cv = tiny(max_epochs=1, **POINCARE), ClassDisjointKFold(2)
    by_score = cross_val_score(learner, X, y, cv=cv)
    by_scorer = cross_val_score(learner, X, y, cv=cv, scoring=RetrievalScorer("map_at_r"))
    np.testing.assert_allclose(by_score, by_scorer)


@pytest.mark.parametrize("before_neighbours", [False, True])
def test_scores_of_pipelines_go_by_the_ball(tiny, blobs, before_neighbours):
    X, y = blobs
    steps = [FunctionTransformer(), tiny("mlp", **POINCARE), *[KNeighborsClassifier()] * before_neighbours]
    pipeline = make_pipeline(*steps).fit(X, y)
    assert RetrievalScorer("map_at_r")(pipeline, X, y) == pytest.approx(pipeline[1].score(X, y))
    assert pipeline[1].score(X, y) != pytest.approx(map_at_r(rank(pipeline[1].transform(X), y)).mean())


def test_the_ball_is_that_of_the_loss(tiny, blobs):
    loss = HyperbolicInfoNCELoss(curvature=0.5, clip=1.0)
    learner = tiny("mlp", loss=loss, distance="poincare").fit(*blobs)
    assert (learner.module_[-1].curvature, learner.module_[-1].clip) == (0.5, 1.0)
    assert not loss.on_ball
    embeddings = learner.transform(blobs[0])
    expected = arcosh_distance(embeddings[:5], embeddings[5:10], 0.5)
    np.testing.assert_allclose(learner.pair_distance(blobs[0][:5], blobs[0][5:10]), expected, rtol=1e-6)


def test_wrapped_losses_are_told(tiny, blobs):
    loss = CrossBatchMemory(HyperbolicInfoNCELoss(), size=32)
    learner = tiny("mlp", loss=loss, distance="poincare").fit(*blobs)
    assert np.isfinite([row["loss"] for row in learner.history_]).all()
    assert not loss.loss.on_ball


@pytest.mark.parametrize(
    "loss", ["multi_similarity", "triplet", "proxy_anchor", CrossBatchMemory(MultiSimilarityLoss())]
)
def test_losses_of_another_distance_are_refused(tiny, blobs, loss):
    message = r"distance='poincare', but the loss .* does not compare by distance on the ball: take loss="
    with pytest.raises(ValueError, match=message):
        tiny(loss=loss, distance="poincare").fit(*blobs)


def test_foreign_losses(tiny, blobs):
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    with pytest.raises(
        ValueError, match="the loss TripletMarginLoss does not compare by distance on the ball"
    ):
        tiny(loss=losses.TripletMarginLoss(), distance="poincare").fit(*blobs)


def test_a_function_gets_points_of_the_ball(tiny, blobs):
    longest = []

    def loss(embeddings, labels):
        longest.append(embeddings.norm(dim=1).max().item())
        return torch.cdist(embeddings, embeddings)[labels[:, None] == labels].mean()

    tiny(loss=loss, distance="poincare", n_components=3, max_epochs=1).fit(*blobs)
    assert max(longest) <= np.tanh(0.1**0.5 * 2.3) / 0.1**0.5 * (1 + 1e-6)


def test_the_default_loss_elsewhere(tiny, blobs):
    assert isinstance(tiny(loss="auto").fit(*blobs).loss_, MultiSimilarityLoss)
