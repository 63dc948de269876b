"""A threshold accepts the smaller distance and refuses the larger."""

import numpy as np
import pytest

from skmetric.metrics._half_way import half_way


@pytest.mark.parametrize("start", [0.0, 5e-324, 1.0, 1 + 2**-52, -1.0, -(1 + 2**-52), 3e300, -5e-324])
def test_neighbouring_floats(start):
    after = np.nextafter(start, np.inf)
    assert half_way(start, after) == start


@pytest.mark.parametrize(
    ("accepted", "refused", "expected"),
    [(1, 2, 1.5), (1, np.inf, 1), (-np.inf, 1, -np.inf), (2, 2, 2), (-1.5e308, 1.5e308, 0), (0, 5e-324, 0)],
)
def test_by_hand(accepted, refused, expected):
    assert half_way(accepted, refused) == expected
