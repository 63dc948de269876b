"""Float images on another scale than the network was fitted on: refused, with the remedy."""

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

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


def test_mean_of_features_is_refused(blobs):
    with pytest.raises(ValueError, match=r"std is of the brightness of images, and X holds rows of features"):
        DeepMetricLearner(std=0.5).fit(*blobs)


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
