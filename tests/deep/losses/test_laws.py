"""Laws that every loss obeys: every name in ``skmetric.deep.losses.__all__``."""

import copy
import inspect
import pickle
import warnings

import pytest
import torch
from sklearn.base import clone
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from skmetric.deep import losses, miners
from skmetric.deep.losses import _ranking
from skmetric.deep.losses._base import Loss
from skmetric.exceptions import NothingToLearnWarning

from .conftest import NAMES, make_loss


def embeddings_of(kind, n, width=8):
    generator = torch.Generator().manual_seed(1)
    random = torch.randn(n, width, generator=generator)
    return {
        "ordinary": random,
        "collapsed to ones": torch.ones(n, width),
        "collapsed to zero": torch.zeros(n, width),
        "duplicates": random[: (n + 1) // 2].repeat(2, 1)[:n],
        "one repeated at the antipode": torch.cat([random[:1], -random[:1]]).repeat(n, 1)[:n],
        "half precision, times 1000": (1000 * random).half(),
        "bfloat16": random.bfloat16(),
    }[kind]


LABELS = {
    "two a class": torch.tensor([0, 0, 1, 1, 2, 2]),
    "one class": torch.zeros(6, dtype=torch.int64),
    "all different": torch.arange(6),
    "a single sample": torch.tensor([1]),
    "uneven": torch.tensor([0, 0, 0, 0, 1, 2]),
}
KINDS = [
    "ordinary",
    "collapsed to ones",
    "collapsed to zero",
    "duplicates",
    "one repeated at the antipode",
    "half precision, times 1000",
    "bfloat16",
]


def bind(loss, width=8, n_classes=6):
    return loss.bind(n_components=width, n_classes=n_classes, generator=torch.Generator().manual_seed(0))


def those_that(wanted):
    """Only the losses for which the law has a meaning."""
    made = [(name, make_loss(name)) for name in NAMES]
    chosen = [pytest.param(loss, id=name) for name, loss in made if wanted(loss)]
    assert chosen
    return pytest.mark.parametrize("loss", chosen)


def learns(loss):
    bound = bind(loss)
    return isinstance(bound, nn.Module) and any(True for _ in bound.parameters())


def owns(bound, name):
    """Whether what was bound has a parameter of this name, at any depth."""
    return isinstance(bound, nn.Module) and any(key.endswith(name) for key, _ in bound.named_parameters())


def tells_views_apart(loss):
    """Two-view losses: which row comes first is part of the question, see _views.py."""
    return "views" in type(loss).__mro__[1].__name__.lower()


def value_and_gradient(bound, embeddings, labels):
    """Value, gradient and whether the batch was reported."""
    embeddings = embeddings.clone().requires_grad_()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NothingToLearnWarning)
        value = bound(embeddings, labels)
    value.backward()
    return value.detach(), embeddings.grad, [str(warning.message) for warning in caught]


@pytest.mark.parametrize("kind", KINDS)
def test_value_and_gradient_are_finite(loss, kind):
    for name, labels in LABELS.items():
        value, gradient, _ = value_and_gradient(bind(loss), embeddings_of(kind, len(labels)), labels)
        assert value.shape == (), name
        assert value.dtype == torch.float32, name
        assert value.isfinite(), name
        assert gradient.isfinite().all(), name


@those_that(learns)
def test_parameters_get_a_finite_gradient_too(loss):
    bound = bind(loss)
    bound(torch.ones(4, 8), torch.tensor([0, 0, 1, 1])).backward()
    for parameter in bound.parameters():
        assert parameter.grad.isfinite().all()


def test_value_does_not_depend_on_the_order_of_the_batch(loss):
    # the two views of a sample keep their order
    pairs = embeddings_of("ordinary", 12, 8).reshape(6, 2, 8)
    labels, order = torch.arange(6), torch.tensor([3, 0, 5, 2, 4, 1])
    if not tells_views_apart(loss):
        labels = labels // 2
    first, gradient, _ = value_and_gradient(bind(loss), pairs.flatten(0, 1), labels.repeat_interleave(2))
    second, moved, _ = value_and_gradient(
        bind(loss), pairs[order].flatten(0, 1), labels[order].repeat_interleave(2)
    )
    torch.testing.assert_close(first, second)
    torch.testing.assert_close(gradient.reshape(6, 2, 8)[order], moved.reshape(6, 2, 8))


@those_that(lambda loss: not tells_views_apart(loss))
def test_shuffled_batch_gives_the_same_value(loss):
    embeddings, labels = embeddings_of("ordinary", 12), torch.arange(12) % 4
    order = torch.randperm(12, generator=torch.Generator().manual_seed(3))
    first = bind(loss)(embeddings, labels)
    torch.testing.assert_close(first, bind(loss)(embeddings[order], labels[order]))


@pytest.mark.parametrize("labels", ["all different", "a single sample"])
def test_batch_without_a_positive_is_reported_or_has_a_proxy(loss, labels):
    labels = LABELS[labels]
    bound = bind(loss)
    value, _, messages = value_and_gradient(bound, embeddings_of("ordinary", len(labels)), labels)
    owns_proxies = owns(bound, "proxies")
    assert messages or owns_proxies
    assert value > 0 or messages


def test_reported_zero_keeps_the_graph(loss):
    embeddings = embeddings_of("ordinary", 1).requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NothingToLearnWarning)
        assert bind(loss)(embeddings, torch.tensor([1])).requires_grad


@those_that(
    lambda loss: not isinstance(loss, losses.CircleLoss)
)  # by definition its weights have no gradient
def test_gradient_is_that_of_the_value(loss):
    embeddings = embeddings_of("ordinary", 8, 4).double().requires_grad_()
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    bound = bind(loss, width=4, n_classes=4)
    bound = bound.double().eval() if isinstance(bound, nn.Module) else bound
    assert torch.autograd.gradcheck(lambda e: bound(e, labels), embeddings, eps=1e-6, atol=1e-4)


def test_value_without_gradients_is_the_same(loss):
    embeddings, labels = embeddings_of("ordinary", 6), LABELS["two a class"]
    expected = bind(loss)(embeddings.clone().requires_grad_(), labels).detach()
    with torch.inference_mode():
        torch.testing.assert_close(bind(loss)(embeddings, labels), expected)


def test_autocast_does_not_lower_the_precision(loss):
    embeddings, labels = embeddings_of("ordinary", 6), LABELS["two a class"]
    expected = bind(loss)(embeddings, labels)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(bind(loss)(embeddings, labels), expected, rtol=0, atol=0)


def test_clone_keeps_the_hyperparameters(loss):
    again = clone(loss)
    assert repr(again) == repr(loss)
    assert set(loss.get_params()) >= set(inspect.signature(type(loss)).parameters)


def test_copies_give_the_same_value(loss):
    bound = bind(loss)
    embeddings, labels = embeddings_of("ordinary", 6), LABELS["two a class"]
    copies = [pickle.loads(pickle.dumps(bound)), copy.deepcopy(bound)]
    expected = bound(embeddings, labels)
    for again in copies:
        torch.testing.assert_close(again(embeddings, labels), expected, rtol=0, atol=0)


def test_same_generator_same_value(loss):
    embeddings, labels = embeddings_of("ordinary", 6), LABELS["two a class"]
    torch.testing.assert_close(bind(loss)(embeddings, labels), bind(loss)(embeddings, labels), rtol=0, atol=0)


def test_generator_spares_the_global_seed(loss):
    before = torch.get_rng_state()
    bind(loss)(embeddings_of("ordinary", 6), LABELS["two a class"])
    assert torch.equal(torch.get_rng_state(), before)


@those_that(lambda loss: owns(bind(loss), "proxies"))
@pytest.mark.parametrize("labels", [[0, 0, 1, 6], [0, 0, -1, 1]])
def test_proxies_refuse_labels_out_of_range(loss, labels):
    bound = bind(loss)
    with pytest.raises(ValueError, match="labels must lie in"):
        bound(torch.ones(4, 8), torch.tensor(labels))


NO_BATCHES = [
    (torch.ones(4), torch.tensor([0, 0, 1, 1]), "float tensor"),
    (torch.ones(4, 8, dtype=torch.int64), torch.tensor([0, 0, 1, 1]), "float tensor"),
    (torch.ones(4, 8), torch.tensor([0, 0, 1]), "one for each embedding"),
    (torch.ones(4, 8), torch.tensor([0.0, 0.0, 1.0, 1.0]), "must be integers"),
    (torch.ones(0, 8), torch.ones(0, dtype=torch.int64), "at least one"),
    (torch.ones(4, 8), [0, 0, 1, 1], "list"),
]


def test_what_is_no_batch_is_refused(loss):
    for embeddings, labels, match in NO_BATCHES:
        with pytest.raises(ValueError, match=match):
            bind(loss)(embeddings, labels)


def test_unbound_loss_works_or_says_what_to_do(loss):
    embeddings, labels = embeddings_of("ordinary", 6), LABELS["two a class"]
    if bind(loss) is loss:
        assert loss(embeddings, labels).isfinite()
    else:
        with pytest.raises(TypeError, match="bind"):
            loss(embeddings, labels)


@those_that(lambda loss: inspect.signature(type(loss)).parameters)
def test_a_bad_hyperparameter_is_refused_when_bound(loss):
    name = next(iter(inspect.signature(type(loss)).parameters))
    with pytest.raises((ValueError, TypeError), match=name):
        bind(clone(loss).set_params(**{name: "nonsense"}))


def test_losses_are_abstract_or_final():
    for name in losses.__all__:
        final = getattr(losses, name)
        assert issubclass(final, Loss)
        assert not inspect.isabstract(final)
        assert final.__subclasses__() == []


@pytest.mark.filterwarnings("ignore::skmetric.exceptions.NothingToLearnWarning")
def test_share_of_active_tuples_is_told_or_not_and_is_a_share(loss):
    for labels in LABELS.values():
        given = clone(loss)
        bound = bind(given)
        assert getattr(bound, "active_share_", None) is None  # nothing was seen so far
        embeddings = embeddings_of("ordinary", len(labels)).requires_grad_()
        bound(embeddings, labels)
        share = getattr(bound, "active_share_", None)
        if share is not None:
            assert share.shape == ()
            assert not share.requires_grad
            assert 0 <= share <= 1
        for again in [pickle.loads(pickle.dumps(bound)), copy.deepcopy(bound)]:
            assert getattr(again, "active_share_", None) is None
        assert "active_share_" not in str(given.get_params())


class Largest(TorchDispatchMode):
    """Watches the number of elements of the largest tensor made."""

    n_elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        sizes = [leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        self.n_elements = max(self.n_elements, *sizes, 0)
        return result


def largest_tensor(bound, labels):
    embeddings = embeddings_of("ordinary", len(labels)).requires_grad_()
    with Largest() as largest:
        bound(embeddings, labels).backward()
    return largest.n_elements


@pytest.mark.filterwarnings("ignore::skmetric.exceptions.NothingToLearnWarning")
def test_memory_is_quadratic_in_the_batch(loss, monkeypatch):
    monkeypatch.setattr(_ranking, "_BLOCK", 1)
    width = getattr(loss, "n_centers", 1)
    for n_classes in (1, 6, 32):
        largest = largest_tensor(bind(loss, n_classes=32), torch.arange(64) % n_classes)
        assert largest <= max(2 * 64**2, 64 * 32 * width), n_classes


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("miner", [None, miners.SemiHardMiner(), miners.BatchHardMiner()])
def test_memory_of_triplets_is_quadratic_in_the_batch(swap, miner):
    for soft_margin in [False, True]:
        loss = losses.TripletMarginLoss(soft_margin=soft_margin, swap=swap, miner=miner)
        assert largest_tensor(loss, torch.arange(64) % 4) <= 2 * 64**2


def test_the_watch_can_see():
    with Largest() as largest:
        torch.ones(4, 1, 1) * torch.ones(1, 4, 4)
    assert largest.n_elements == 64
