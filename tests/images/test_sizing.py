import threading

import numpy as np
import pytest
import torch

from skmetric._images._images import Images
from skmetric._images._opening import open_images
from skmetric._pixels import _sizing
from skmetric._pixels._sizing import (
    InputConfig,
    height_and_width,
    normalised,
    read_batches,
    sized,
    sized_batches,
)
from skmetric.features._network import input_config

CONFIG = InputConfig(
    n_channels=3,
    image_size=(14, 14),
    resize=True,
    crop_pct=0.875,
    squash=False,
    interpolation="bicubic",
    mean=(0.5, 0.4, 0.3),
    std=(0.2, 0.3, 0.4),
)


def photograph(height, width):
    """Smooth colours with an edge, as in photographs; noise would overstate the rounding of resizing."""
    y, x = np.mgrid[:height, :width]
    bands = np.stack([x * 255 / width, y * 255 / height, 255 * (x > y)], axis=-1)
    return bands.astype(np.uint8)


@pytest.mark.parametrize("shape", [(40, 60), (60, 40), (37, 101), (9, 12), (16, 16), (7, 31)])
@pytest.mark.parametrize(("size", "mode"), [((14, 14), "center"), ((14, 14), "squash"), ((14, 21), "squash")])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_same_input_as_timm_gives_its_networks(timm, shape, size, mode, interpolation):
    from PIL import Image
    from timm.data import create_transform

    options = {"crop_pct": 0.875, "interpolation": interpolation, "mean": CONFIG.mean, "std": CONFIG.std}
    theirs = create_transform((3, *size), crop_mode=mode, **options)
    config = CONFIG._replace(image_size=size, squash=mode == "squash", interpolation=interpolation)
    picture = photograph(*shape)
    ours = normalised(sized(picture[None], config), config)[0]
    # Pillow and torch round apart, by two steps of 255 at most
    assert (ours - theirs(Image.fromarray(picture))).abs().max() <= 2.01 / 255 / min(CONFIG.std)


def configurations(timm):
    """Every way in which timm's pretrained networks want images, but for their brightness."""
    for name in timm.list_models(pretrained=True):
        yield timm.get_pretrained_cfg(name)


@pytest.mark.parametrize("shape", [(61, 97), (97, 61), (40, 40)])
def test_every_configuration_of_timm_gives_timms_own_input(timm, shape):
    from PIL import Image
    from timm.data import create_transform, resolve_data_config
    from torch import nn

    picture, seen = photograph(*shape), set()
    for found in configurations(timm):
        # a quarter of the size: what differs is kept, and 117 configurations take seconds
        size = tuple(side // 4 for side in found.input_size[1:])
        key = (size, found.crop_pct, found.crop_mode, found.interpolation)
        if key in seen:
            continue
        seen.add(key)
        module = nn.Identity()
        module.pretrained_cfg = found.to_dict() | {"input_size": (3, *size)}
        ours = input_config(module, 3, shape)
        theirs = create_transform(**resolve_data_config({}, pretrained_cfg=module.pretrained_cfg))
        expected = theirs(Image.fromarray(picture))
        difference = (normalised(sized(picture[None], ours), ours)[0] - expected).abs().max()
        assert difference <= 2.01 / 255 / min(ours.std), key
    assert len(seen) >= 20
    assert {mode for _, _, mode, _ in seen} == {"center", "squash", "border"}


@pytest.mark.parametrize("size", [(28, 28), (28, 20), (20, 28)])
@pytest.mark.parametrize("mode", ["center", "squash", "border"])
@pytest.mark.parametrize("crop_pct", [0.7, 1.0, 1.15, 1.4])
@pytest.mark.parametrize("interpolation", ["bicubic", "lanczos", "nearest"])
def test_modes_of_cropping_with_sizes_that_are_not_square(timm, size, mode, crop_pct, interpolation):
    from PIL import Image
    from timm.data import create_transform

    picture = photograph(45, 70)
    options = {"crop_pct": crop_pct, "interpolation": interpolation, "mean": CONFIG.mean, "std": CONFIG.std}
    theirs = create_transform((3, *size), crop_mode=mode, **options)(Image.fromarray(picture))
    config = CONFIG._replace(image_size=size, crop_pct=crop_pct, interpolation=interpolation)
    config = config._replace(squash=mode == "squash", border=mode == "border")
    ours = normalised(sized(picture[None], config), config)[0]
    assert (ours - theirs).abs().max() <= 2.01 / 255 / min(CONFIG.std)


def test_a_frame_by_hand():
    config = CONFIG._replace(n_channels=1, image_size=(4, 4), crop_pct=1.0, border=True, mean=(0.2,))
    framed = sized(np.full((1, 2, 4, 1), 255, np.uint8), config)[0, 0]
    assert framed[:, 0].tolist() == [51, 255, 255, 51]  # 0.2 * 255 = 51
    black = sized(np.full((1, 4, 4, 1), 1, np.float32), config._replace(border=False, crop_pct=2.0))[0, 0]
    assert black.tolist() == [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]


def test_an_interpolation_that_is_not_known():
    module = torch.nn.Identity()
    module.pretrained_cfg = {"input_size": (3, 8, 8), "interpolation": "random"}
    with pytest.raises(ValueError, match="interpolation='random'; known are bicubic, bilinear"):
        input_config(module, 3, (8, 8))


def test_damaged_files_are_named_all_at_once(paths):
    for i in (1, 4):  # torchvision #864: one run for each damaged file
        with open(paths[i], "r+b") as file:
            file.truncate(400)
    message = (
        r"2 of 6 images cannot be read: .*decode '.*1\.png' \(row 1\): .*4\.png' \(row 4\): .*check_images"
    )
    with pytest.raises(ValueError, match=message):
        list(sized_batches(open_images(paths), CONFIG, batch_size=2, n_threads=2))


def test_a_batch_is_sized_as_its_images_are():
    batch = np.stack([photograph(30, 40), photograph(30, 40)[::-1], photograph(40, 30).swapaxes(0, 1)])
    one_by_one = torch.cat([sized(image[None], CONFIG) for image in batch])
    assert torch.equal(sized(batch, CONFIG), one_by_one)


def test_channels_first_and_last_are_sized_alike():
    batch = photograph(30, 40)[None]
    first = np.ascontiguousarray(np.moveaxis(batch, -1, 1))
    assert torch.equal(sized(batch, CONFIG), sized(np.moveaxis(first, 1, -1), CONFIG))


def test_float_images_are_sized_as_their_bytes_are():
    picture = photograph(30, 40)[None]
    from_bytes = normalised(sized(picture, CONFIG), CONFIG)
    from_floats = normalised(sized((picture / 255).astype(np.float32), CONFIG), CONFIG)
    steps = (from_bytes - from_floats).abs() * 255 * min(CONFIG.std)
    assert steps.mean() < 0.5  # bytes are rounded after each direction, and cut off at black and white
    assert steps.max() < 5


def test_own_size_is_kept_to_the_byte():
    picture = photograph(30, 40)[None]
    kept = sized(picture, CONFIG._replace(resize=False, image_size=(30, 40)))
    np.testing.assert_array_equal(kept.permute(0, 2, 3, 1).numpy(), picture)


@pytest.mark.parametrize(("size", "read"), [(8, (8, 8)), ((8, 9), (8, 9)), (np.int64(8), (8, 8))])
def test_a_size_is_one_number_or_two(size, read):
    assert height_and_width(size) == read


@pytest.mark.parametrize("size", [0, -1, 2.5, (8, 8, 8), (8, 0)])
def test_sizes_that_are_none(size):
    with pytest.raises(ValueError, match=r"is neither a number of pixels nor \(height, width\)"):
        height_and_width(size)


def test_floats_are_cut_off_at_the_limits():
    edge = np.zeros((1, 40, 40, 3), np.float32)
    edge[:, 20:] = 1
    cut = sized(edge, CONFIG)
    assert (cut.min(), cut.max()) == (0, 1)
    free = sized(edge, CONFIG._replace(limits=None))
    assert free.min() < 0  # bicubic overshoots at an edge
    assert free.max() > 1


@pytest.mark.parametrize("layout", [np.asarray, list])
def test_batches_of_any_rows(layout):
    X = np.arange(10, dtype=np.uint8).reshape(10, 1, 1)
    config = CONFIG._replace(n_channels=1, resize=False)
    batches = [[7, 2], np.array([2, 9]), range(3, 6), [0]]
    read = read_batches(open_images(layout(X)), config, batches, n_threads=2)
    assert [batch.flatten().tolist() for batch in read] == [list(rows) for rows in batches]


def test_input_is_not_written_to():
    picture = np.full((1, 14, 14, 3), 0.5, np.float32)
    normalised(sized(picture, CONFIG._replace(resize=False)), CONFIG)
    assert (picture == 0.5).all()


@pytest.mark.parametrize("white", [np.uint8(255), np.float32(1)])
def test_normalised_by_hand(white):
    config = CONFIG._replace(resize=False)
    out = normalised(sized(np.full((1, 2, 2, 3), white), config), config)
    # (1 - 0.5) / 0.2 = 2.5, (1 - 0.4) / 0.3 = 2, (1 - 0.3) / 0.4 = 1.75
    torch.testing.assert_close(out[0, :, 0, 0], torch.tensor([2.5, 2.0, 1.75]))


def test_grey_is_repeated_for_a_colour_network():
    grey = photograph(14, 14)[None, ..., :1]
    assert torch.equal(*sized(grey, CONFIG._replace(resize=False))[0, :2])


def test_luminance_is_that_of_pillow():
    image = pytest.importorskip("PIL.Image")
    picture = np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8)
    ours = sized(picture[None], CONFIG._replace(n_channels=1, resize=False))[0, 0].numpy()
    theirs = np.asarray(image.fromarray(picture).convert("L"))
    assert np.abs(ours.astype(int) - theirs).max() <= 1
    assert (ours == theirs).mean() > 0.99


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("layout", [np.asarray, list])
@pytest.mark.parametrize("batch_size", [1, 4, 10, 99])
def test_batches_are_in_order(layout, batch_size, n_threads):
    X = np.arange(10, dtype=np.uint8).reshape(10, 1, 1)
    config = CONFIG._replace(n_channels=1, resize=False)
    batches = list(sized_batches(open_images(layout(X)), config, batch_size=batch_size, n_threads=n_threads))
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    assert torch.cat(batches).flatten().tolist() == list(range(10))


def test_reading_runs_ahead_but_not_far():
    read = []
    images = Images(list(range(100)), lambda i: read.append(i) or np.zeros((1, 1, 1), np.uint8), [])
    config = CONFIG._replace(n_channels=1, resize=False)
    batches = sized_batches(images, config, batch_size=5, n_threads=2)
    next(batches)
    batches.close()
    assert 5 < len(read) <= 5 * (1 + _sizing._AHEAD)


def test_threads_end_with_the_batches():
    before = threading.active_count()
    broken = Images([0, 1], lambda i: 1 / 0, [])
    with pytest.raises(ZeroDivisionError):
        list(sized_batches(broken, CONFIG, batch_size=1, n_threads=4))
    assert threading.active_count() == before
