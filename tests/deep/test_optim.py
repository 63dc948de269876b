"""Optimizers by name are those of torch."""

import pytest
import torch

from skmetric.deep._training._optim import make_optimizer


@pytest.mark.parametrize(("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_adam_in_one_pass_over_the_weights_is_that_of_torch(name, kind):
    torch.manual_seed(0)
    mine, its = torch.nn.Linear(5, 3), torch.nn.Linear(5, 3)
    its.load_state_dict(mine.state_dict())
    rates = {"learning_rate": 0.1, "proxy_learning_rate": 0.1, "weight_decay": 0.01}
    pairs = [
        (mine, make_optimizer(name, mine, None, **rates)),
        (its, kind(its.parameters(), lr=0.1, weight_decay=0.01, foreach=False)),
    ]
    for module, optimizer in pairs * 5:
        optimizer.zero_grad()
        module(torch.ones(7, 5)).square().sum().backward()
        optimizer.step()
    torch.testing.assert_close(mine.weight, its.weight)
    assert pairs[0][1].param_groups[0]["fused"]  # 3 ms in place of 22 for a layer of 1280 x 1280
