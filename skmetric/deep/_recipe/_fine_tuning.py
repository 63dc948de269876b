"""FineTuning: how a pretrained network is trained further without losing what it knows."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Literal

from skmetric._documented import DocumentedMixin
from skmetric._params import Interval, StrOptions
from skmetric._sklearn import BaseEstimator


class FineTuning(DocumentedMixin, BaseEstimator):
    """Recipe for training a pretrained network further.

    It is the parameter `fine_tuning` of :class:`DeepMetricLearner`. With its defaults it changes nothing,
    except that it freezes the batch norms of networks with a timm name and weights. A setting that would be
    ignored for the network or the loss at hand is refused by `fit`.

    Parameters
    ----------
    freeze_batch_norm : bool, default=None
        Keep weights and statistics of batch norms as they are. None: if the network has a timm name and
        weights, and `freeze` is None. True is refused for a network without batch norms.
    layer_rates : dict of str to float, default=None
        Factors of the learning rate for parts of the network, by their names in ``named_modules()``;
        "trunk" is the whole network before the layers that the learner adds. The longest name that covers a
        weight counts: ``{"trunk": 0.1, "blocks.6": 0.5}``.
    unfreeze_epochs : int, default=0
        Gradual unfreezing [1]_: the first epoch trains only the layers behind the trunk, then the parts of
        the trunk join one after the other, the last one first. After this number of epochs all of them are
        trained.
    warm_up : float, default=0.0
        Share of the steps in which the learning rates rise linearly from 0. With ``schedule="cosine"`` both
        apply; schedules that have their own rise, and those of torch, are refused.
    ema : float, default=None
        Train as usual, but score and keep an exponential moving average of the weights [2]_: after each step
        it keeps this share of itself. Values from 0.9 to 0.999 are usual. In the first steps the share is
        smaller.
    accumulate : int, default=1
        Number of batches whose gradients are added up before a step. The loss still compares samples within
        one batch only.
    grad_cache : int, default=None
        Number of samples that the network holds at once in training. A larger batch is embedded in parts,
        with the exact gradient of the loss of the whole batch [3]_: the memory for activations is that of one
        part, and each step costs one more forward pass. Random numbers, as in dropout, are the same in both
        passes, and running statistics are updated once. Only batch norms give other values: they use the
        statistics of a part, so freeze them, or use a part of at least 32 samples. None: the batch as a
        whole.
    proxies : {"random", "class_means"}, default="random"
        Where the proxies of a loss start. "class_means": at the mean embedding of each class under the
        untrained network. It needs a loss with proxies.

    See Also
    --------
    DeepMetricLearner : Its parameter `fine_tuning` takes this object.

    References
    ----------
    .. [1] J. Howard, S. Ruder, "Universal language model fine-tuning for text classification", ACL 2018.
    .. [2] B. Polyak, A. Juditsky, "Acceleration of stochastic approximation by averaging", SIAM Journal on
       Control and Optimization, 1992.
    .. [3] L. Gao, Y. Zhang, J. Han, J. Callan, "Scaling deep contrastive learning batch size under memory
       limited setup", RepL4NLP 2021.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmetric.deep import DeepMetricLearner, FineTuning
    >>> digits = load_digits()
    >>> recipe = FineTuning(ema=0.9, accumulate=2)
    >>> learner = DeepMetricLearner("conv4", fine_tuning=recipe, max_epochs=1, random_state=0)
    >>> learner.fit(digits.images[:200], digits.target[:200]).n_components_
    64
    """

    grad_cache: int | None = None  # which pickles of earlier versions lack

    _parameter_constraints = {
        "freeze_batch_norm": ["boolean", None],
        "layer_rates": [Mapping, None],
        "unfreeze_epochs": [Interval(Integral, 0, None, closed="left")],
        "warm_up": [Interval(Real, 0, 1, closed="both")],
        "ema": [Interval(Real, 0, 1, closed="neither"), None],
        "accumulate": [Interval(Integral, 1, None, closed="left")],
        "grad_cache": [Interval(Integral, 1, None, closed="left"), None],
        "proxies": [StrOptions({"random", "class_means"})],
    }

    def __init__(
        self,
        freeze_batch_norm: bool | None = None,
        *,
        layer_rates: Mapping[str, float] | None = None,
        unfreeze_epochs: int = 0,
        warm_up: float = 0.0,
        ema: float | None = None,
        accumulate: int = 1,
        grad_cache: int | None = None,
        proxies: Literal["random", "class_means"] = "random",
    ) -> None:
        self.freeze_batch_norm = freeze_batch_norm
        self.layer_rates = layer_rates
        self.unfreeze_epochs = unfreeze_epochs
        self.warm_up = warm_up
        self.ema = ema
        self.accumulate = accumulate
        self.grad_cache = grad_cache
        self.proxies = proxies


NOTHING = FineTuning()  # what a learner without a recipe does
