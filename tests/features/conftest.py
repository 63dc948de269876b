import numpy as np
import pytest
from torch import nn

from skmetric._torch import seeded


@pytest.fixture
def colour():
    """Six colour images (6, 20, 16, 3), uint8."""
    return np.random.default_rng(0).integers(0, 256, (6, 20, 16, 3), dtype=np.uint8)


@pytest.fixture
def grey(colour):
    """Six grey images (6, 20, 16), uint8."""
    return colour[..., 0]


@pytest.fixture
def save(tmp_path):
    """Write pixels to a file without loss: ``save("a.png", pixels) -> path``."""
    image = pytest.importorskip("PIL.Image")

    def write(name, pixels):
        path = tmp_path / name
        image.fromarray(pixels).save(path)
        return str(path)

    return write


@pytest.fixture
def paths(save, colour):
    return [save(f"{i}.png", pixels) for i, pixels in enumerate(colour)]


def small_network(n_channels=3):
    """Maps of 4 channels, with batch normalisation and dropout: both behave otherwise while training."""
    with seeded(0):
        return nn.Sequential(
            nn.Conv2d(n_channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(4, 5, 3)
        )


@pytest.fixture
def network():
    return small_network()
