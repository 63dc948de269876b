import pytest
import torch

from skmetric.deep.modules import MLP, Conv4, GeM, L2Normalize, LinearMap, TutorialConv


@pytest.mark.parametrize("network", [MLP, LinearMap, Conv4])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 20)])
def test_images_become_rows(network, shape):
    assert network(shape, n_components=5)(torch.rand(2, *shape)).shape == (2, 5)


def test_linear_map_is_linear():
    layer = LinearMap((3,), n_components=2)
    rows = torch.rand(4, 3)
    torch.testing.assert_close(layer(2 * rows), 2 * layer(rows))
    assert [tuple(p.shape) for p in layer.parameters()] == [(2, 3)]


def test_tutorial_network_has_the_parameters_of_the_tutorial():
    # convolutions 9·c_in·c_out + c_out: 1792 + 73856 + 295168 + 590080; batch norms 2·(64 + 128 + 256);
    # linear 256·256 + 256
    expected = 1792 + 73856 + 295168 + 590080 + 896 + 65792
    assert sum(p.numel() for p in TutorialConv((3, 32, 32)).parameters()) == expected


@pytest.mark.parametrize("network", [TutorialConv, Conv4])
@pytest.mark.parametrize("shape", [(3, 3, 32), (64,)])
def test_images_too_small_are_refused(network, shape):
    with pytest.raises(ValueError, match=rf"{network.__name__} takes images .* at least \d+ pixels"):
        network(shape)


def test_gem_by_hand():
    maps = torch.tensor([[[[1.0, 3.0]]]])
    # ((1 + 27) / 2) ** (1/3)
    torch.testing.assert_close(GeM(power=3)(maps), torch.tensor([[14.0 ** (1 / 3)]]))
    GeM()(torch.zeros(1, 1, 2, 2, requires_grad=True)).sum().backward()


def test_gem_of_nothing_has_a_finite_gradient():
    maps, layer = torch.zeros(1, 1, 2, 2, requires_grad=True), GeM()
    layer(maps).sum().backward()
    assert torch.isfinite(maps.grad).all()
    assert torch.isfinite(layer.power.grad)


def test_l2_keeps_zero_rows_and_their_gradient_finite():
    rows = torch.zeros(2, 3, requires_grad=True)
    out = L2Normalize()(rows)
    out.sum().backward()
    assert (out == 0).all()
    assert torch.isfinite(rows.grad).all()
