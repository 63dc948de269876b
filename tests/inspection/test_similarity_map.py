"""SimilarityMapDisplay: the parts add up, lie where the object is, and what has none is refused by name."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images
from sklearn.decomposition import PCA
from sklearn.kernel_approximation import RBFSampler
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler
from torch import nn

from skmetric import DeepMetricLearner, FrozenFeatures, MetricLearner, SimilaritySearch
from skmetric.deep.modules import GeM, L2Normalize
from skmetric.inspection import SimilarityMapDisplay
from skmetric.inspection._parts import image_parts
from skmetric.inspection._similarity import upsampled

# networks here are hardly trained
pytestmark = pytest.mark.filterwarnings("ignore::skmetric.exceptions.CollapseWarning")

SIDE = 24
CROSS, RING = np.zeros((2, 6, 6))
CROSS[2:4], CROSS[:, 2:4] = 1, 1
RING[:], RING[2:4, 2:4] = 1, 0


def picture(shape, row, column, rng=None):
    """A shape somewhere on a dark ground, with some noise."""
    image = np.zeros((SIDE, SIDE)) if rng is None else 0.1 * rng.random((SIDE, SIDE))
    image[row : row + 6, column : column + 6] += 0.9 * shape
    return image.astype(np.float32)


def trunk(*head, seed=0):
    """Two convolutions on grey images (12 x 12 places), and what follows."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), *head,
        )  # fmt: skip


def pooled(pooling, *more):
    return [pooling, nn.Flatten(), *more]


@pytest.fixture(scope="module")
def shapes():
    """Crosses and rings in any place."""
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    images = [picture((CROSS, RING)[label], *rng.integers(0, SIDE - 6, 2), rng) for label in y]
    return np.stack(images), y


@pytest.fixture(scope="module")
def photographs():
    china, flower = load_sample_images().images
    return china[::8, ::8][:48, :72], flower[::8, ::8][:48, :72]


def check_sums(display, embeddings):
    """Laws: what places give adds up to the embeddings, their products and their distance."""
    a, b = np.asarray(embeddings, dtype=float)
    np.testing.assert_allclose(display.parts_a.sum(axis=(0, 1)), a, atol=1e-4 * np.abs(a).max())
    np.testing.assert_allclose(display.parts_b.sum(axis=(0, 1)), b, atol=1e-4 * np.abs(b).max())
    for grid in display.similarity_maps:
        assert grid.sum() == pytest.approx(display.inner_product)
    np.testing.assert_allclose(display.pairs.sum(axis=(2, 3)), display.similarity_maps[0])
    assert display.inner_product == pytest.approx(a @ b, rel=1e-4, abs=1e-6)
    assert sum(grid.sum() for grid in display.distance_maps) == pytest.approx(display.distance**2, abs=1e-12)
    assert display.distance == pytest.approx(np.linalg.norm(a - b), rel=1e-3)


# Exact


def test_parts_by_hand():
    # two places of two components: a = (1, 2) + (3, 0) = (4, 2), b = (0, 1)
    a, b = np.array([[[1.0, 2.0], [3.0, 0.0]]]), np.array([[[0.0, 1.0]]])
    display = SimilarityMapDisplay.from_predictions(np.zeros((2, 4)), np.zeros((2, 2)), a, b)
    assert display.inner_product == 2
    assert display.distance == pytest.approx(np.sqrt(17))  # of (4, 1)
    np.testing.assert_array_equal(display.similarity_maps[0], [[2, 0]])  # (1, 2) @ b, (3, 0) @ b
    np.testing.assert_array_equal(display.similarity_maps[1], [[2]])
    np.testing.assert_array_equal(display.distance_maps[0], [[6, 12]])  # (1, 2) @ (4, 1), (3, 0) @ (4, 1)
    np.testing.assert_array_equal(display.distance_maps[1], [[-1]])  # (0, 1) @ (-4, -1): 18 - 1 = 17
    np.testing.assert_array_equal(display.pairs, [[[[2]], [[0]]]])


def test_average_pooling_gives_each_place_its_activation(photographs):
    convolution = nn.Conv2d(3, 5, 3, stride=2)
    _, parts = image_parts(FrozenFeatures(convolution).fit(photographs), photographs[0])
    pixels = torch.from_numpy(photographs[0] / 255).float().movedim(-1, 0)[None]
    mean, std = (
        torch.tensor(v).view(-1, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    )  # of ImageNet
    maps = convolution((pixels - mean) / std)[0].detach()  # (5, 23, 35)
    np.testing.assert_allclose(parts, maps.movedim(0, -1).numpy() / (23 * 35), atol=1e-6)


def test_the_maximum_belongs_to_where_it_was_reached():
    image = np.zeros((4, 4), dtype=np.float32)
    image[2, 1] = 1
    _, parts = image_parts(FrozenFeatures(nn.Identity(), pooling="max", mean=0, std=1).fit([image]), image)
    np.testing.assert_array_equal(parts[..., 0], image)


def test_the_generalised_mean_divides_by_the_power():
    image = np.array([[0.5, 0.25], [0.0, 0.0]], dtype=np.float32)
    _, parts = image_parts(FrozenFeatures(nn.Identity(), pooling="gem", mean=0, std=1).fit([image]), image)
    # shares of the sum of cubes: 1/8 against 1/64, so 8 to 1
    assert parts[0, 0, 0] / parts[0, 1, 0] == pytest.approx(8, rel=1e-5)
    assert parts.sum() == pytest.approx(((1 / 8 + 1 / 64) / 4) ** (1 / 3), rel=1e-5)


HEADS = {
    "average": lambda: pooled(nn.AdaptiveAvgPool2d(1)),
    "maximum": lambda: pooled(nn.AdaptiveMaxPool2d(1)),
    "generalised mean": lambda: [GeM()],
    "linear": lambda: pooled(nn.AdaptiveAvgPool2d(1), nn.Linear(16, 6)),
    "side by side": lambda: [nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * 36, 6)],
    "unit length": lambda: pooled(nn.AdaptiveAvgPool2d(1), nn.Linear(16, 6), L2Normalize(), nn.Linear(6, 4)),
    "norms": lambda: pooled(nn.AdaptiveAvgPool2d(1), nn.BatchNorm1d(16), nn.LayerNorm(16), nn.Linear(16, 6)),
}


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("head", HEADS)
def test_a_trained_network_adds_up(shapes, head, normalize):
    X, y = shapes
    learner = DeepMetricLearner(trunk(*HEADS[head]()), normalize=normalize, max_epochs=1, random_state=0)
    learner.fit(X, y)
    display = SimilarityMapDisplay.from_estimator(learner, X[0], X[1])
    check_sums(display, learner.transform(X[:2]))


@pytest.mark.parametrize("pooling", ["avg", "max", "gem"])
def test_pooling_of_ours_adds_up(shapes, pooling):
    X, y = shapes
    learner = DeepMetricLearner(trunk(), pooling=pooling, n_components=5, max_epochs=1, random_state=0)
    display = SimilarityMapDisplay.from_estimator(learner.fit(X, y), X[0], X[2])
    assert display.parts_a.shape == (12, 12, 5)
    check_sums(display, learner.transform(X[[0, 2]]))


@pytest.mark.parametrize("name", ["conv4", "small_resnet", "tutorial_conv"])
def test_networks_of_ours_add_up(shapes, name):
    X, y = np.kron(shapes[0][:12], np.ones((1, 2, 2))), shapes[1][:12]
    learner = DeepMetricLearner(name, max_epochs=1, steps_per_epoch=1, random_state=0).fit(X, y)
    check_sums(SimilarityMapDisplay.from_estimator(learner, X[0], X[1]), learner.transform(X[:2]))


@pytest.mark.parametrize("name", ["resnet10t", "convnext_atto", "vit_tiny_patch16_224"])
def test_networks_of_timm_add_up(timm, photographs, name):
    tokens = name.startswith("vit")
    features = FrozenFeatures(
        name, weights=None, image_size=64, pooling="avg" if tokens else "auto",
        model_kwargs={"img_size": 64} if tokens else None,
    ).fit(photographs)  # fmt: skip
    display = SimilarityMapDisplay.from_estimator(features, *photographs)
    assert display.parts_a.shape[:2] == ((4, 4) if tokens else (2, 2))
    assert display.image_a.shape == (64, 64, 3)
    check_sums(display, features.transform(photographs))


def test_a_pipeline_adds_up(shapes):
    X, y = shapes
    features = FrozenFeatures(trunk(), normalize=True, n_jobs=1)
    steps = [features, StandardScaler(), PCA(6, whiten=True), Normalizer(), MetricLearner(random_state=0)]
    pipeline = make_pipeline(*steps, KNeighborsClassifier()).fit(X, y)
    embeddings = pipeline[:-1].transform(X[:2])
    check_sums(SimilarityMapDisplay.from_estimator(pipeline, X[0], X[1]), embeddings)
    search = SimilaritySearch(pipeline[:-1]).fit(X, y)
    check_sums(SimilarityMapDisplay.from_estimator(search, X[0], X[1]), embeddings)


def test_a_pipeline_may_end_in_a_linear_network(shapes):
    X, y = shapes
    linear = DeepMetricLearner("linear", n_components=3, max_epochs=1, random_state=0)
    pipeline = make_pipeline(FrozenFeatures(trunk(), n_jobs=1), linear).fit(X, y)
    check_sums(SimilarityMapDisplay.from_estimator(pipeline, X[0], X[1]), pipeline.transform(X[:2]))


@pytest.mark.parametrize("power", [1, 0.5])
@pytest.mark.parametrize("normalize", [False, True])
def test_a_linear_learner_adds_up_with_its_power_centre_and_lengths(shapes, normalize, power):
    X, y = shapes
    learner = MetricLearner(shrinkage=(0.5, 0.5), normalize=normalize, power=power)
    pipeline = make_pipeline(FrozenFeatures(trunk(), n_jobs=1), learner).fit(X, y)
    check_sums(SimilarityMapDisplay.from_estimator(pipeline, X[0], X[1]), pipeline.transform(X[:2]))


# Where the object is


SHAPES = np.zeros((4, 6, 6))
SHAPES[:2] = CROSS, RING
SHAPES[2, ::3], SHAPES[2, 1::3] = 1, 1  # stripes
SHAPES[3] = np.eye(6) + np.eye(6, k=1) + np.eye(6, k=-1)


def scene(label, rng):
    """A shape in one quarter, something of no class in another; and the two quarters."""
    image, quarters = 0.1 * rng.random((SIDE, SIDE)), rng.permutation(4)[:2]
    for quarter, shape in zip(quarters, (SHAPES[label], rng.random((6, 6))), strict=True):
        row, column = 12 * np.array(divmod(quarter, 2)) + rng.integers(0, 6, 2)
        image[row : row + 6, column : column + 6] += 0.9 * shape
    return image.astype(np.float32), quarters


def test_the_map_is_largest_on_the_object_that_two_images_share():
    rng = np.random.default_rng(0)
    y = np.arange(160) % 4
    X = np.stack([scene(label, rng)[0] for label in y])
    network = trunk(*pooled(nn.AdaptiveAvgPool2d(1), nn.Linear(16, 8)))
    for layer in network.modules():  # offsets would be everywhere
        if getattr(layer, "bias", None) is not None:
            layer.bias = None
    learner = DeepMetricLearner(network, max_epochs=40, random_state=0).fit(X, y)
    shares = []
    for label in np.arange(20) % 4:
        (image_a, quarters_a), (image_b, quarters_b) = scene(label, rng), scene(label, rng)
        parts_a, parts_b = image_parts(learner, image_a)[1], image_parts(learner, image_b)[1]
        display = SimilarityMapDisplay(image_a, image_b, parts_a, parts_b)  # not drawn
        for grid, quarters in zip(display.similarity_maps, (quarters_a, quarters_b), strict=True):
            by_quarter = grid.reshape(2, 6, 2, 6).sum(axis=(1, 3)).ravel() / grid.sum()
            shares.append(by_quarter[quarters])
    of_object, of_other = np.mean(shares, axis=0)
    assert of_object > 0.7
    assert of_other < 0.2
    assert np.mean([ours > other for ours, other in shares]) > 0.9


# Drawn


def test_what_is_drawn(shapes):
    X, y = shapes
    learner = DeepMetricLearner(trunk(), pooling="avg", max_epochs=1, random_state=0).fit(X, y)
    display = SimilarityMapDisplay.from_estimator(learner, X[0], X[1])
    assert [ax.get_title() for ax in display.axes_] == ["first image", "second image"]
    said = display.figure_.axes[-1].get_ylabel()
    assert f"distance {display.distance:.3g}" in said
    drawn = display.axes_[0].images[1].get_array()
    assert drawn.shape == (240, 240)
    # between the middles of places values are linear: none leaves the range of the map's own
    assert drawn.max() <= display.similarity_maps[0].max() + 1e-9
    marked = display.plot(point=(1, 15))
    assert len(marked.axes_[0].images) == 1  # the picture, and the mark
    np.testing.assert_allclose(
        marked.axes_[1].images[1].get_array().max(), display.pairs[0, 7].max(), atol=0.02
    )
    axes = display.plot(kind="distance").axes_
    assert display.plot(axes).axes_ is not None
    assert display.plot(axes).figure_ is axes[0].figure


def test_upsampling_keeps_places_where_they_are():
    values = upsampled(np.array([[0.0, 1.0]]), (2, 8))
    np.testing.assert_allclose(values[0, [1, 2, 5, 6]], [0, 0.125, 0.875, 1], atol=1e-9)


# Refused


def test_a_network_that_goes_on_after_pooling_is_refused_by_the_layer(shapes):
    X, y = shapes
    head = pooled(nn.AdaptiveAvgPool2d(1), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 4))
    learner = DeepMetricLearner(trunk(*head), max_epochs=1, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match=r"Tanh '0\.8' is not affine"):
        SimilarityMapDisplay.from_estimator(learner, X[0], X[1])


class Functional(nn.Module):
    """Pools, or goes on, outside of layers."""

    def __init__(self, kind):
        super().__init__()
        self.maps, self.kind, self.pool = nn.Conv2d(1, 4, 3), kind, nn.AdaptiveAvgPool2d(1)

    def forward(self, images):
        maps = self.maps(images)
        if self.kind == "mean":
            return maps.mean(dim=(2, 3))
        return self.pool(maps).flatten(1) ** 2


@pytest.mark.parametrize(("kind", "reason"), [("mean", "no layer that pools"), ("square", "after 'pool'")])
def test_what_happens_outside_of_layers_is_refused(shapes, kind, reason):
    X, _ = shapes
    learner = FrozenFeatures(Functional(kind), n_jobs=1).fit(X)
    with pytest.raises(ValueError, match=reason):
        SimilarityMapDisplay.from_estimator(learner, X[0], X[1])


def test_a_convolution_over_the_whole_map_is_no_pooling(shapes):
    X, y = shapes
    learner = DeepMetricLearner(trunk(nn.Conv2d(16, 16, 12), nn.Flatten()), max_epochs=1, random_state=0)
    with pytest.raises(ValueError, match=r"Conv2d '0\.5' is no pooling"):
        SimilarityMapDisplay.from_estimator(learner.fit(X, y), X[0], X[1])


def test_estimators_without_places_are_refused(shapes):
    X, y = shapes
    rows = X.reshape(len(X), -1)
    linear = MetricLearner(shrinkage=(0.5, 0.5)).fit(rows, y)
    with pytest.raises(TypeError, match="MetricLearner, whose input has no places"):
        SimilarityMapDisplay.from_estimator(linear, rows[0], rows[1])
    learner = DeepMetricLearner(max_epochs=1, random_state=0).fit(rows, y)
    with pytest.raises(ValueError, match="fitted on rows of 576 features"):
        SimilarityMapDisplay.from_estimator(learner, rows[0], rows[1])
    ball = DeepMetricLearner(trunk(), pooling="avg", distance="poincare", max_epochs=1, random_state=0)
    with pytest.raises(ValueError, match="distance='poincare'"):
        SimilarityMapDisplay.from_estimator(ball.fit(X, y), X[0], X[1])


@pytest.mark.parametrize("step", [FunctionTransformer(np.sqrt), RBFSampler(random_state=0)])
def test_a_step_that_is_not_affine_is_refused(shapes, step):
    X, y = shapes
    pipeline = make_pipeline(FrozenFeatures(trunk(), n_jobs=1), step).fit(X, y)
    with pytest.raises(ValueError, match=f"{type(step).__name__} is not affine"):
        SimilarityMapDisplay.from_estimator(pipeline, X[0], X[1])


def test_the_class_token_is_refused(timm, photographs):
    kwargs = {"img_size": 32}
    features = FrozenFeatures("vit_tiny_patch16_224", weights=None, image_size=32, model_kwargs=kwargs)
    features.set_params(pooling="cls").fit(photographs)
    with pytest.raises(ValueError, match="class token"):
        SimilarityMapDisplay.from_estimator(features, *photographs)
    # the network's own pooling takes it too, outside of any layer that pools
    with pytest.raises(ValueError, match="no layer that pools"):
        SimilarityMapDisplay.from_estimator(
            features.set_params(pooling="auto").fit(photographs), *photographs
        )


def test_bad_parts_and_settings_are_refused():
    image, parts = np.zeros((4, 4)), np.ones((2, 2, 3))
    with pytest.raises(ValueError, match="parts_a must be"):
        SimilarityMapDisplay.from_predictions(image, image, parts[0], parts)
    with pytest.raises(ValueError, match="parts_b has NaN"):
        SimilarityMapDisplay.from_predictions(image, image, parts, parts * np.nan)
    with pytest.raises(ValueError, match="3 components and parts_b 2"):
        SimilarityMapDisplay.from_predictions(image, image, parts, parts[..., :2])
    display = SimilarityMapDisplay.from_predictions(image, image, parts, parts)
    with pytest.raises(ValueError, match="kind must be"):
        display.plot(kind="cosine")
    with pytest.raises(ValueError, match="outside the first image"):
        display.plot(point=(4, 0))
    with pytest.raises(ValueError, match="point goes with"):
        display.plot(point=(1, 1), kind="distance")
    with pytest.raises(ValueError, match="ax must be 2 axes"):
        display.plot([None])
