"""A batch embedded in parts gives the gradients of the batch as a whole."""

import numpy as np
import pytest
import torch
from torch import nn

from skmetric.deep import DeepMetricLearner, FineTuning
from skmetric.deep._training._grad_cache import in_parts

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 6)).astype("float32"), np.arange(40) % 8
DROPPING = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 4))


def weights(loss, grad_cache=None, **params):
    """After one step of SGD at rate 1: the start minus the gradient."""
    recipe = FineTuning(grad_cache=grad_cache, **{k: params.pop(k) for k in ("accumulate",) if k in params})
    how = {"module": "linear", "init": "random", "n_components": 4, "optimizer": "sgd", "learning_rate": 1.0}
    how |= {"classes_per_batch": 5, "samples_per_class": 3, "steps_per_epoch": 1, "max_epochs": 1}
    how |= {"validation_fraction": None, "device": "cpu", "random_state": 0, "fine_tuning": recipe}
    fitted = DeepMetricLearner(loss=loss, **how | params).fit(X, Y)
    owned = fitted.loss_.parameters() if isinstance(fitted.loss_, nn.Module) else []
    return [weight.detach().numpy() for weight in (*fitted.module_.parameters(), *owned)]


@pytest.mark.parametrize("size", [1, 4, 7])
@pytest.mark.parametrize("loss", ["multi_similarity", "normalized_softmax", "smooth_ap"])
def test_gradients_are_those_of_the_whole_batch(loss, size):
    for found, expected in zip(weights(loss, size), weights(loss), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_with_accumulation_too():
    params = {"accumulate": 2, "steps_per_epoch": 2}
    plain = weights("contrastive", **params)
    for found, expected in zip(weights("contrastive", 4, **params), plain, strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_the_gradient_is_that_of_the_values_also_with_dropout():
    """Both passes drop the same: the embeddings that the loss saw are those that the gradient comes from."""
    torch.manual_seed(0)
    network, batch = DROPPING.train(), torch.from_numpy(X[:10])
    cached = in_parts(network, network, batch, 4)
    cached.embeddings.square().sum().backward()
    assert [len(part()) for part in cached.parts] == [4, 3, 3]
    torch.testing.assert_close(torch.cat([part() for part in cached.parts]), cached.embeddings)
    network.zero_grad()
    torch.manual_seed(1)
    cached.backward()
    after = torch.rand(1)
    # the same sum, with the masks of the first pass, in one graph
    expected = torch.cat([part() for part in cached.parts]).square().sum()
    found = [weight.grad.clone() for weight in network.parameters()]
    gradients = torch.autograd.grad(expected, list(network.parameters()))
    for ours, theirs in zip(found, gradients, strict=True):
        torch.testing.assert_close(ours, theirs)
    torch.manual_seed(1)
    assert torch.equal(after, torch.rand(1))  # the second pass leaves the generator where it was


def test_dropout_goes_on_with_new_numbers_after_a_batch():
    network, batch = DROPPING.train(), torch.ones(6, 6)
    first = in_parts(network, network, batch, 3)
    first.embeddings.sum().backward()
    first.backward()
    second = in_parts(network, network, batch, 3)
    assert not torch.equal(first.embeddings, second.embeddings)


def test_running_statistics_are_updated_once_a_part():
    norm = nn.BatchNorm1d(6, momentum=None)  # a plain mean over batches
    cached = in_parts(norm.train(), norm, torch.from_numpy(X[:12]), 4)
    assert norm.num_batches_tracked == 0
    cached.embeddings.sum().backward()
    cached.backward()
    assert norm.num_batches_tracked == 3
    np.testing.assert_allclose(norm.running_mean, X[:12].mean(0), atol=1e-6)


def test_activations_are_kept_of_one_part_at_a_time():
    """The largest number of samples whose graph is alive is that of a part."""
    alive, most = [0], [0]

    class Counting(torch.autograd.Function):
        @staticmethod
        def forward(ctx, rows):
            ctx.n = len(rows)
            if torch.is_grad_enabled() or rows.requires_grad:
                alive[0] += ctx.n
                most[0] = max(most[0], alive[0])
            return rows.clone()

        @staticmethod
        def backward(ctx, gradient):
            alive[0] -= ctx.n
            return gradient

    layer = nn.Linear(6, 2)
    cached = in_parts(layer, lambda rows: Counting.apply(layer(rows)), torch.from_numpy(X[:12]), 4)
    alive[0] = most[0] = 0
    cached.embeddings.sum().backward()
    cached.backward()
    assert (alive[0], most[0]) == (0, 4)


@pytest.mark.parametrize("size", [1, 2])
def test_a_part_of_one_sample_is_refused_where_a_batch_norm_needs_more(size):
    network = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4))
    # 15 samples in 8 parts: seven of 2 and one of 1
    with pytest.raises(ValueError, match=f"grad_cache={size} leaves a part of one sample.*larger grad_cache"):
        weights("contrastive", size, module=network)


def test_a_part_of_no_samples_is_refused():
    with pytest.raises(ValueError, match="'grad_cache' parameter of FineTuning must be an int in the range"):
        weights("contrastive", 0)
