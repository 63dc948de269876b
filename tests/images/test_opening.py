import builtins
import sys
from pathlib import Path

import numpy as np
import pytest

from skmetric._images._images import check_one_size
from skmetric._images._opening import holds_images, open_images

polars = pytest.importorskip("polars")
pandas = pytest.importorskip("pandas")
Image = pytest.importorskip("PIL.Image")


def pixels(X, **options):
    images = open_images(X, **options)
    return images.block(0, len(images.rows))


# What is read


@pytest.mark.parametrize(
    "layout",
    [
        lambda X: np.moveaxis(X, -1, 1),
        list,
        tuple,
        lambda X: list(np.moveaxis(X, -1, 1)),
        lambda X: [Image.fromarray(row) for row in X],
        lambda X: X.tolist() and X,
    ],
)
def test_layouts_of_the_same_images_give_the_same_pixels(colour, layout):
    np.testing.assert_array_equal(pixels(layout(colour)), colour)


@pytest.mark.parametrize("container", [list, tuple, np.array, pandas.Series, lambda p: [Path(q) for q in p]])
def test_containers_of_paths_give_the_same_pixels(colour, paths, container):
    np.testing.assert_array_equal(pixels(container(paths), n_threads=2), colour)


def test_object_array_of_sizes(colour):
    X = np.empty(2, dtype=object)
    X[:] = [colour[0], colour[1, :9]]
    assert open_images(X).shapes == [(20, 16, 3), (9, 16, 3)]


def test_grey_images_get_an_axis(grey, save):
    assert pixels(grey).shape == pixels([save("g.png", g) for g in grey]).shape == (6, 20, 16, 1)


def test_an_explicit_channel_axis_wins():
    X = np.zeros((2, 3, 8, 3), np.uint8)
    assert pixels(X, channel_axis="first").shape == (2, 8, 3, 3)
    assert pixels(X, channel_axis="last").shape == (2, 3, 8, 3)


def test_channels_of_the_network_are_known():
    assert pixels(np.zeros((2, 5, 8, 9), np.uint8), n_channels=5).shape == (2, 8, 9, 5)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_become_float32(dtype):
    assert pixels(np.ones((1, 4, 4), dtype)).dtype == np.float32


def test_bool_is_black_and_white():
    np.testing.assert_array_equal(pixels(np.array([[[True, False]]])).ravel(), [255, 0])


def test_16_bit_files_keep_their_upper_byte(tmp_path):
    Image.fromarray(np.array([[0, 256, 65535]], np.uint16)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(pixels([tmp_path / "a.png"]).ravel(), [0, 1, 255])


@pytest.mark.parametrize(("mode", "channels"), [("1", 1), ("LA", 1), ("P", 3), ("RGBA", 3), ("CMYK", 3)])
def test_modes_become_grey_or_colour(colour, mode, channels):
    assert pixels([Image.fromarray(colour[0]).convert(mode)]).shape == (1, 20, 16, channels)


def test_palette_with_transparency_passes_without_a_warning(colour, tmp_path):
    Image.fromarray(colour[0]).convert("P").save(tmp_path / "a.png", transparency=b"\x00" * 7)
    assert pixels([tmp_path / "a.png"]).shape == (1, 20, 16, 3)


@pytest.mark.parametrize("ending", ["tiff", "jpg", "webp"])
def test_photographs_are_turned_upright(tmp_path, ending):
    photograph = np.zeros((20, 16, 3), np.uint8)
    photograph[:10] = 255  # bright above
    image, exif = Image.fromarray(photograph), Image.Exif()
    exif[0x0112] = 6  # the camera was turned: a quarter turn clockwise shows the picture upright
    image.save(tmp_path / f"a.{ending}", exif=exif)
    images = open_images([tmp_path / f"a.{ending}"])
    assert images.shapes == [(16, 20, 3)]
    upright = images.block(0, 1)[0]
    assert upright.shape == (16, 20, 3)
    assert upright[:, 12:].min() > 200  # bright on the right
    assert upright[:, :8].max() < 50


# What is for open_images at all


@pytest.mark.parametrize("container", [list, tuple, np.array, pandas.Series, polars.Series])
def test_paths_are_images(container):
    assert holds_images(container(["a.png", "b.png"]))
    assert not holds_images(container([1.0, 2.0]))


def test_images_and_tables_are_told_apart(colour):
    assert holds_images(colour)
    assert holds_images([Image.fromarray(image) for image in colour])
    assert holds_images(list(colour))
    assert holds_images("one.png")
    assert not holds_images(colour.reshape(6, -1))
    assert not holds_images(list(colour.reshape(6, -1)))
    assert not holds_images(pandas.DataFrame({"a": ["x", "y"]}))
    assert not holds_images([])
    assert not holds_images(None)


# What is refused


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([], "X is empty"),
        (np.zeros((0, 4, 4)), "X is empty"),
        ("photo.jpg", r"X is one path, 'photo\.jpg': pass a list"),
        (["a.jpg", np.zeros((4, 4))], r"path \(str\) in row 0, array \(ndarray\) in row 1"),
        ([np.zeros((4, 4)), 3], r"array \(ndarray\) in row 0, number \(int\) in row 1"),
        (np.zeros((5, 64)), r"X has shape \(5, 64\).*X\.reshape\(-1, H, W\)"),
        (np.array([["a.jpg"]]), r"shape \(1, 1\): images are listed in one dimension"),
        (np.array([None, None]), "X holds NoneType"),
        (np.zeros((64, 64, 3)), r"64 grey images of 64x3 or as one colour image: pass X\[\.\.\., None\]"),
        (
            np.zeros((9, 3, 32, 3)),
            r"as \(C, H, W\) with 3 channels and as \(H, W, C\) with 3: pass channel_axis=",
        ),
        ([np.zeros((4, 4)), np.zeros((3, 9, 3))], r"row 1 has images of shape \(3, 9, 3\), which reads as"),
        (
            np.zeros((9, 32, 32, 4)),
            r"neither the first axis nor the last holds 1 or 3 channels.*X\[\.\.\., :3\]",
        ),
        ([np.zeros((4, 4)), np.zeros(4)], r"row 1 has shape \(4,\): an image is"),
        (np.zeros((2, 0, 4)), r"shape \(2, 0, 4\): images without pixels"),
        (np.zeros((2, 4, 4), int), r"dtype int64: images are uint8 \(0 to 255\).*X\.astype\(np\.uint8\)"),
        (np.zeros((2, 4, 4), complex), "dtype complex128"),
        ([np.zeros((4, 4)), np.zeros((4, 4), np.uint16)], "row 1 has dtype uint16"),
        ([np.zeros((4, 4)), np.zeros((4, 4), np.uint8)], "float64 in row 0, uint8 in row 1"),
    ],
)
def test_refused(X, message):
    with pytest.raises(ValueError, match=message):
        open_images(X)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("layout", [np.asarray, list])
def test_not_finite_rows_are_named(bad, layout):
    X = np.zeros((9, 4, 4))
    X[2, 0, 0] = X[5, 3, 3] = bad
    with pytest.raises(ValueError, match=r"NaN or infinity in row.* 2"):
        open_images(layout(X))


def test_many_bad_rows_are_counted():
    with pytest.raises(ValueError, match="rows 0, 1, 2, 3, 4 and 5 more"):
        open_images(np.full((10, 4, 4), np.nan))


@pytest.mark.parametrize("value", [255.0, -1.0])
def test_floats_outside_0_to_1(value):
    X = np.zeros((3, 4, 4))
    X[1, 0, 0] = value
    with pytest.raises(
        ValueError, match=r"row 1 from .*: divide by the largest value possible \(255 for 8 bits\)"
    ):
        open_images(X)


def test_floats_of_any_range_where_they_are_asked_for():
    X = np.array([[[-3.0, 7.0]], [[0.0, 1e39]]])
    np.testing.assert_array_equal(pixels(X[:1], any_range=True).ravel(), [-3, 7])
    with pytest.raises(ValueError, match=r"row 1 from 0 to 1e\+39: these are too large for float32"):
        open_images(X, any_range=True)


def test_rounding_of_floats_is_forgiven():
    assert pixels(np.full((1, 4, 4), np.float32(1) + np.finfo(np.float32).eps)).shape == (1, 4, 4, 1)


@pytest.mark.parametrize("layout", [np.asarray, list, lambda X: [Image.fromarray(row) for row in X]])
def test_channels_that_the_network_does_not_take(colour, layout):
    with pytest.raises(ValueError, match="has 3 channels; the network takes 5"):
        open_images(layout(colour), n_channels=5)


def test_missing_files_are_named_with_their_rows(paths, tmp_path):
    X = [paths[0], str(tmp_path / "gone.png"), paths[1]]
    with pytest.raises(
        FileNotFoundError, match=r"1 of 3 images cannot be read: '.*gone\.png' \(row 1\): no such"
    ):
        open_images(X)


def test_damaged_and_missing_files_are_all_named(paths, tmp_path):
    (tmp_path / "text.jpg").write_text("no image")
    Path(paths[2]).write_bytes(Path(paths[2]).read_bytes()[:20])
    with pytest.raises(
        ValueError, match=r"3 of 8 .*2\.png' \(row 2\).*text\.jpg' \(row 6\): not an image.*gone"
    ):
        open_images([*paths, tmp_path / "text.jpg", tmp_path / "gone.png"])


def test_a_folder_is_no_image(tmp_path):
    with pytest.raises(ValueError, match="1 of 1 images cannot be read"):
        open_images([tmp_path])


def test_pixels_that_end_early_name_the_file(paths):
    whole = Path(paths[1]).read_bytes()
    Path(paths[1]).write_bytes(whole[: len(whole) // 2])
    images = open_images(paths)  # the header is sound
    with pytest.raises(ValueError, match=r"cannot decode '.*1\.png'"):
        images.block(1, 2)


def test_images_of_no_fixed_range(tmp_path):
    with pytest.raises(ValueError, match="mode 'F' has no fixed range: pass it as a float array from 0 to 1"):
        open_images([Image.fromarray(np.zeros((4, 4), np.float32))])
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "a.tiff")
    with pytest.raises(ValueError, match=r"a\.tiff' \(row 0\): a PIL image of mode 'F'"):
        open_images([tmp_path / "a.tiff"])


def test_another_size(colour):
    images = open_images([colour[0], colour[1, :9]])
    with pytest.raises(
        ValueError, match="row 1 is 9x16, the images in `fit` began with 20x16: pass image_size="
    ):
        check_one_size(images, (20, 16))


def test_without_pillow_the_extra_is_named(paths, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "PIL"]:
        monkeypatch.delitem(sys.modules, name)
    found = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.partition(".")[0] == "PIL":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return found(name, *args, **kwargs)

    monkeypatch.setattr("skmetric._optional.import_module", missing)
    with pytest.raises(
        ImportError, match=r"Reading image files needs the package 'PIL': .*skmetric\[vision\]"
    ):
        open_images(paths)


def test_encoded_images_are_named():
    with pytest.raises(ValueError, match=r"X holds bytes: .* are opened by Image\.open\(BytesIO\(row\)\)"):
        open_images([b"\x89PNG"])
