"""Float images on another scale than the network was fitted on: refused, with the remedy."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch.utils.data import Dataset

from skmetric import FrozenFeatures
from skmetric.deep import DeepMetricLearner, SiameseLearner, TripletLearner

UNIT = np.random.default_rng(0).random((24, 3, 8, 8)).astype(np.float32)
BYTES = (UNIT * 255).astype(np.uint8)
NAMES = np.arange(24) % 4
OFF = r"values up to .* but `fit` saw values up to"


class Items(Dataset):
    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return torch.as_tensor(self.images[i]), int(NAMES[i])


def listed(images):
    return [np.moveaxis(image, 0, -1) for image in images]


FORMS = {"array": np.asarray, "list": listed, "dataset": Items}


@pytest.fixture(params=FORMS)
def form(request):
    return FORMS[request.param]


def fitted(images, **settings):
    defaults = {"max_epochs": 1, "n_components": 2, "random_state": 0, "device": "cpu", "steps_per_epoch": 1}
    return DeepMetricLearner("conv4", **(defaults | settings)).fit(images, NAMES)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (BYTES, UNIT * 255),  # a service that decodes to float32
        (UNIT, UNIT * 255),
        (UNIT, UNIT * 5),
        (UNIT * 255, UNIT),
        (UNIT * 255, BYTES),
        (UNIT * 255, UNIT[:1]),
        (UNIT, UNIT / 255),
    ],
)
def test_another_scale_is_refused(form, first, then):
    learner = fitted(form(first))
    with pytest.raises(ValueError, match=OFF):
        learner.transform(form(then))
    with pytest.raises(ValueError, match=OFF):
        learner.partial_fit(form(then), NAMES[: len(then)])


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (BYTES, UNIT),
        (UNIT, BYTES),
        (BYTES, 2 * UNIT - 1),
        ((UNIT - 0.45) / 0.22, (UNIT[:9] - 0.5) / 0.25),
        (UNIT, 0.1 * UNIT[:1]),  # one taken at night
        (UNIT, 0 * UNIT[:1]),
        (BYTES, BYTES // 50),
    ],
)
def test_images_of_one_source_pass(form, first, then):
    assert len(fitted(form(first)).transform(form(then))) == len(then)


@pytest.mark.parametrize("settings", [{"mean": 0.5}, {"std": [0.2, 0.2, 0.3]}], ids=str)
def test_a_network_that_normalises_takes_brightness_alone(form, settings):
    with pytest.raises(ValueError, match=r"float images go from 0 to 1"):
        fitted(form(UNIT * 255), **settings)
    with pytest.raises(ValueError, match=r"float images go from 0 to 1"):
        fitted(form(UNIT), **settings).transform(form(2 * UNIT - 1))


@pytest.mark.parametrize("kind", [SiameseLearner, TripletLearner])
def test_learners_of_tuples_refuse_too(kind):
    members = np.random.default_rng(0).integers(0, 24, (20, kind._n_members))
    y = np.arange(20) % 2 if kind is SiameseLearner else None
    learner = kind(max_epochs=1, random_state=0).fit(BYTES[members], y)
    for wrong in (learner.transform, lambda X: learner.pair_distance(X, X)):
        with pytest.raises(ValueError, match=OFF):
            wrong(UNIT * 255)
    with pytest.raises(ValueError, match=OFF):
        learner.predict(UNIT[members] * 255)


def test_mean_and_std_by_hand():
    # mlp and conv4 see (x - mean) / std: with mean 0.5 and std 0.5 that is 2 x - 1
    layer = fitted(UNIT, mean=0.5, std=0.5).module_[0]
    torch.testing.assert_close(layer(torch.tensor([[[[0.0, 0.75]]] * 3]))[0, 0, 0], torch.tensor([-1.0, 0.5]))


@pytest.mark.parametrize("kind", [SiameseLearner, TripletLearner])
def test_learners_of_tuples_normalise_as_well(kind, tmp_path):
    # the same layer as above; floats beyond 1 are then refused in `fit` too, arrays and lists of images alike
    members = np.random.default_rng(0).integers(0, 24, (20, kind._n_members))
    y = np.arange(20) % 2 if kind is SiameseLearner else None
    name = {2: "pairs", 3: "triplets"}[kind._n_members]
    learner = kind("conv4", max_epochs=1, random_state=0, device="cpu", mean=0.5, std=[0.5, 0.5, 0.25])
    learner.set_params(checkpoint=tmp_path / "run").fit(BYTES[members], y)
    seen = learner.module_[0](torch.full((1, 3, 1, 1), 0.75)).ravel()
    torch.testing.assert_close(seen, torch.tensor([0.5, 0.5, 1.0]))
    resumed = clone(learner).fit(BYTES[members], y)
    np.testing.assert_array_equal(resumed.transform(BYTES), learner.transform(BYTES))
    for X, index in ((UNIT[members] * 255, {}), (listed(UNIT * 255), {name: members})):
        with pytest.raises(ValueError, match=r"float images go from 0 to 1"):
            clone(learner).set_params(checkpoint=None).fit(X, y, **index)
        with pytest.raises(ValueError, match=r"float images go from 0 to 1"):
            learner.predict(X, **index)
    with pytest.raises(ValueError, match=r"mean was 0.5 in the last call and is 0.25 now"):
        learner.set_params(mean=0.25).partial_fit(BYTES[members], y)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"mean": [123.7, 116.3, 103.5]}, r"mean is of the brightness .* from 0 to 1; got .*by 255"),
        ({"mean": np.nan}, r"mean is of the brightness .* from 0 to 1; got nan"),
        ({"std": 58.4}, r"std is of the brightness .* above 0 and at most 1; got 58.4"),
        ({"std": [0.2, 0.0, 0.2]}, r"std is of the brightness .* above 0 and at most 1"),
        ({"mean": [[0.5]] * 3}, r"mean must be a number, or a sequence of one number a channel"),
        ({"mean": [0.5, 0.5]}, r"mean has 2 values; the network takes 3 channels"),
    ],
    ids=str,
)
def test_values_that_no_brightness_has(wrong, message):
    makers = (
        lambda: fitted(UNIT, **wrong),
        lambda: FrozenFeatures(torch.nn.Flatten(), **wrong).fit(UNIT),
        lambda: SiameseLearner("conv4", **wrong).fit(UNIT.reshape(12, 2, 3, 8, 8), NAMES[:12] % 2),
    )
    for make in makers:
        with pytest.raises(ValueError, match=message):
            make()


def test_mean_of_features_is_refused(blobs):
    with pytest.raises(ValueError, match=r"std is of the brightness of images, and X holds rows of features"):
        DeepMetricLearner(std=0.5).fit(*blobs)


@pytest.mark.parametrize("kind", [SiameseLearner, TripletLearner])
def test_transparent_places_of_tuples_get_the_background(kind):
    image = pytest.importorskip("PIL.Image")
    clear = [image.new("RGBA", (8, 8), (0, 0, 255, 0))] * 24
    members = np.random.default_rng(0).integers(0, 24, (20, kind._n_members))
    y = np.arange(20) % 2 if kind is SiameseLearner else None
    learner = kind("conv4", max_epochs=1, random_state=0, background="red").fit(BYTES[members], y)
    filled = [image.new("RGB", (8, 8), "red")] * 24
    np.testing.assert_array_equal(learner.transform(clear), learner.transform(filled))


@pytest.mark.parametrize("kind", ["list", "dataset"])
def test_transparent_places_get_the_background(kind):
    image = pytest.importorskip("PIL.Image")
    clear = [
        image.fromarray(np.dstack([pixels, 0 * pixels[..., :1]])) for pixels in np.moveaxis(BYTES, 1, -1)
    ]
    filled = [image.new("RGB", (8, 8), "red")] * 24
    learner = fitted(BYTES, background="red")
    X = clear if kind == "list" else Pictures(clear)
    np.testing.assert_array_equal(learner.transform(X), learner.transform(filled))


class Pictures(Items):
    def __getitem__(self, i):
        return self.images[i], int(NAMES[i])
