"""Proxy losses that see a sample of the classes (X. An et al., "Partial FC", ICCV workshops 2021)."""

import pytest
import torch

from skmetric.deep import losses

from .conftest import SAMPLED

LABELS = torch.tensor([3, 3, 11, 17])
sampled = pytest.mark.parametrize("name", SAMPLED)


def bind(name, n_sampled, n_classes=20):
    loss = getattr(losses, name)(sampled_classes=n_sampled)
    return loss.bind(n_components=4, n_classes=n_classes, generator=torch.Generator().manual_seed(0))


def gradients(bound, labels):
    """Value, and gradients of the embeddings and of the proxies."""
    embeddings = torch.randn(4, 4, generator=torch.Generator().manual_seed(1), requires_grad=True)
    value = bound(embeddings, labels)
    value.backward()
    return value.detach(), embeddings.grad, bound.proxies.grad


@sampled
def test_a_sample_of_all_classes_is_the_plain_loss(name):
    for found, plain in zip(
        gradients(bind(name, 20), LABELS), gradients(bind(name, None), LABELS), strict=True
    ):
        torch.testing.assert_close(found, plain, rtol=1e-6, atol=1e-6)


@sampled
def test_the_sampled_loss_is_that_of_the_classes_that_are_seen(name):
    bound, again, few = bind(name, 6), bind(name, 6), bind(name, None, n_classes=6)
    classes = again._sample(LABELS, 6)
    assert len(classes) == 6
    assert set(classes.tolist()) > {3, 11, 17}
    few.proxies.data = bound.proxies.data[classes]
    value, at_embeddings, at_proxies = gradients(bound, LABELS)
    plain = gradients(few, torch.searchsorted(classes, LABELS))
    torch.testing.assert_close((value, at_embeddings, at_proxies[classes]), plain, rtol=1e-6, atol=1e-6)
    others = torch.ones(20, dtype=torch.bool).index_fill(0, classes, False)
    assert not at_proxies[others].any()


def test_other_classes_are_drawn_alike():
    bound, n_draws = bind("ArcFaceLoss", 8), 1000
    drawn = torch.stack([torch.bincount(bound._sample(LABELS, 8), minlength=20) for _ in range(n_draws)])
    others = torch.ones(20, dtype=torch.bool).index_fill(0, LABELS, False)
    expected = n_draws * 5 / 17  # of 17 other classes, the 5 that the 3 of the batch leave room for
    spread = (n_draws * 5 / 17 * 12 / 17) ** 0.5
    assert ((drawn.sum(0)[others] - expected).abs() < 5 * spread).all()
    assert (drawn.sum(0)[LABELS] == n_draws).all()
