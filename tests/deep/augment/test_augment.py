"""Augmentations: laws for all of them, and values worked out by hand."""

import math

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skmetric.deep import augment
from skmetric.deep.augment import (
    ColorJitter,
    RandomAffine,
    RandomErasing,
    RandomFlip,
    RandomShift,
    TwoViews,
)

CHANGES = [getattr(augment, name) for name in augment.__all__ if name != "TwoViews"]
# Settings at which an augmentation changes nothing
STILL = [
    RandomFlip(p=0),
    RandomShift(pixels=0),
    ColorJitter(brightness=0, contrast=0, saturation=0),
    RandomErasing(p=0),
    RandomAffine(degrees=0, scale=0, shear=0, shift=0),
]


@pytest.fixture(params=[(3, 12, 10), (1, 8, 8), (2, 9, 9)], ids=str)
def images(request):
    """Batches of 64 images from 0 to 1, in colour, grey, and of two channels."""
    return torch.rand(64, *request.param, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", CHANGES)
class TestLaws:
    def test_shape_dtype_and_range_are_kept(self, kind, images):
        changed = kind()(images)
        assert changed.shape == images.shape
        assert changed.dtype == images.dtype
        assert changed.min() >= 0
        assert changed.max() <= 1 + 1e-6

    def test_each_image_has_chances_of_its_own(self, kind, images):
        same = images[:1].expand(64, -1, -1, -1)
        assert len(torch.unique(kind()(same), dim=0)) > 1

    def test_the_seed_decides_and_what_came_in_is_left_alone(self, kind, images):
        before = images.clone()
        torch.manual_seed(0)
        first = kind()(images)
        second = kind()(images)
        torch.manual_seed(0)
        assert torch.equal(kind()(images), first)
        assert not torch.equal(first, second)
        assert torch.equal(images, before)

    def test_a_clone_has_the_same_parameters(self, kind):
        assert clone(kind()).get_params() == kind().get_params()

    def test_only_float_images(self, kind):
        with pytest.raises(ValueError, match=rf"{kind.__name__} takes float images"):
            kind()(torch.zeros(4, 5))
        with pytest.raises(ValueError, match=r"got torch.uint8 of shape"):
            kind()(torch.zeros(4, 3, 8, 8, dtype=torch.uint8))

    def test_rows_of_features_are_refused(self, kind):
        with pytest.raises(ValueError, match=rf"augment: {kind.__name__} is for images.*\(5,\)"):
            kind().check((5,))


@pytest.mark.parametrize("still", STILL, ids=str)
def test_without_strength_nothing_changes(still, images):
    torch.testing.assert_close(still(images), images)


@pytest.mark.parametrize(
    "wrong", [RandomFlip(p=2), RandomShift(pixels=-1), RandomShift(1.5), RandomErasing(elongation=0)], ids=str
)
def test_parameters_out_of_range(wrong):
    with pytest.raises(ValueError, match=rf"parameter of {type(wrong).__name__} must be"):
        wrong.check((1, 8, 8))


def test_flip_by_hand():
    flipped = RandomFlip(p=1.0)(torch.tensor([[[[0.1, 0.2], [0.3, 0.4]]]]))
    torch.testing.assert_close(flipped, torch.tensor([[[[0.2, 0.1], [0.4, 0.3]]]]))


def test_share_of_flips():
    row = torch.tensor([0.0, 1.0]).expand(4000, 1, 1, 2)
    flipped = RandomFlip(p=0.3)(row)[:, 0, 0, 0].mean()
    assert flipped.item() == pytest.approx(0.3, abs=0.03)  # standard error .007


def test_shift_takes_each_window_of_the_padded_image():
    image = torch.tensor([[[[0.5]]]]).expand(500, 1, 1, 1)
    # a pixel moved by -1, 0 or 1 along each side stays in view in one of nine cases
    stays = RandomShift(pixels=1, fill=0.25)(image).flatten()
    assert set(stays.tolist()) == {0.25, 0.5}
    assert (stays == 0.5).float().mean().item() == pytest.approx(1 / 9, abs=0.05)


def test_shift_moves_channels_and_rows_together():
    image = torch.arange(1, 13.0).reshape(1, 2, 2, 3) / 12
    padded = torch.nn.functional.pad(image, (1, 1, 1, 1))
    windows = [padded[0, :, i : i + 2, j : j + 3] for i in range(3) for j in range(3)]
    for moved in RandomShift(pixels=1)(image.expand(50, -1, -1, -1)):
        assert any(torch.equal(moved, window) for window in windows)


def test_brightness_multiplies():
    grey = torch.full((300, 1, 2, 2), 0.5)
    bright = ColorJitter(brightness=0.4, contrast=0, saturation=0)(grey)[:, 0, 0, 0]
    assert bright.min() >= 0.5 * 0.6 - 1e-6
    assert bright.max() <= 0.5 * 1.4 + 1e-6
    assert bright.std() > 0.05


def test_contrast_keeps_the_mean_and_saturation_the_brightness():
    image = 0.4 + 0.2 * torch.rand(32, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    luma = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    contrast = ColorJitter(brightness=0, contrast=0.5, saturation=0)(image)
    mean = [(luma * x).sum(1).mean((1, 2)) for x in (contrast, image)]
    torch.testing.assert_close(*mean)
    assert not torch.equal(contrast, image)
    saturated = ColorJitter(brightness=0, contrast=0, saturation=0.5)(image)
    torch.testing.assert_close((luma * saturated).sum(1), (luma * image).sum(1))
    assert not torch.equal(saturated, image)


def test_erased_area():
    image = torch.ones(400, 1, 20, 20)
    erased = RandomErasing(p=1.0, smallest=0.1, largest=0.3, fill=0.0)(image)
    area = 1 - erased.mean(dim=(1, 2, 3))
    assert area.min() > 0.05
    assert area.max() < 0.35
    holes = erased == 0
    rows, columns = holes.any(3).sum(2), holes.any(2).sum(2)
    torch.testing.assert_close((rows * columns).squeeze(1), holes.sum((1, 2, 3)))  # rectangles
    untouched = (RandomErasing(p=0.25)(image) == 1).all(3).all(2).float().mean()
    assert untouched.item() == pytest.approx(0.75, abs=0.08)


def test_affine_rotates_squares_to_squares():
    # a bar along the row of a tall image, turned by a right angle, is as long and stands upright
    image = torch.zeros(1, 1, 21, 11)
    image[..., 10, 1:10] = 1
    turn = RandomAffine(degrees=90, scale=0, shear=0, shift=0)
    turn._each = lambda images, most: torch.full((1,), most)
    turned = turn(image)
    torch.testing.assert_close(turned[0, 0, 6:15, 5], torch.ones(9), atol=1e-4, rtol=0)
    assert turned.sum().item() == pytest.approx(9, abs=1e-3)


def test_affine_shifts_by_a_share_of_the_side():
    image = torch.zeros(1, 1, 10, 10)
    image[..., 5, 5] = 1
    move = RandomAffine(degrees=0, scale=0, shear=0, shift=0.2)
    move._each = lambda images, most: torch.full((1,), most)
    assert move(image)[0, 0, 3, 3].item() == pytest.approx(1, abs=1e-5)  # 2 of 10 pixels


def test_affine_scales_within_bounds():
    image = torch.zeros(200, 1, 41, 41)
    image[..., 10:31, 10:31] = 1
    scaled = RandomAffine(degrees=0, scale=0.5, shear=0, shift=0)(image).sum((1, 2, 3)).sqrt()
    assert 21 / 1.5 - 1 < scaled.min() < 18
    assert 25 < scaled.max() < 21 * 1.5 + 1
    assert scaled.log().mean().item() == pytest.approx(math.log(21), abs=0.05)


def test_two_views_stand_one_after_the_other():
    images = torch.rand(5, 1, 8, 8)
    views = TwoViews([RandomFlip(p=1.0), torch.sqrt])(images)
    torch.testing.assert_close(views, images.flip(-1).sqrt().repeat(2, 1, 1, 1))
    first, second = TwoViews()(images).chunk(2)
    assert not torch.equal(first, second)


# In the learner


def repr_without_address(given):
    return str(given).split(" at 0x")[0]  # parallel workers must agree on the name of a test


@pytest.mark.parametrize(
    "given",
    ["flip", "shift_crop", "color", "erasing", "affine", ["flip", torch.sqrt], (RandomShift(1),), []],
    ids=repr_without_address,
)
def test_the_learner_takes_names_callables_and_lists(tiny, pictures, given):
    learner = tiny("conv4", augment=given, max_epochs=1, steps_per_epoch=2)
    assert clone(learner).fit(*pictures).history_[0]["loss"] > 0


def test_the_learner_applies_them_in_order(tiny, pictures):
    seen = []

    def look(batch):
        seen.append(batch)
        return batch

    tiny("conv4", augment=[look, RandomFlip(p=1.0), look], max_epochs=1, steps_per_epoch=1).fit(*pictures)
    torch.testing.assert_close(seen[1], seen[0].flip(-1))


def test_the_learner_is_reproducible_with_them(tiny, pictures):
    X, y = pictures
    settings = {"augment": ["flip", "shift_crop", "color", "erasing", "affine"], "max_epochs": 1}
    first, second = (tiny("conv4", **settings).fit(X, y).transform(X) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_what_the_learner_refuses(tiny, pictures, blobs):
    with pytest.raises(ValueError, match=r"augment='flop' is unknown; the names are \['flip'"):
        tiny("conv4", augment="flop").fit(*pictures)
    with pytest.raises(ValueError, match=r"augment holds 3"):
        tiny("conv4", augment=["flip", 3]).fit(*pictures)
    with pytest.raises(ValueError, match=r"RandomFlip is for images, and samples have shape \(5,\)"):
        tiny(augment="flip").fit(*blobs)
    with pytest.raises(ValueError, match=r"'p' parameter of RandomFlip"):
        tiny("conv4", augment=["color", RandomFlip(p=3)]).fit(*pictures)
    with pytest.raises(ValueError, match=r"augment made \d+ samples of a batch of"):
        tiny("conv4", augment=lambda batch: batch[:5]).fit(*pictures)
    with pytest.raises(ValueError, match=r"TwoViews among others"):
        tiny("conv4", augment=["flip", TwoViews()]).fit(*pictures)


# Two views: training without labels


@pytest.mark.parametrize("loss", ["sim_clr", "vicreg", "barlow_twins", "nt_xent", "clip"])
def test_training_without_labels(tiny, pictures, loss):
    X, y = pictures
    learner = tiny("conv4", augment="two_views", loss=loss, classes_per_batch=12, max_epochs=2).fit(X)
    assert learner.transform(X).shape == (48, 3)
    assert len(learner.classes_) == 0
    again = tiny("conv4", augment=TwoViews(), loss=loss, classes_per_batch=12, max_epochs=2).fit(X, y)
    np.testing.assert_array_equal(again.transform(X), learner.transform(X))  # y is not looked at


def test_a_batch_holds_two_views_of_each_sample(tiny, blobs):
    seen = []

    def loss(embeddings, labels):
        seen.append(labels)
        return embeddings.square().mean()

    def jitter(rows):
        return rows + torch.randn_like(rows)

    tiny(augment=["two_views", jitter], loss=loss, max_epochs=1).fit(blobs[0])
    first, second = seen[0].chunk(2)
    assert torch.equal(first, second)
    assert sorted(first.tolist()) == list(range(60))  # 64 by default, or all there are


def test_views_of_noisy_rows_teach_what_matters(tiny):
    rng = np.random.default_rng(0)
    y = np.arange(120) % 6
    X = 10 * rng.standard_normal((120, 8)).astype(np.float32)
    X[:, 0] = 4 * y  # what views share; the rest is drawn anew in each view

    def jitter(rows):
        return torch.cat([rows[:, :1], rows[:, 1:] + 10 * torch.randn_like(rows[:, 1:])], dim=1)

    settings = {"augment": ["two_views", jitter], "loss": "sim_clr", "normalize": False}
    untrained = tiny(max_epochs=1, learning_rate=1e-9, **settings).fit(X).score(X, y)
    assert tiny(max_epochs=60, learning_rate=0.01, **settings).fit(X).score(X, y) > 1.5 * untrained


def test_classes_of_y_are_held_out_for_validation_alone(tiny, pictures):
    X, y = pictures
    settings = {"augment": "two_views", "loss": "sim_clr", "max_epochs": 2, "validation_fraction": 0.5}
    learner = tiny("conv4", **settings).fit(X, y)
    assert len(learner.validation_classes_) == 2
    assert "validation_map_at_r" in learner.history_[0]
    with pytest.raises(ValueError, match=r"hold classes out, and y is None"):
        tiny("conv4", **settings).fit(X)


def test_training_without_labels_goes_on(tiny, pictures):
    X = pictures[0]
    settings = {"augment": "two_views", "loss": "sim_clr", "warm_start": True}
    once = tiny("conv4", max_epochs=2, **settings).fit(X)
    twice = tiny("conv4", max_epochs=1, **settings).fit(X).fit(X)
    np.testing.assert_array_equal(twice.transform(X), once.transform(X))
    assert len(twice.partial_fit(X).history_) == 3


def test_what_training_without_labels_refuses(tiny, pictures, blobs):
    X = pictures[0]
    with pytest.raises(ValueError, match=r"requires y to be passed.*augment='two_views'"):
        tiny("conv4").fit(X)
    with pytest.raises(ValueError, match=r"ProxyAnchorLoss learns something of each class"):
        tiny("conv4", augment="two_views", loss="proxy_anchor").fit(X)
    with pytest.raises(ValueError, match=r"samples_per_class=4, but with two views"):
        tiny("conv4", augment="two_views", loss="sim_clr", samples_per_class=4).fit(X)
    with pytest.raises(ValueError, match=r"'two_views' alone shifts and recolours images"):
        tiny(augment="two_views", loss="sim_clr").fit(blobs[0])
    with pytest.raises(ValueError, match=r"X has 1 sample"):
        tiny("conv4", augment="two_views", loss="sim_clr").fit(X[:1])
