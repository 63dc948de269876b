"""Parameters that were left open: what they mean for this network and these samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from skmetric._backbone._weights import is_file
from skmetric._params import check_params
from skmetric.deep._data._input import is_dataset
from skmetric.deep._data._labelled import is_table
from skmetric.deep._network._closed_form import ClosedForm
from skmetric.deep._network._network import MODULES
from skmetric.deep.augment._two_views import TwoViews, resolve
from skmetric.deep.losses import SmoothAPLoss

from ._fine_tuning import NOTHING

if TYPE_CHECKING:
    from skmetric.deep._estimator import NetworkMixin

_RATE, _FINE_RATE = 1e-3, 1e-4  # of networks that learn from nothing; of those that know something
_CLOSED_RATE = 3e-5  # behind the closed form: what an epoch changes there is soon too much for new classes
_TEMPERATURE = 0.05  # there Smooth-AP's own 0.01 sees no error in training classes that are told apart
_FEWEST_STEPS = 20  # of an epoch there: few rows are else trained on for few steps
_FINE_BATCH = (12, 48)  # classes and samples in a batch, for pretrained networks
_BATCH = (16, 64)
_WIDEST = 4096  # features of which the closed form is still a matter of a minute
_OF_TRUNKS = ("model_kwargs", "freeze", "pooling", "mean", "std")
_OWN_RISE = ("one_cycle", "warmup")  # schedules that warm up themselves


class Resolved:
    """An estimator's parameters with the open ones filled in; whatever else is asked for is the estimator's.

    Parameters
    ----------
    estimator : NetworkMixin
        Not changed.
    **values : object
        In place of the estimator's values.
    """

    def __init__(self, estimator: NetworkMixin, **values: Any) -> None:
        vars(self).update(values)
        self._estimator = estimator

    def __getattr__(self, name: str) -> Any:
        return getattr(self._estimator, name)


def resolve_parameters(estimator: NetworkMixin, X: Any, *, goes_on: bool, single: bool) -> NetworkMixin:
    """Fill in the parameters that were left open.

    Parameters
    ----------
    estimator : NetworkMixin
        Its parameters are read; if training goes on, its network says how it started.
    X : array-like
        As given to `fit`.
    goes_on : bool
        Whether a fitted network is trained further.
    single : bool
        Whether this is `partial_fit`.

    Returns
    -------
    NetworkMixin
        To be read like the estimator. `init` is "closed_form" or "random"; `fine_tuning` a recipe;
        `default_batch` the classes and samples of a batch where nothing else is said, `fewest_steps` the
        least number of batches in an epoch.

    Raises
    ------
    ValueError
        On a combination in which a parameter would be ignored.
    """
    if estimator.distance == "cosine" and not estimator.normalize:
        raise ValueError("distance='cosine' is that of the unit sphere, and normalize=False leaves it")
    if goes_on:
        closed = isinstance(next(estimator.module_.children()), ClosedForm)
    else:
        closed = starts_closed(estimator, X)
    pretrained = _is_pretrained(estimator)
    recipe = NOTHING if estimator.fine_tuning is None else estimator.fine_tuning
    _check_recipe(estimator, recipe, closed=closed, single=single)
    _check_head(estimator, single=single)
    rate = _CLOSED_RATE if closed else _FINE_RATE if pretrained else _RATE
    resolved = Resolved(
        estimator,
        init="closed_form" if closed else "random",
        learning_rate=rate if estimator.learning_rate is None else estimator.learning_rate,
        loss=_loss(estimator, closed),
        fine_tuning=recipe,
        default_batch=_FINE_BATCH if pretrained else _BATCH,
        fewest_steps=_FEWEST_STEPS if closed and not single else 1,
        freeze=estimator.freeze,
        freezes_batch_norm=_freezes_batch_norm(estimator, recipe, pretrained),
    )
    return cast("NetworkMixin", resolved)


def starts_closed(estimator: NetworkMixin, X: Any) -> bool:
    """Whether the network starts from the closed form; an explicit wish that cannot be met is refused."""
    if estimator.init == "random":
        return False
    reason = _why_not_closed(estimator, X)
    if reason is not None and estimator.init == "closed_form":
        raise ValueError(f"init='closed_form' {reason}")
    return reason is None


def _why_not_closed(estimator: NetworkMixin, X: Any) -> str | None:
    """Why the network cannot start from the closed form, and what to do; None if it can."""
    module = estimator.module
    if module not in ("auto", "linear") if isinstance(module, str) else True:
        named = repr(module) if isinstance(module, str) else type(module).__name__
        return f"is for module='auto' or 'linear', and module is {named}: use init='random', or module='auto'"
    if estimator.collate_fn is not None:
        return "is for rows of features, and collate_fn makes batches of anything: use init='random'"
    if is_dataset(X):
        return "needs all rows at once, and X is a Dataset: pass an array of rows, or use init='random'"
    if not is_table(X):
        return (
            "is for rows of features, and X holds images: use init='random', or FrozenFeatures in a pipeline "
            "before this learner"
        )
    given = [name for name in _OF_TRUNKS if not _is_open(getattr(estimator, name))]
    given += ["weights"] if is_file(estimator.weights) else []
    if given:
        return f"makes the network itself, and {given[0]} is given: leave it out, or use init='random'"
    width = _width(X)
    if estimator.n_components is not None and width is not None and estimator.n_components > width:
        return (
            f"gives at most as many components as features, and n_components={estimator.n_components} is "
            f"more than the {width} of X: use init='random', or fewer components"
        )
    if width is not None and width > _WIDEST:
        return (
            f"takes the time of a {width} x {width} eigenproblem, and more than {_WIDEST} features are too "
            "many: project with PCA first, or use init='random'"
        )
    if estimator.distance == "poincare" or not estimator.normalize:
        return "ends on the unit sphere: use distance='euclidean' and normalize=True, or init='random'"
    if isinstance(resolve(estimator.augment), TwoViews):
        return "is fitted on labels, and augment='two_views' trains without: use init='random'"
    return None


def _is_open(value: Any) -> bool:
    return value is None or (isinstance(value, dict | list | tuple) and not value)


def _width(X: Any) -> int | None:
    """Number of features of rows, where it can be told without reading them."""
    shape: tuple[int, ...] | None = getattr(X, "shape", None)
    if shape is None and isinstance(X, list | tuple) and X and hasattr(X[0], "__len__"):
        return len(X[0])
    return int(shape[1]) if shape is not None and len(shape) == 2 else None


def _is_pretrained(estimator: NetworkMixin) -> bool:
    """Whether the module is a name of timm, with weights."""
    module = estimator.module
    return isinstance(module, str) and module not in ("auto", *MODULES) and estimator.weights is not None


def _loss(estimator: NetworkMixin, closed: bool) -> Any:
    """The loss; "auto" is another one for a network that starts from the closed form."""
    is_open = isinstance(estimator.loss, str) and estimator.loss == "auto"
    return SmoothAPLoss(temperature=_TEMPERATURE) if is_open and closed else estimator.loss


def _freezes_batch_norm(estimator: NetworkMixin, recipe: Any, pretrained: bool) -> bool | None:
    """Whether batch norms are frozen besides what `freeze` says; None: those that there are."""
    if recipe.freeze_batch_norm is None:
        return None if pretrained and estimator.freeze is None else False
    return recipe.freeze_batch_norm


# What would be ignored is refused


def _check_recipe(estimator: NetworkMixin, recipe: Any, *, closed: bool, single: bool) -> None:
    if estimator.fine_tuning is None:
        return
    check_params(recipe)
    if closed:
        for name, idle in (("freeze_batch_norm", None), ("layer_rates", None), ("unfreeze_epochs", 0)):
            if getattr(recipe, name) not in (idle, False):
                raise ValueError(
                    f"fine_tuning.{name} is for the parts of a trunk, and the network starts from the closed "
                    f"form, with one layer behind it: leave {name} out, or use init='random'"
                )
    if recipe.warm_up and (callable(estimator.schedule) or estimator.schedule in _OWN_RISE):
        raise ValueError(
            f"fine_tuning.warm_up={recipe.warm_up:g}, but schedule={estimator.schedule!r} sets the rise of "
            "the learning rates itself: use warm_up=0, or schedule=None or 'cosine'"
        )
    if single and (recipe.warm_up or recipe.unfreeze_epochs):
        name = "warm_up" if recipe.warm_up else "unfreeze_epochs"
        raise ValueError(f"fine_tuning.{name} goes over several epochs, and partial_fit is one: use fit")
    if 0 < recipe.unfreeze_epochs >= estimator.max_epochs and not estimator.warm_start:
        raise ValueError(
            f"fine_tuning.unfreeze_epochs={recipe.unfreeze_epochs} with max_epochs={estimator.max_epochs} "
            "never trains the first parts of the network: use more max_epochs, or freeze these parts"
        )
    _check_rates(recipe.layer_rates)


def _check_rates(layer_rates: Any) -> None:
    for name, rate in (layer_rates or {}).items() if isinstance(layer_rates, Mapping) else ():
        number = isinstance(rate, int | float) and not isinstance(rate, bool)
        if not isinstance(name, str) or not name or not number or not 0 < rate < float("inf"):
            raise ValueError(
                f"fine_tuning.layer_rates maps names of parts to factors above 0; got {name!r}: {rate!r}. To "
                "hold a part still, name it in freeze"
            )


def _check_head(estimator: NetworkMixin, *, single: bool) -> None:
    if estimator.head is None:
        return
    if single or estimator.warm_start:
        what = "partial_fit" if single else "warm_start=True"
        raise ValueError(
            f"head={estimator.head!r} is fitted once, when training has ended, and {what} trains on: use "
            "head=None, or one fit with warm_start=False"
        )
    if estimator.distance == "poincare":
        raise ValueError(f"head={estimator.head!r} is not for distance='poincare': use head=None")


# Around the training


def without_recipe(estimator: NetworkMixin) -> NetworkMixin:
    """Parameters of a learner that has none of those to fill in."""
    return cast("NetworkMixin", Resolved(estimator, fine_tuning=NOTHING, freezes_batch_norm=False))


def retrains(estimator: NetworkMixin) -> bool:
    """Whether a network is trained on all classes once validation has found the number of epochs.

    Raises
    ------
    ValueError
        If that is asked for together with `warm_start`.
    """
    if estimator.refit == "auto":
        return estimator.validation_fraction == "auto" and not estimator.warm_start
    if estimator.refit and estimator.warm_start:
        raise ValueError(
            "refit=True trains a new network on all classes in the end, and warm_start=True goes on with the "
            "old one: use refit=False, or warm_start=False"
        )
    return bool(estimator.refit)
