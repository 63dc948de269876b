import pytest
from torch import nn

from skmetric._torch import seeded


def small_network(n_channels=3):
    """Maps of 4 channels, with batch normalisation and dropout: both behave otherwise while training."""
    with seeded(0):
        return nn.Sequential(
            nn.Conv2d(n_channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(4, 5, 3)
        )


@pytest.fixture
def network():
    return small_network()
