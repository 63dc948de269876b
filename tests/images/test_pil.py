"""Images of Pillow's as users hold them: shared, closed, broken, clear, turned, of 16 bits; hostile files."""

import os
import threading
import zlib
from io import BytesIO

import numpy as np
import pytest

from skmetric._images._memory import room_for
from skmetric._images._opening import holds_images, open_images
from skmetric._images._pil import colour_of

Image = pytest.importorskip("PIL.Image")


def pixels(X, **options):
    images = open_images(X, **options)
    return images.block(0, len(images.rows))


@pytest.fixture
def photograph(tmp_path, colour):
    """Path of a PNG with the pixels of the first colour image."""
    Image.fromarray(colour[0]).save(tmp_path / "a.png")
    return tmp_path / "a.png"


# One object in several rows: Pillow #4848


def test_one_opened_image_may_fill_several_rows(photograph, colour):
    with Image.open(photograph) as image:
        X = open_images([image] * 8)
        found = [None] * 8
        threads = [
            threading.Thread(target=lambda i=i: found.__setitem__(i, X.block(i, i + 1))) for i in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for block in found:
            np.testing.assert_array_equal(block[0], colour[0])


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "gif", "tiff", "bmp"])
def test_pixels_do_not_stay_in_the_callers_object(tmp_path, colour, ending):
    Image.fromarray(colour[0]).save(tmp_path / f"a.{ending}")
    expected = pixels([tmp_path / f"a.{ending}"])
    with Image.open(tmp_path / f"a.{ending}") as image:
        np.testing.assert_array_equal(pixels([image, image])[1:], expected)
        assert image._im is None  # not decoded
        image.load()  # and still of use to the caller
        assert image.size == (16, 20)


def test_an_image_over_bytes_may_fill_several_rows(photograph, colour):
    stream = BytesIO(photograph.read_bytes())
    image = Image.open(stream)
    np.testing.assert_array_equal(pixels([image, image])[1], colour[0])
    image.load()


def test_a_frame_that_the_caller_chose_is_read(tmp_path):
    frames = [Image.new("L", (4, 4), value) for value in (0, 90, 200)]
    frames[0].save(tmp_path / "a.tiff", save_all=True, append_images=frames[1:])
    with Image.open(tmp_path / "a.tiff") as image:
        image.seek(2)
        assert (pixels([image]) == 200).all()


def test_closed_and_broken_images_are_named_by_row(photograph, tmp_path):
    with Image.open(photograph) as closed:
        pass
    with pytest.raises(
        ValueError, match=r"a\.png' \(row 1\): .*closed before its pixels were read: pass the"
    ):
        open_images([Image.new("L", (4, 4)), closed])
    (tmp_path / "half.png").write_bytes(photograph.read_bytes()[:-400])
    with Image.open(tmp_path / "half.png") as broken:
        images = open_images([Image.new("RGB", (16, 20)), broken])
        with pytest.raises(ValueError, match=r"row 1: cannot decode the PIL image of '.*half\.png'"):
            images.block(0, 2)


# Transparency: torchvision #5510, img2dataset #67


@pytest.fixture
def cut_out():
    """2 x 2, red above; below, transparent places that hide black and green."""
    image = Image.new("RGBA", (2, 2), (255, 0, 0, 255))
    image.putpixel((0, 1), (0, 0, 0, 0))
    image.putpixel((1, 1), (0, 255, 0, 0))
    return image


WHITE = [[[255, 0, 0]] * 2, [[255, 255, 255]] * 2]


@pytest.mark.parametrize("ending", ["png", "webp", "gif", "tiff"])
def test_what_hides_under_transparent_places_does_not_count(cut_out, tmp_path, ending):
    cut_out.save(tmp_path / f"a.{ending}", **({"lossless": True, "exact": True} if ending == "webp" else {}))
    np.testing.assert_array_equal(pixels([tmp_path / f"a.{ending}"])[0], WHITE)
    np.testing.assert_array_equal(pixels([cut_out])[0], WHITE)


def test_a_palette_with_clear_colours(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.png", transparency=b"\xff\x00")
    np.testing.assert_array_equal(pixels([tmp_path / "a.png"])[0, 0], [[10, 20, 30], [255, 255, 255]])


def test_grey_with_transparency_by_hand():
    image = Image.fromarray(np.array([[[100, 255], [100, 0], [100, 51]]], np.uint8), "LA")
    # 51 is a fifth: 100 / 5 + 255 * 4 / 5 = 224 on white, 20 on black
    assert pixels([image]).ravel().tolist() == [100, 255, 224]
    assert pixels([image], background="black").ravel().tolist() == [100, 0, 20]
    assert pixels([image], background=(255, 0, 0))[0, 0].tolist()[1] == [255, 0, 0]


def test_one_clear_value_of_grey_and_of_colour(tmp_path):
    Image.fromarray(np.array([[7, 8]], np.uint8)).save(tmp_path / "grey.png", transparency=7)
    Image.new("RGB", (1, 1), (1, 2, 3)).save(tmp_path / "colour.png", transparency=(1, 2, 3))
    assert pixels([tmp_path / "grey.png"]).ravel().tolist() == [255, 8]
    assert pixels([tmp_path / "colour.png"], background="#010101").ravel().tolist() == [1, 1, 1]


@pytest.mark.parametrize("background", ["whit", (1, 2), (0, 0, 256), 3])
def test_backgrounds_that_are_no_colours(background):
    with pytest.raises(ValueError, match=r"background=.* is no colour: pass a name such as 'white'"):
        colour_of(background)


# Orientation in every format


def turned(ending, orientation):
    """Bytes of a file of 4 x 6 whose tag says how it is to be turned."""
    image, exif = Image.new("RGB", (6, 4)), Image.Exif()
    image.paste((255, 255, 255), (0, 0, 3, 2))  # white at the top left
    exif[0x0112] = orientation
    stream = BytesIO()
    image.save(stream, ending, exif=exif, **({"quality": 100} if ending in ("JPEG", "AVIF") else {}))
    return stream.getvalue()


@pytest.mark.parametrize("ending", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_of_every_format(tmp_path, ending, orientation):
    (tmp_path / "a").write_bytes(turned(ending, orientation))
    images = open_images([tmp_path / "a"])
    found = images.block(0, 1)[0]
    assert images.shapes == [found.shape] == [(4, 6, 3) if orientation < 5 else (6, 4, 3)]
    corner = [(0, 0), (0, 0), (0, -1), (-1, -1), (-1, 0), (0, 0), (0, -1), (-1, -1), (-1, 0)][orientation]
    assert found[corner].min() > 200  # where the tag puts the first row and column (Exif 2.3, table 5)
    assert (found > 128).all(axis=2).sum() == 6


def test_orientation_behind_the_pixels_of_a_png(tmp_path):
    content = turned("PNG", 6)
    start = content.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(content[start : start + 4], "big")
    chunk, rest = content[start:end], content[:start] + content[end:]
    place = rest.index(b"IEND") - 4
    (tmp_path / "a.png").write_bytes(rest[:place] + chunk + rest[place:])
    images = open_images([tmp_path / "a.png"])
    assert images.shapes == [images.block(0, 1)[0].shape] == [(6, 4, 3)]


# 16 bits


def test_the_largest_value_of_a_pgm_is_white(tmp_path):
    (tmp_path / "a.pgm").write_bytes(b"P5 3 1 4095\n" + np.array([0, 2048, 4095], ">u2").tobytes())
    # 2048 / 4095 * 255 = 127.5
    assert pixels([tmp_path / "a.pgm"]).ravel().tolist() == [0, 128, 255]


def test_12_bits_in_16_are_not_read_as_black(save):
    assert pixels([save("a.png", np.array([[0, 4095]], np.uint16))]).ravel().tolist() == [0, 255]
    assert pixels([save("b.png", np.array([[0, 4095, 65535]], np.uint16))]).ravel().tolist() == [0, 16, 255]


def test_a_tiff_says_what_is_white(tmp_path):
    Image.fromarray(np.array([[0, 500]], np.uint16)).save(tmp_path / "a.tiff", tiffinfo={281: 1000})
    assert pixels([tmp_path / "a.tiff"]).ravel().tolist() == [0, 128]


def test_16_bits_in_arrays_are_told_apart_from_8():
    with pytest.raises(ValueError, match=r"dtype uint16.*those of 16 bits by X / 65535"):
        open_images(np.zeros((1, 4, 4), np.uint16))


# Hostile files


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this platform has no named pipes")
def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match=r"a\.jpg' \(row 0\): a named pipe, not an image file"):
        open_images([tmp_path / "a.jpg"])


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="this platform has no such device")
def test_a_device_is_not_read():
    with pytest.raises(ValueError, match=r"'/dev/zero' \(row 0\): a device, not an image file"):
        open_images(["/dev/zero"])


def test_a_script_in_disguise_is_not_run(tmp_path):
    (tmp_path / "a.jpg").write_text(
        "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    )
    with pytest.raises(ValueError, match=r"not an image of a format that is read \(JPEG, PNG"):
        open_images([tmp_path / "a.jpg"])


def test_what_a_header_declares_is_bounded(tmp_path):
    chunk = b"IHDR" + (12_000).to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    png = b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    (tmp_path / "bomb.png").write_bytes(png + b"\0\0\0\0IDAT\x35\xaf\x06\x1e\0\0\0\0IEND\xae\x42\x60\x82")
    with pytest.raises(
        ValueError, match=r"bomb\.png' \(row 0\): .*89,?478,?485.*set PIL\.Image\.MAX_IMAGE_PIXELS"
    ):
        open_images([tmp_path / "bomb.png"])


def test_large_images_are_decoded_one_after_the_other():
    order, first = [], threading.Event()

    def decode(name):
        with room_for(40_000_000):
            order.append(f"{name} begins")
            first.set()
            threading.Event().wait(0.05)
            order.append(f"{name} ends")

    threads = [threading.Thread(target=decode, args=(name,)) for name in "ab"]
    threads[0].start()
    first.wait()
    threads[1].start()
    for thread in threads:
        thread.join()
    assert order == ["a begins", "a ends", "b begins", "b ends"]


# Containers of other packages


class Column:
    """As a column of a Hugging Face data set: a sequence, and nothing else."""

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.rows[i]


class HuggingFace(Column):
    column_names, features, shape = ["image", "label"], {}, (2, 2)


def test_a_column_is_a_list_of_its_images(colour):
    column = Column([Image.fromarray(image) for image in colour])
    assert holds_images(column)
    np.testing.assert_array_equal(pixels(column), colour)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (HuggingFace([{}, {}]), r"a whole HuggingFace with the columns \['image', 'label'\]: pass the one"),
        ({"train": 1}, r"a dict with the keys \['train'\]: pass the list of images"),
        (
            (path for path in ["a.png"]),
            r"a generator, which has no order or can be read once only: pass a list",
        ),
        ({"a.png"}, "a set, which has no order"),
        (b"\x89PNG", r"bytes: pass a list of paths, or of PIL images, as from Image\.open\(BytesIO\(X\)\)"),
        (Image.new("L", (4, 4)), r"one PIL image: pass a list, \[X\]"),
    ],
)
def test_containers_that_are_not_read_say_what_to_pass(X, message):
    assert holds_images(X)
    with pytest.raises(ValueError, match=f"X is {message}"):
        open_images(X)


def test_loaders_and_data_sets_of_torch_say_what_to_pass(colour):
    data = pytest.importorskip("torch.utils.data")
    dataset = data.TensorDataset(pytest.importorskip("torch").zeros(2, 3, 4, 4))
    with pytest.raises(
        ValueError, match=r"X is a TensorDataset, a Dataset of torch: pass its images, \[item\[0\]"
    ):
        open_images(dataset)
    with pytest.raises(
        ValueError, match=r"X is a DataLoader, which gives batches: pass the images of its dataset"
    ):
        open_images(data.DataLoader(dataset))


def test_encoded_rows_say_how_to_open_them():
    with pytest.raises(ValueError, match=r"X holds dict: .* opened by Image\.open\(BytesIO\(row\)\)"):
        open_images([{"bytes": b"", "path": None}])


@pytest.mark.parametrize("layout", [lambda X: X, list])
def test_tensors_of_any_float_type(layout):
    torch = pytest.importorskip("torch")
    X = torch.full((2, 3, 4, 4), 0.5, dtype=torch.bfloat16, requires_grad=True)
    assert holds_images(layout(X))
    np.testing.assert_array_equal(pixels(layout(X)), np.full((2, 4, 4, 3), 0.5, np.float32))


def test_opening_files_does_not_import_torch(process_without_torch, photograph):
    code = "import sys; from skmetric._images._opening import open_images as o; o([sys.argv[1]]).block(0, 1)"
    code += "; assert 'torch' not in sys.modules"
    process_without_torch.run(code, photograph)
