import pytest
import torch

from skmetric.deep.losses import HyperbolicInfoNCELoss
from skmetric.deep.modules import (
    MLP,
    BatchNormNeck,
    Conv4,
    GeM,
    L2Normalize,
    LinearMap,
    PoincareBall,
    SmallResNet,
    TutorialConv,
)


@pytest.mark.parametrize("network", [MLP, LinearMap, Conv4, SmallResNet])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 20), (2, 5, 7)])
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


@pytest.mark.parametrize("network", [TutorialConv, Conv4, SmallResNet])
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


def test_residual_network_has_the_parameters_of_resnet_20():
    # stem 432; stages of 3 blocks: 6·2304, 4608 + 5·9216, 18432 + 5·36864; 1x1 shortcuts 512 and 2048;
    # batch norms 2·(7·16 + 6·32 + 6·64) and, of the shortcuts, 2·(32 + 64); linear 64·64 + 64
    expected = 432 + 13824 + 50688 + 202752 + 2560 + 1376 + 192 + 4160
    assert sum(p.numel() for p in SmallResNet((3, 32, 32)).parameters()) == expected


def test_residual_blocks_pass_their_input_on():
    network = SmallResNet((1, 8, 8), n_blocks=1, width=4).eval()
    block = network[3][0]
    torch.nn.init.zeros_(block.second.weight)
    maps = torch.rand(2, 4, 8, 8)
    torch.testing.assert_close(block(maps), maps)


def test_neck_centres_and_scales_and_has_no_bias():
    neck = BatchNormNeck(3)
    rows = 5 + 2 * torch.randn(64, 3)
    out = neck(rows)
    torch.testing.assert_close(out.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.var(0, correction=0), torch.ones(3), atol=1e-4, rtol=0)
    assert [name for name, weight in neck.named_parameters() if weight.requires_grad] == ["weight"]


def test_ball_head_by_hand():
    # length 5 is cut to 2.3; then tanh(sqrt(.1)·2.3) / sqrt(.1) long, in the same direction
    out = PoincareBall()(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    length = torch.tanh(torch.tensor(0.1**0.5 * 2.3)) / 0.1**0.5
    torch.testing.assert_close(out, torch.stack([length * torch.tensor([0.6, 0.8]), torch.zeros(2)]))


@pytest.mark.parametrize("clip", [None, 2.3])
def test_ball_head_stays_inside_with_finite_gradients(clip):
    rows = torch.cat([torch.zeros(1, 3), 1e4 * torch.randn(7, 3), torch.randn(8, 3)]).requires_grad_()
    out = PoincareBall(curvature=0.5, clip=clip)(rows)
    out.square().sum().backward()
    assert (out.norm(dim=1) <= 0.5**-0.5 * (1 + 1e-6)).all()
    assert torch.isfinite(rows.grad).all()


def test_ball_head_and_the_loss_on_the_ball_are_the_loss():
    rows, labels = torch.randn(8, 3), torch.arange(8) % 2
    on_ball = HyperbolicInfoNCELoss(on_ball=True)(PoincareBall()(rows), labels)
    torch.testing.assert_close(on_ball, HyperbolicInfoNCELoss()(rows, labels))


def test_ball_head_computes_in_float32():
    with torch.autocast("cpu", torch.bfloat16):
        assert PoincareBall()(torch.rand(2, 3).bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("settings", [{"curvature": 0}, {"clip": -1.0}])
def test_balls_that_are_none(settings):
    with pytest.raises(ValueError, match="must be above 0"):
        PoincareBall(**settings)
