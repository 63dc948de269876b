"""Photographs through a real network, against features of the same network made elsewhere."""

import numpy as np
import pytest

from skmetric.features import FrozenFeatures


@pytest.fixture(scope="module")
def mobilenet(timm, shared_data):
    """MobileNetV2 with its real weights; images are not cropped."""
    return FrozenFeatures(
        "mobilenetv2_100",
        weights=shared_data / "weights/mobilenetv2_100_tf2_in1k.safetensors",
        model_kwargs={"pad_type": "same"},
        mean=0.5,
        std=0.5,
        crop_pct=1.0,
        normalize=True,
    )


def cosine_with(stored, features):
    return (features * stored).sum(1) / np.linalg.norm(stored, axis=1)


def test_the_same_pixels_give_the_stored_features(mobilenet, load_set):
    rows = slice(None, None, 20)  # 20 of 400 faces
    faces = np.pad(load_set("orl_faces").data[rows], ((0, 0), (0, 0), (10, 10)), mode="edge")  # 112 x 112
    features = mobilenet.set_params(image_size=128).fit_transform(faces)
    assert cosine_with(load_set("orl_faces_features").data[rows], features).min() > 0.9999


@pytest.mark.slow
def test_small_photographs_come_near_the_features_of_the_large_ones(mobilenet, load_set):
    """The stored features are of the original photographs, of which 64 pixels are left here."""
    rows = np.random.default_rng(0).permutation(5421)[:32]
    photographs = load_set("grocery").data[rows]
    stored = load_set("grocery_features").data[rows]
    features = mobilenet.set_params(image_size=224).fit_transform(photographs)
    assert cosine_with(stored, features).mean() > 0.7  # 0.76 measured; 0.38 with other photographs' features
    nearest = (features @ (stored / np.linalg.norm(stored, axis=1, keepdims=True)).T).argmax(1)
    assert (nearest == np.arange(32)).mean() > 0.9  # 1.0 measured
