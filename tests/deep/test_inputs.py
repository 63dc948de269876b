"""Files, PIL images and lists of arrays: the same network as from one array of their pixels."""

import pickle
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from skmetric._images import _files
from skmetric.deep import DeepMetricLearner
from skmetric.deep._data import _source
from skmetric.deep._data._input import read_images
from skmetric.deep._data._source import Streamed, read_if_small
from skmetric.metrics import RetrievalScorer
from skmetric.model_selection import ClassDisjointKFold

Image = pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def digits():
    """Digits (60, 8, 8), uint8, and their labels: 6 of each class."""
    X, y = load_digits(return_X_y=True)
    rows = np.concatenate([np.flatnonzero(y == digit)[:6] for digit in range(10)])
    return (X[rows].reshape(-1, 8, 8) * 15).astype(np.uint8), y[rows]


@pytest.fixture
def files(digits, save):
    """The same as PNG files."""
    return [save(f"{i}.png", pixels) for i, pixels in enumerate(digits[0])]


@pytest.fixture
def conv(tiny):
    def make(module="conv4", **settings):
        return tiny(module, **({"max_epochs": 2, "n_components": 4, "steps_per_epoch": 3} | settings))

    return make


@pytest.fixture
def streamed(monkeypatch):
    """Nothing of a list is small enough for memory."""
    monkeypatch.setattr(_source, "_IN_MEMORY", 0)


AS = {
    "paths": lambda pixels, files: files,
    "Path objects": lambda pixels, files: [Path(file) for file in files],
    "array of paths": lambda pixels, files: np.array(files),
    "PIL images": lambda pixels, files: [Image.fromarray(image) for image in pixels],
    "list of arrays": lambda pixels, files: list(pixels),
    "one array": lambda pixels, files: pixels,
}
any_form = pytest.mark.parametrize("form", AS.values(), ids=AS)


# The same bits


@any_form
@pytest.mark.parametrize("validation_fraction", [0.0, 0.3])
def test_lossless_forms_give_the_same_bits(conv, digits, files, form, validation_fraction):
    pixels, y = digits
    X = form(pixels, files)
    expected = conv(validation_fraction=validation_fraction).fit(pixels, y)
    learner = conv(validation_fraction=validation_fraction).fit(X, y)
    assert learner.input_shape_ == (1, 8, 8)
    drop = {"seconds"}
    assert [{k: v for k, v in row.items() if k not in drop} for row in learner.history_] == [
        {k: pytest.approx(v, rel=0, abs=0, nan_ok=True) for k, v in row.items() if k not in drop}
        for row in expected.history_
    ]
    np.testing.assert_array_equal(learner.transform(X), expected.transform(pixels))
    np.testing.assert_array_equal(
        learner.pair_distance(X[:5], X[5:10]), expected.pair_distance(X[:5], X[5:10])
    )
    assert learner.score(X, y) == expected.score(pixels, y)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_what_is_streamed_gives_the_same_bits(conv, digits, files, streamed, num_workers):
    pixels, y = digits
    expected = conv(validation_fraction=0.3).fit(pixels, y)
    learner = conv(validation_fraction=0.3, num_workers=num_workers).fit(files, y)
    assert learner.best_epoch_ == expected.best_epoch_
    np.testing.assert_array_equal(learner.transform(files), expected.transform(pixels))


@pytest.mark.parametrize("layout", ["first", "last", "files"])
def test_layouts_give_the_same_bits(conv, pictures, save, layout):
    X, y = pictures
    forms = {"first": X, "last": np.moveaxis(X, 1, -1)}
    forms["files"] = [save(f"{i}.png", image) for i, image in enumerate(forms["last"])]
    expected = conv().fit(X, y).transform(X)
    np.testing.assert_array_equal(conv().fit(forms[layout], y).transform(forms[layout]), expected)


def test_warm_start_and_partial_fit_take_paths(conv, digits, files):
    pixels, y = digits
    once = conv(max_epochs=2).fit(pixels, y).transform(pixels)
    warm = conv(max_epochs=1, warm_start=True).fit(files, y).fit(files, y)
    parts = conv().partial_fit(files, y).partial_fit(files, y)
    np.testing.assert_array_equal(warm.transform(files), once)
    np.testing.assert_array_equal(parts.transform(files), once)


# Sizes


def test_image_size_brings_all_to_one(conv, digits):
    pixels, y = digits
    ragged = [image[: 8 - i % 3] for i, image in enumerate(pixels)]
    with pytest.raises(
        ValueError, match=r"row 1 is 7x8, the images in `fit` began with 8x8: pass image_size="
    ):
        conv().fit(ragged, y)
    learner = conv(image_size=(12, 10)).fit(ragged, y)
    assert learner.input_shape_ == (1, 12, 10)
    assert learner.transform([np.zeros((30, 20), np.uint8)]).shape == (1, 4)
    assert conv(image_size=12).fit(ragged, y).input_shape_ == (1, 12, 12)


def test_sizing_by_hand():
    image = np.zeros((4, 8), np.uint8)
    image[:, 2:6] = 200  # the middle square: its side is the short side, so only the crop is left
    assert (read_images([image], image_size=4).read() == np.full((1, 1, 4, 4), 200)).all()
    squares = np.kron([[[0.0, 49.0], [49.0, 0.0]]], np.ones((2, 2)))  # (1, 4, 4)
    # A new pixel's centre is 0.5, 0.5, 1.5 and 2.5 pixels from the old ones; the triangle of half width 2
    # weights them 3, 3, 1, 0, so the squares 6 : 1 along an axis; of the 49 parts of both, 6 + 6 are others
    expected = [[[12, 37], [37, 12]]]
    np.testing.assert_allclose(read_images(squares, image_size=2).read()[0], expected, rtol=1e-6)


def test_the_size_it_has_is_kept_to_the_bit(conv, digits, files):
    pixels, y = digits
    expected = conv().fit(pixels, y).transform(pixels)
    np.testing.assert_array_equal(conv(image_size=8).fit(files, y).transform(files), expected)
    np.testing.assert_array_equal(conv(image_size=8).fit(pixels, y).transform(pixels), expected)


def test_floats_of_any_range_are_resized(digits):
    standardised = (digits[0] - 80.0) / 60
    resized = read_images(standardised, image_size=16).read()
    assert resized.dtype == np.float32
    assert resized.min() >= np.float32(standardised.min())  # bilinear: no overshoot, and nothing is cut off
    assert resized.min() < -1
    assert resized.max() > 1.5


@pytest.mark.parametrize("size", [0, -3, 2.5, (8, 8, 8), (0, 8)])
def test_sizes_that_are_none(conv, digits, size):
    with pytest.raises(ValueError, match="image_size"):
        conv(image_size=size).fit(*digits)


def test_image_size_is_for_images(tiny, blobs):
    with pytest.raises(ValueError, match=r"image_size=8 is for images, and X holds rows of features"):
        tiny(image_size=8).fit(*blobs)


# What is kept in memory


def test_small_lists_are_read_once(conv, digits, files, monkeypatch):
    read = count_reads(monkeypatch)
    conv(max_epochs=3, num_workers=2).fit(files, digits[1])
    assert sorted(read) == sorted(files)


def test_nothing_is_read_before_all_is_checked(conv, digits, files, monkeypatch):
    read = count_reads(monkeypatch)
    with pytest.raises(ValueError, match="one class only"):
        conv().fit(files, [0] * 60)
    with pytest.raises(ValueError, match="loss='nothing' is no loss"):
        conv(loss="nothing").fit(files, digits[1])
    assert read == []


def test_large_lists_are_read_in_each_epoch(conv, digits, files, monkeypatch, streamed):
    read = count_reads(monkeypatch)
    conv(max_epochs=3, steps_per_epoch=1).fit(files, digits[1])
    assert len(read) > 3 * 20


def count_reads(monkeypatch):
    counted, read = [], _files._read_path
    monkeypatch.setattr(
        _files, "_read_path", lambda path, **colour: counted.append(path) or read(path, **colour)
    )
    return counted


def test_the_budget_is_of_decoded_bytes(files, monkeypatch):
    images = read_images(files)
    assert isinstance(images, Streamed)
    assert images.nbytes == 60 * 8 * 8
    assert [type(part) for part in read_if_small(images[:10], images[10:])] == [np.ndarray] * 2
    monkeypatch.setattr(_source, "_IN_MEMORY", images.nbytes - 1)
    assert [type(part) for part in read_if_small(images[:10], images[10:])] == [Streamed] * 2
    assert read_images([np.zeros((8, 8))] * 2).nbytes == 2 * 8 * 8 * 4  # float32


def test_no_data_in_the_fitted_learner(conv, digits, files, streamed, tmp_path):
    expected = pickle.dumps(conv().fit(*digits))
    learner = conv().fit(files, digits[1])
    assert len(pickle.dumps(learner)) == pytest.approx(len(expected), rel=0.02)
    joblib.dump(learner, tmp_path / "learner.joblib")
    loaded = joblib.load(tmp_path / "learner.joblib")
    np.testing.assert_array_equal(loaded.transform(files), learner.transform(files))


# Model selection


def test_class_disjoint_grid_over_paths(conv, digits, files):
    pixels, y = digits
    grid = GridSearchCV(
        conv(max_epochs=1, num_workers=1),
        {"margin": [0.1, 0.3]},
        cv=ClassDisjointKFold(2),
        scoring=RetrievalScorer("recall_at_1", "map_at_r"),
        refit="map_at_r",
        error_score="raise",
    )
    over_paths, over_pixels = clone(grid).fit(files, y), clone(grid).fit(pixels, y)
    for name in ("mean_test_recall_at_1", "mean_test_map_at_r"):
        np.testing.assert_array_equal(over_paths.cv_results_[name], over_pixels.cv_results_[name])


# What is refused


def test_unreadable_files_are_named(conv, digits, files, tmp_path, streamed):
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(
        ValueError, match=r"1 of 60 images cannot be read: '.*text\.png' \(row 3\): not an image"
    ):
        conv().fit([*files[:3], tmp_path / "text.png", *files[4:]], digits[1])
    with pytest.raises(FileNotFoundError, match=r"gone\.png' \(row 0\): no such file"):
        conv().fit(files, digits[1]).transform([tmp_path / "gone.png"])
    whole = Path(files[7]).read_bytes()
    Path(files[7]).write_bytes(whole[: len(whole) // 2])  # its header is sound
    for num_workers in (0, 1):
        with pytest.raises(ValueError, match=r"cannot decode '.*/7\.png'"):
            conv(num_workers=num_workers).fit(files, digits[1])


def test_other_sizes_than_fitted(conv, digits, files, save):
    learner = conv().fit(files, digits[1])
    large = save("large.png", np.zeros((9, 8), np.uint8))
    with pytest.raises(
        ValueError, match=r"row 1 is 9x8, the images in `fit` began with 8x8: pass image_size="
    ):
        learner.transform([files[0], large])


def test_colour_where_grey_was_fitted(conv, digits, files, save):
    learner = conv().fit(files, digits[1])
    colour = save("colour.png", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match=r"row 1 has 3 channels, `fit` saw 1: .*convert\('L'\)"):
        learner.transform([files[0], colour])


def test_grey_files_are_repeated_for_colour(conv, pictures, save):
    X, y = pictures
    X = np.moveaxis(X, 1, -1).copy()
    X[::5] = X[::5, ..., :1]
    mixed = [save(f"{i}.png", image[..., 0] if i % 5 == 0 else image) for i, image in enumerate(X)]
    expected, learner = conv().fit(X, y), conv().fit(mixed, y)
    assert learner.input_shape_ == (3, 8, 8)
    np.testing.assert_array_equal(learner.transform(mixed), expected.transform(X))
    np.testing.assert_array_equal(learner.transform(mixed[:1]), expected.transform(X[:1]))


def test_arrays_of_several_channels(conv, pictures):
    X, y = pictures
    with pytest.raises(ValueError, match=r"row 2 has 1 channel, row 0 has 3"):
        conv().fit([X[0], X[1], X[2, 0], *X[3:]], y)


def test_rows_of_features_where_files_were_fitted(conv, digits, files, tiny, blobs):
    with pytest.raises(ValueError, match=r"X holds rows of features; fit saw images, of shape \(1, 8, 8\)"):
        conv().fit(files, digits[1]).transform(digits[0].reshape(60, -1))
    with pytest.raises(ValueError, match=r"X holds images; fit saw rows of features, of shape \(5,\)"):
        tiny().fit(*blobs).transform(files)


def test_one_path_is_no_list(conv, files):
    with pytest.raises(ValueError, match=r"X is one path, .*: pass a list of paths"):
        conv().fit(files[0], [0])


def test_workers_are_counted_from_0(conv, digits):
    with pytest.raises(ValueError, match=r"'num_workers' parameter of DeepMetricLearner"):
        DeepMetricLearner(num_workers=-1).fit(*digits)
