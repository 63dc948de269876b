import pytest
import torch

from skmetric._backbone._pooling import POOLINGS, pool

MAP = torch.tensor([[[[1.0, 2.0], [2.0, 3.0]]]])  # (1 image, 1 channel, 2, 2)
BY_HAND = {
    "auto": 2.0,
    "avg": 2.0,
    "max": 3.0,
    "gem": ((1 + 8 + 8 + 27) / 4) ** (1 / 3),
}


@pytest.mark.parametrize("pooling", BY_HAND)
def test_maps_by_hand(pooling):
    assert pool(MAP, pooling).item() == pytest.approx(BY_HAND[pooling])
    assert pool(MAP.permute(0, 2, 3, 1), pooling, channels_last=True).item() == pytest.approx(
        BY_HAND[pooling]
    )


@pytest.mark.parametrize("pooling", BY_HAND)
def test_tokens_leave_their_prefix_out(pooling):
    tokens = torch.cat(
        [torch.full((1, 1, 1), 9.0), MAP.flatten(2).mT], dim=1
    )  # (1, 5, 1), a class token first
    assert pool(tokens, pooling, n_prefix=1).item() == pytest.approx(BY_HAND[pooling])
    assert pool(tokens, "cls", n_prefix=1).item() == 9


@pytest.mark.parametrize("pooling", [name for name in POOLINGS if name != "cls"])
def test_places_count_alike(pooling):
    maps = torch.rand(2, 3, 4, 4)
    torch.testing.assert_close(pool(maps, pooling), pool(maps.flip(2), pooling))


def test_vectors_are_left_alone():
    assert pool(torch.ones(2, 3).bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("pooling", ["avg", "max", "gem"])
def test_vectors_cannot_be_pooled(pooling):
    with pytest.raises(
        ValueError, match=rf"pooling='{pooling}' needs feature maps.*\(2, 3\): take pooling='auto'"
    ):
        pool(torch.ones(2, 3), pooling)


@pytest.mark.parametrize(("shape", "n_prefix"), [((2, 3, 4, 4), None), ((2, 3), None), ((2, 5, 3), 0)])
def test_no_class_token(shape, n_prefix):
    with pytest.raises(
        ValueError, match=r"pooling='cls' needs a class token, and the output, of shape .*, has none"
    ):
        pool(torch.ones(shape), "cls", n_prefix=n_prefix)


def test_other_shapes():
    with pytest.raises(ValueError, match=r"output has shape \(2,\): name a layer"):
        pool(torch.ones(2))
