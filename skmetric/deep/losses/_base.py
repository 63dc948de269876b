"""The contract of a loss: ``loss(embeddings, labels) -> scalar tensor``, larger is worse.

- A `Loss` holds hyperparameters only, so that ``get_params``, ``clone``, ``repr`` and a grid over
  ``loss__margin`` work. What it learns itself (proxies, a boundary) lives in what `Loss.bind` returns.
- The user's loop calls ``loss.bind(n_components, n_classes)`` once and then that, batch by batch: the loss
  itself if it learns nothing, else an ``nn.Module`` whose ``parameters()`` go to the optimizer.
- Arithmetic is in float32 whatever the dtype of the embeddings, also inside ``torch.autocast``; float64
  stays. A gradient too large for half precision saturates at the largest finite number.
- **A batch that lacks positives or negatives** warns with :class:`skmetric.exceptions.NothingToLearnWarning`
  and goes on: the value comes from what there is, and is a 0 that keeps the graph if there is nothing. A loop
  thus survives one odd batch; one that must not go on turns the warning into an error:
  ``warnings.simplefilter("error", NothingToLearnWarning)``. The learners warn at the end of the epoch, so
  that no batch waits for the device: see ``_epoch.py``. A 0 without a warning means that every tuple is
  already where the loss wants it.
- Memory is O(batch²): no loss lists triplets.
- A value is a mean over rows, pairs or triplets. ``weights=`` of a call weighs the rows of the batch in it,
  as anchors: ``weights=class_weights[labels]`` weighs classes. ``reduction="none"`` gives the value of each
  row instead, from its own pairs alone, and 0 for a row that has none. A loss that is not made of rows
  refuses both.
- A loss of tuples that may stop counting (hinges, mining by a slack) sets `active_share_` at each call, which
  the training loop notes: the share of the valid tuples that have a gradient, a scalar tensor that makes no
  device wait; 0 where no tuple is valid. A softmax over tuples counts all of them always: it sets nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
from sklearn.base import clone
from torch import nn

from skmetric._documented import DocumentedMixin
from skmetric._params import fit_context
from skmetric._sklearn import BaseEstimator
from skmetric._warning import warn
from skmetric.exceptions import NothingToLearnWarning

from ._epoch import when_known
from ._reduction import Reduction, read_reduction

_GRADED = "SupConLoss, LogRatioLoss and CosineRegressionLoss"  # losses with a parameter `relevance`


class Loss(DocumentedMixin, BaseEstimator, ABC):
    """A loss of embeddings and integer labels; a subclass writes ``__call__`` and ``_bind``."""

    _parameter_constraints: dict = {}
    active_share_: torch.Tensor | None = None  # of the last call
    _by_row = True  # whether the value is a mean over rows, which can be weighed or given one by one

    def __getstate__(self):
        # a number of the last batch, perhaps on a GPU, is no part of the loss
        return {name: value for name, value in super().__getstate__().items() if name != "active_share_"}

    @abstractmethod
    def __call__(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Scalar tensor of embeddings (batch, n_components) and integer labels (batch,)."""

    def _reduction(self, reduction: str, weights: torch.Tensor | None, embeddings: torch.Tensor) -> Reduction:
        """How costs become the value of this call."""
        reduce = read_reduction(reduction, weights, embeddings)
        if not (self._by_row or reduce.is_plain):
            raise ValueError(
                f"{type(self).__name__} has one value for the whole batch, which is no mean over rows: leave "
                "out weights= and reduction="
            )
        return reduce

    @abstractmethod
    def _bind(self, n_components: int, n_classes: int, generator: torch.Generator | None):
        """Return what the training loop calls."""

    @fit_context(prefer_skip_nested_validation=True)
    def bind(self, n_components: int, n_classes: int, *, generator: torch.Generator | None = None) -> Any:
        """Validate the hyperparameters and return what the training loop calls.

        Parameters
        ----------
        n_components : int
            Width of the embeddings.
        n_classes : int
            Number of classes; labels are 0 to `n_classes` - 1 where the loss owns proxies.
        generator : torch.Generator, default=None
            Draws initial values; None draws them from torch's global generator.

        Returns
        -------
        Loss or nn.Module
            Called as ``bound(embeddings, labels)``. A module owns the parameters that the loss learns.
        """
        return self._bind(n_components, n_classes, generator)


class BatchLoss(Loss):
    """A loss that learns nothing itself: a subclass writes ``_value(embeddings, labels, reduce)``."""

    def __call__(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        *,
        weights: torch.Tensor | None = None,
        reduction: str = "mean",
    ) -> torch.Tensor:
        embeddings, labels = check_batch(embeddings, labels, self)
        reduce = self._reduction(reduction, weights, embeddings)
        with full_precision(embeddings):
            return self._value(embeddings, labels, reduce)

    def _bind(self, n_components: int, n_classes: int, generator: torch.Generator | None):
        return self

    @abstractmethod
    def _value(self, embeddings: torch.Tensor, labels: torch.Tensor, reduce: Reduction) -> torch.Tensor:
        """Value of float32 or float64 embeddings."""


class StatefulLoss(Loss):
    """A loss that must be bound before it is called, for it learns or remembers something."""

    def __call__(self, embeddings: torch.Tensor, labels: torch.Tensor, **options: Any) -> torch.Tensor:
        name = type(self).__name__
        raise TypeError(
            f"{name} learns itself: call {name}.bind(n_components, n_classes) once, then what it gives"
        )


class ParametricLoss(StatefulLoss):
    """A loss with parameters: a subclass writes ``_parameters`` and ``_value``."""

    def _bind(self, n_components: int, n_classes: int, generator: torch.Generator | None):
        return BoundLoss(clone(self), self._parameters(n_components, n_classes, generator), n_classes)

    @abstractmethod
    def _parameters(self, n_components: int, n_classes: int, generator: torch.Generator | None):
        """Initial values, a tensor for each name."""

    @abstractmethod
    def _value(self, *batch: Any, **parameters: Any) -> torch.Tensor:
        """Value of embeddings, labels, the reduction, and the tensors that ``_parameters`` names."""


class TellsShare:
    """A module around one `loss`, whose share of active tuples it hands on."""

    loss: Any

    @property
    def active_share_(self) -> torch.Tensor | None:
        """Share of active tuples in the last call; None if the loss does not tell."""
        return getattr(self.loss, "active_share_", None)


class BoundLoss(TellsShare, nn.Module):
    """A loss together with the parameters it learns."""

    def __init__(self, loss, parameters, n_classes: int) -> None:
        super().__init__()
        self.loss, self.n_classes = loss, n_classes
        for name, values in parameters.items():
            self.register_parameter(name, nn.Parameter(values))
        if isinstance(distance := getattr(loss, "distance", None), nn.Module):
            self.distance = distance  # it moves between devices, and may learn

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        *,
        weights: torch.Tensor | None = None,
        reduction: str = "mean",
    ) -> torch.Tensor:
        """Value of the loss, or of each row."""
        embeddings, labels = check_batch(embeddings, labels, self.loss)
        reduce = self.loss._reduction(reduction, weights, embeddings)
        with full_precision(embeddings):
            own = self.named_parameters(recurse=False)
            parameters = {name: widen(values) for name, values in own}
            return self.loss._value(embeddings, labels, reduce, **parameters)

    def extra_repr(self) -> str:
        """What stands in the module's repr."""
        return f"{self.loss!r}, n_classes={self.n_classes}"


def check_batch(embeddings: torch.Tensor, labels: torch.Tensor, loss: Loss | None = None):
    """Embeddings in at least float32 and labels on their device; refuse what is no batch.

    A column of labels (batch, 1) is ravelled. `loss` is what refuses a wider one by name.
    """
    check_embeddings(embeddings)
    labels = _ravelled(labels, loss)
    if not isinstance(labels, torch.Tensor) or labels.shape != embeddings.shape[:1] or len(labels) == 0:
        raise ValueError(
            f"labels must be a tensor ({len(embeddings)},), one for each embedding and at least one; "
            f"got {_described(labels)}"
        )
    if labels.is_floating_point() or labels.is_complex():
        raise ValueError(f"labels must be integers, got {labels.dtype}: encode them first")
    return widen(embeddings), labels.to(embeddings.device, torch.int64)


def check_embeddings(embeddings: torch.Tensor, name: str = "embeddings"):
    """Refuse what is no float tensor of rows."""
    if not isinstance(embeddings, torch.Tensor) or embeddings.ndim != 2 or not embeddings.is_floating_point():
        raise ValueError(f"{name} must be a float tensor (batch, n_components), got {_described(embeddings)}")


def _ravelled(labels, loss):
    """Labels of one column as a vector; several columns are refused."""
    if not isinstance(labels, torch.Tensor) or labels.ndim != 2:
        return labels
    if labels.shape[1] != 1:
        name, relevance = type(loss).__name__, getattr(loss, "relevance", "labels")
        if not (isinstance(relevance, str) and relevance == "labels"):
            raise ValueError(
                f"labels must be one integer for each embedding, and have {labels.shape[1]} columns: in a "
                f"wrapper, {name} takes relevance= as a matrix of grades, and labels that number its rows"
            )
        name = "this loss" if loss is None else name
        raise ValueError(
            f"labels must be one for each embedding, and have {labels.shape[1]} columns: {name} compares "
            f"classes. Several labels or levels of a sample are for {_GRADED} with relevance="
        )
    return labels[:, 0]


def check_labels_in_range(labels: torch.Tensor, n_classes: int):
    """Refuse labels that have no proxy."""
    low, high = labels.aminmax()
    when_known(_refuse_out_of_range, torch.stack([-low, high]), n_classes)


def _refuse_out_of_range(bounds: list[int], n_classes: int):
    low, high = -bounds[0], bounds[1]
    if low < 0 or high >= n_classes:
        raise ValueError(
            f"labels must lie in [0, {n_classes - 1}], for the loss was bound to {n_classes} classes; "
            f"the batch has labels from {low} to {high}"
        )


def _described(thing):
    if isinstance(thing, torch.Tensor):
        return f"a tensor of {thing.dtype} and shape {tuple(thing.shape)}"
    return type(thing).__name__


def full_precision(tensor: torch.Tensor):
    """Context that switches ``torch.autocast`` off."""
    return torch.autocast(tensor.device.type, enabled=False)


class _Widen(torch.autograd.Function):
    """Half precision to float32; on the way back a gradient out of range saturates, it is not made inf."""

    @staticmethod
    def forward(ctx, tensor):
        ctx.dtype = tensor.dtype
        return tensor.float()

    @staticmethod
    def backward(ctx, gradient):
        limits = torch.finfo(ctx.dtype)
        return gradient.clamp(limits.min, limits.max).to(ctx.dtype)


def widen(tensor: torch.Tensor):
    """The tensor in float32, or as it is in float32 and float64."""
    return tensor if tensor.dtype in (torch.float32, torch.float64) else _Widen.apply(tensor)


def share_of(active: Iterable[torch.Tensor], valid: Iterable[torch.Tensor]):
    """Share of the tuples that some masks mark among those that others mark; 0 if none is marked."""
    return share(sum(mask.sum() for mask in active), sum(mask.sum() for mask in valid))


def share(n_active, n_valid):
    """Share of one count in another, both scalar tensors; 0 of 0 is 0."""
    return n_active / n_valid.clamp_min(1)


def report(message: str):
    """Tell the training loop that a batch lacks something."""
    warn(message, NothingToLearnWarning)


def report_missing(positive: torch.Tensor, negative: torch.Tensor, where: torch.Tensor | bool = True):
    """Warn of a batch in which no pair is positive, or none is negative, if `where` is true."""
    when_known(_report_lacking, torch.stack([~positive.any(), ~negative.any()]) & where)


def _report_lacking(lacks: list[bool]):
    lacks_positive, lacks_negative = lacks
    if lacks_positive:
        report(
            "no two samples of the batch share a label: draw at least two of a class (BalancedBatchSampler)"
        )
    if lacks_negative:
        report("all samples of the batch share one label: draw at least two classes (BalancedBatchSampler)")
