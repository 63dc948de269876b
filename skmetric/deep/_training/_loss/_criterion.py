"""From the parameters `loss` and `margin` to what the training loop calls."""

import copy
import inspect
from functools import partial

from sklearn.base import clone
from torch import nn

from skmetric._torch import seeded
from skmetric.deep import losses
from skmetric.deep._training._optim import is_module
from skmetric.deep.losses._base import Loss
from skmetric.deep.losses._graded import GradedPairLoss

_DEFAULTS = {"poincare": "hyperbolic_info_nce"}  # by distance
_DEFAULT = "multi_similarity"
_SHORT = {"triplet": "TripletMarginLoss"}


def loss_names():
    """Names that `loss` may be: ``"multi_similarity"`` for ``MultiSimilarityLoss``; wrappers have none."""
    by_class = {_snake(name): name for name in losses.__all__ if _stands_alone(getattr(losses, name))}
    return by_class | {short: name for short, name in _SHORT.items() if name in losses.__all__}


def resolve_loss(loss, margin=None, distance="euclidean"):
    """Get a loss of one's own, with the margin that was asked for.

    Parameters
    ----------
    loss : str, Loss, nn.Module, callable or tuple (loss, miner)
        What the user gave; it is not changed. "auto" is the default of the distance, and a tuple becomes a
        `ForeignLoss`.
    margin : float, default=None
        None leaves the loss its own.
    distance : {"euclidean", "cosine", "poincare"}, default="euclidean"
        For "poincare" the loss is told that embeddings are points of the ball.

    Returns
    -------
    Loss, nn.Module or callable
        A copy, but for a function.

    Raises
    ------
    ValueError
        If the name is unknown, a tuple is no loss with its miner, the loss has no margin, or it does not go
        with the distance.
    """
    if isinstance(loss, tuple):
        loss = _with_miner(loss)
    if isinstance(loss, str) and loss == "auto":
        loss = _DEFAULTS.get(distance, _DEFAULT)
    named = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    if isinstance(loss, str):
        loss = _by_name(loss)
    elif hasattr(loss, "bind") and hasattr(loss, "get_params"):
        loss = clone(loss)
    else:
        loss = copy.deepcopy(loss)  # a function is its own copy
    if distance == "poincare":
        _put_on_ball(loss, named)
    return loss if margin is None else _with_margin(loss, margin, named)


def ball_of_loss(loss):
    """Settings of the ball that a loss, resolved for it, compares on; those of the head's own else."""
    loss = innermost(loss)
    return {"curvature": loss.curvature, "clip": loss.clip} if hasattr(loss, "on_ball") else {}


def bind(loss, n_components, n_classes):
    """Make what the loop calls: a loss of ours is bound, any other is that already."""
    return loss.bind(n_components, n_classes) if hasattr(loss, "bind") else loss


def knows_classes(loss, n_components):
    """Whether a loss owns something for each class, as proxies: its weights then grow with the classes."""
    with seeded(0):
        few, many = (bind(loss, n_components, n_classes) for n_classes in (2, 3))
    if not (is_module(few) and is_module(many)):
        return False
    return [p.shape for p in few.parameters()] != [p.shape for p in many.parameters()]


def is_of_package(loss):
    """Whether a loss is of this package through and through: classes, miner and distance."""
    if type(loss).__module__.partition(".")[0] != "skmetric" or not hasattr(loss, "get_params"):
        return False
    parts = loss.get_params(deep=False).values()
    return all(is_of_package(part) for part in parts if hasattr(part, "get_params") or callable(part))


def margin_of(loss):
    """Margin of a loss, or None."""
    while is_module(loss) and hasattr(loss, "loss"):
        loss = loss.loss
    margin = getattr(loss, "margin", None)
    return margin if isinstance(margin, int | float) else None


def _stands_alone(kind):
    """Whether a loss can be made without arguments: one that wraps another cannot."""
    return all(p.default is not p.empty for p in inspect.signature(kind).parameters.values())


def _by_name(name):
    names = loss_names()
    squashed = {snake.replace("_", ""): loss for snake, loss in names.items()}
    asked = name.lower().replace("_", "").removesuffix("loss")
    if asked not in squashed:
        raise ValueError(f"loss={name!r} is no loss of skmetric.deep.losses; the names are {sorted(names)}")
    return getattr(losses, squashed[asked])()


def _put_on_ball(loss, named):
    """Tell a loss that embeddings are points of the ball; refuse one that is known to compare otherwise."""
    inner = innermost(loss)
    if hasattr(inner, "on_ball"):
        inner.on_ball = True
    elif type(inner).__module__.partition(".")[0] in ("skmetric", "pytorch_metric_learning"):
        raise ValueError(
            f"distance='poincare', but the loss {named} does not compare by distance on the ball: take "
            "loss='hyperbolic_info_nce', or a function of your own of points of the ball"
        )


def innermost(loss):
    """The innermost of losses that wrap one another, as a cross-batch memory does."""
    while isinstance(getattr(loss, "loss", None), Loss):
        loss = loss.loss
    return loss


def refuse_own_relevance(loss, asked="labels"):
    """Refuse a loss that was given grades: in a learner labels are codes, or numbers of samples."""
    inner = innermost(loss)
    allowed = ("labels", asked) if isinstance(asked, str) else ("labels",)
    if isinstance(inner, GradedPairLoss) and not (
        isinstance(inner.relevance, str) and inner.relevance in allowed
    ):
        raise ValueError(
            f"relevance of the loss {type(inner).__name__} is for a training loop that you write: leave it "
            "out, and pass relevance= to DeepMetricLearner"
        )


def _with_miner(pair):
    if len(pair) != 2 or not all(map(callable, pair)):
        raise ValueError(f"loss as a tuple is (loss, miner), two callables; got {pair!r}")
    return losses.ForeignLoss(*pair)


def _with_margin(loss, margin, named):
    if hasattr(loss, "get_params"):
        if "margin" in loss.get_params(deep=False):
            return loss.set_params(margin=margin)
        if hasattr(loss, "loss"):
            return loss.set_params(loss=_with_margin(loss.loss, margin, named))
    elif is_module(loss):
        if isinstance(getattr(loss, "margin", None), int | float):
            loss.margin = margin
            return loss
    elif "margin" in inspect.signature(loss).parameters:
        return partial(loss, margin=margin)
    raise ValueError(f"margin={margin!r}, but the loss {named} has no margin: leave margin=None")


def _snake(name):
    """``MultiSimilarityLoss`` as ``multi_similarity``; runs of capitals stay together."""
    name = name.removesuffix("Loss")
    spaced = [
        f"_{c}" if i and c.isupper() and (name[i - 1].islower() or name[i + 1 : i + 2].islower()) else c
        for i, c in enumerate(name)
    ]
    return "".join(spaced).lower()


def is_pairwise(bound):
    """Whether a loss learns from pairs in a batch alone: a class of one sample then teaches nothing.

    A loss that owns weights does not, unless they are those of its distance.
    """
    weights = bound.named_parameters() if isinstance(bound, nn.Module) else ()
    return all("distance" in name.split(".") for name, _ in weights)
