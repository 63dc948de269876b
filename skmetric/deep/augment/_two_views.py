"""Two views of each sample, for training without labels."""

from collections.abc import Sequence
from typing import Any

import torch

from skmetric._documented import DocumentedMixin
from skmetric._sklearn import BaseEstimator

from ._named import TWO_VIEWS, chain, check_steps, steps_of

_USUAL = ("shift_crop", "color")  # the two that SimCLR finds to count most


class TwoViews(DocumentedMixin, BaseEstimator):
    """Augment a batch twice, so that a loss can find the two views of a sample again [1]_.

    The result has the first view of every sample, then the second view of every sample, as label-free losses
    want it: :class:`~skmetric.deep.losses.SimCLRLoss`, :class:`~skmetric.deep.losses.VICRegLoss`,
    :class:`~skmetric.deep.losses.BarlowTwinsLoss`. The labels of such a batch are ``arange(n)``, twice.

    Parameters
    ----------
    augment : str, callable or list of them, default=None
        What makes a view: names as in :class:`~skmetric.deep.DeepMetricLearner`, or callables. None is a
        random shift and a change of colours, for images.

    See Also
    --------
    skmetric.deep.losses.SimCLRLoss : A loss of two views.
    skmetric.deep.losses.VICRegLoss : Another, without negatives.

    References
    ----------
    .. [1] T. Chen et al., "A simple framework for contrastive learning of visual representations", ICML 2020.

    Examples
    --------
    >>> import torch
    >>> from skmetric.deep.augment import TwoViews
    >>> TwoViews(["flip", "color"])(torch.rand(8, 3, 32, 32)).shape
    torch.Size([16, 3, 32, 32])
    """

    def __init__(self, augment: Any = None) -> None:
        self.augment = augment

    def __call__(self, samples: torch.Tensor) -> torch.Tensor:
        view = chain(self._steps())
        return torch.cat([view(samples), view(samples)])

    def check(self, input_shape: Sequence[int]) -> None:
        """Refuse samples that the augmentations of a view cannot change.

        Parameters
        ----------
        input_shape : tuple of int
            Shape of one sample: ``(C, H, W)``, or ``(n_features,)``.

        Raises
        ------
        ValueError
            If a view's augmentation is unknown, or for images and the samples are none.
        """
        steps = self._steps()
        if self.augment is None and len(input_shape) != 3:
            raise ValueError(
                f"augment={TWO_VIEWS!r} alone shifts and recolours images, and samples have shape "
                f"{tuple(input_shape)}: pass a list of it and a function of (n_batch, n_features) tensors"
            )
        check_steps(steps, input_shape)

    def _steps(self):
        return steps_of(_USUAL if self.augment is None else self.augment)


def check_for_collated(augment: Any) -> None:
    """Refuse what is for images and rows where a collate function makes the batches."""
    if hasattr(augment, "check"):  # it is of this package
        raise ValueError(
            f"augment={augment!r} is for images and rows of features, and X is collated: pass a function of "
            "the batch, which keeps the number of samples, or change samples in the Dataset"
        )


def resolve(augment: Any):
    """What the training loop calls on a batch.

    Parameters
    ----------
    augment : str, callable, list of them or None
        The learner's parameter.

    Returns
    -------
    callable or None
        A `TwoViews` if that is asked for.

    Raises
    ------
    ValueError
        If a name is unknown, or `TwoViews` is not the outermost.
    """
    if augment is None or callable(augment):
        return augment
    entries = list(augment) if isinstance(augment, list | tuple) else [augment]
    views = [entry for entry in entries if isinstance(entry, str) and entry == TWO_VIEWS]
    others = [entry for entry in entries if not (isinstance(entry, str) and entry == TWO_VIEWS)]
    if len(entries) > 1 and any(isinstance(entry, TwoViews) for entry in entries):
        raise ValueError("augment holds TwoViews among others: put them inside, TwoViews([...])")
    if views:
        return TwoViews(others or None)
    return chain(steps_of(others)) if others else None
