"""DeepMetricLearner: a network trained so that Euclidean distance between its outputs is the metric."""

from functools import partial
from numbers import Integral, Real

import torch
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skmetric._params import Interval, StrOptions, fit_context
from skmetric._torch import PackedModule, pack_module, resolve_device, unpack_module
from skmetric.base import MetricLearnerMixin

from ._assembly import embed
from ._callbacks import EpochTasks
from ._checkpoint import pack
from ._criterion import margin_of
from ._data import read_samples
from ._diagnosis import warn_of_failure
from ._optim import OPTIMIZERS, SCHEDULES
from ._session import fitted_state, open_session
from ._training import train

_POSITIVE = Interval(Real, 0, None, closed="neither")
_COUNT = Interval(Integral, 1, None, closed="left")


class DeepMetricLearner(MetricLearnerMixin, CallbackSupportMixin, BaseEstimator):
    """Metric learned by a network, from class labels, on rows of features or on images.

    Batches hold some samples of some classes; a loss pulls samples of a class together and pushes classes
    apart; the learned distance is the Euclidean one between the network's outputs, on the unit sphere by
    default. What counts is how well classes are told apart that were never trained on: hold some out with
    `validation_fraction`, and the epoch that does best on them is kept.

    Parameters
    ----------
    module : str, nn.Module or callable, default="auto"
        The network: "mlp", "linear", "conv4" or "tutorial_conv" of :mod:`skmetric.deep.modules` ("auto" is
        "mlp" for features, "conv4" for images); a network, copied at `fit`; or what makes one:
        ``module(input_shape) -> nn.Module``, with ``(n_features,)`` or ``(C, H, W)``.
    n_components : int, default=None
        Dimension of the embedding. None takes what the network gives.
    normalize : bool, default=True
        Scale embeddings to unit length, as most margins expect.
    loss : str, Loss, nn.Module or callable, default="multi_similarity"
        Name of a loss of :mod:`skmetric.deep.losses` ("multi_similarity" for ``MultiSimilarityLoss``) or one
        of them, copied at `fit`; or any function or module of ``(embeddings, labels)`` that returns one
        number, a loss of pytorch-metric-learning among them. What it sets as ``active_share_`` when it is
        called is noted in `history_`.
    margin : float, default=None
        Margin of the loss; None leaves the loss its own. Refused if the loss has none.
    distance : {"euclidean", "cosine"}, default="euclidean"
        "cosine" asks for the unit sphere, where Euclidean and cosine distance order alike, and refuses
        ``normalize=False``. What the loss compares by is the loss's own affair.
    classes_per_batch : int, default=None
        Classes in a batch. None is 16, or all if there are fewer. With two views: samples, and None is 64.
    samples_per_class : int, default=None
        Samples of each of them. None fills batches of about 64 as far as classes go. With two views: 1.
    steps_per_epoch : int, default=None
        Batches in an epoch. None is as many as hold `n_samples` samples.
    max_epochs : int, default=20
        Epochs to train; with `warm_start`, epochs to add.
    optimizer : {"adam", "adamw", "sgd"} or callable, default="adam"
        "sgd" has momentum 0.9. A callable takes ``(groups, lr=..., weight_decay=...)``, as the classes of
        ``torch.optim`` do.
    learning_rate : float, default=1e-3
        Of the network.
    proxy_learning_rate : float, default=1e-2
        Of what the loss learns itself, as proxies.
    weight_decay : float, default=0.0
        Of the network.
    schedule : {"one_cycle", "cosine", "warmup"}, default=None
        Course of the learning rates over all epochs of a call of `fit`. None keeps them.
    clip_norm : float, default=None
        Longest gradient.
    augment : str, callable or list of them, default=None
        What changes batches while training. Names are those of :mod:`skmetric.deep.augment` for images of
        floats from 0 to 1: "flip", "shift_crop", "color", "erasing", "affine"; a callable is
        ``augment(batch) -> batch`` on float tensors (n_batch, C, H, W) or (n_batch, n_features), whose chance
        must come from torch. Those of a list follow one another.
        "two_views" trains without labels, as "sim_clr", "vicreg" and "barlow_twins" do: each sample is a
        class of its own, with two independently augmented views in the batch. `y` may then be None in `fit`;
        given, it serves validation alone. By itself it is ``["two_views", "shift_crop", "color"]``.
    validation_fraction : float, default=None
        Share of the *classes* held out, at least two; scored after each epoch, and the best epoch is kept.
        None is 0.2 with `early_stopping`, else 0.
    early_stopping : bool, default=False
        Stop after `patience` epochs without a better score.
    patience : int, default=5
        Epochs to wait.
    scoring : str, list of str or callable, default="map_at_r"
        Retrieval scores of held-out classes, see :class:`skmetric.metrics.RetrievalScorer`, or a scorer
        ``(estimator, X, y)``. The first of several decides.
    warm_start : bool, default=False
        Go on from the last `fit`, with its weights, moments and numbers of epochs: two fits of 2 epochs are
        one of 4, but for a `schedule`, which starts again. Set it before the first `fit`.
    precision : {"auto", "fp32", "bf16", "fp16"}, default="auto"
        What the network computes in. "auto" is bf16 on a CUDA device that has it, else fp32. Losses and
        embeddings are float32 in each case.
    device : "auto", str or torch.device, default="auto"
        "auto" is a CUDA device where there is one, else the CPU.
    channel_axis : {"auto", "first", "last"}, default="auto"
        Where images have their channels. "auto" refuses what could be read both ways.
    random_state : int, RandomState instance or None, default=None
        All chance: weights, classes held out, batches, dropout, augmentation. On one CPU thread the same int
        gives the same bits.

    Attributes
    ----------
    module_ : nn.Module
        The network, of the best epoch if classes were held out, else of the last.
    loss_ : callable
        What was minimised, with what it learned itself.
    history_ : list of dict
        A row an epoch: ``epoch`` (from 1), ``loss``, ``active_share`` of tuples (NaN if the loss does not
        tell), ``mean_positive_distance``, ``mean_negative_distance``, ``mean_norm`` and ``effective_rank`` of
        the last 8 batches, ``seconds``, and ``validation_`` with each score.
    best_epoch_ : int
        Number of the epoch whose weights were kept.
    classes_ : ndarray of shape (n_classes,)
        Labels seen, those held out included; none where `y` was None.
    validation_classes_ : ndarray
        Labels held out in the last `fit`.
    input_shape_ : tuple of int
        Shape of one sample: ``(n_features,)`` or ``(C, H, W)``.
    n_components_ : int
        Dimension of the embedding.
    n_features_in_ : int
        Number of features, for rows of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features, where `X` had string names.

    See Also
    --------
    skmetric.MetricLearner : A linear metric in closed form: seconds instead of minutes, and hard to beat on
        features of a good network.

    Notes
    -----
    ``Ctrl-C`` ends training with a warning and leaves the network as it stands. A loss that becomes NaN ends
    it with a :class:`~skmetric.exceptions.DivergenceWarning` and the state before that epoch.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmetric.deep import DeepMetricLearner
    >>> digits = load_digits()
    >>> learner = DeepMetricLearner(max_epochs=1, n_components=16, random_state=0)
    >>> learner.fit(digits.images, digits.target).transform(digits.images[:3]).shape
    (3, 16)
    """

    _parameter_constraints = {
        "module": [str, nn.Module, callable],
        "n_components": [_COUNT, None],
        "normalize": ["boolean"],
        "loss": [str, callable],
        "margin": [Real, None],
        "distance": [StrOptions({"euclidean", "cosine"})],
        "classes_per_batch": [Interval(Integral, 2, None, closed="left"), None],
        "samples_per_class": [_COUNT, None],
        "steps_per_epoch": [_COUNT, None],
        "max_epochs": [_COUNT],
        "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
        "learning_rate": [_POSITIVE],
        "proxy_learning_rate": [_POSITIVE],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "schedule": [StrOptions({name for name in SCHEDULES if name}), None],
        "clip_norm": [_POSITIVE, None],
        "augment": [str, list, tuple, callable, None],
        "validation_fraction": [Interval(Real, 0, 1, closed="left"), None],
        "early_stopping": ["boolean"],
        "patience": [_COUNT],
        "scoring": [str, list, tuple, callable],
        "warm_start": ["boolean"],
        "precision": [StrOptions({"auto", "fp32", "bf16", "fp16"})],
        "device": [str, torch.device],
        "channel_axis": [StrOptions({"auto", "first", "last"})],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        module="auto",
        *,
        n_components=None,
        normalize=True,
        loss="multi_similarity",
        margin=None,
        distance="euclidean",
        classes_per_batch=None,
        samples_per_class=None,
        steps_per_epoch=None,
        max_epochs=20,
        optimizer="adam",
        learning_rate=1e-3,
        proxy_learning_rate=1e-2,
        weight_decay=0.0,
        schedule=None,
        clip_norm=None,
        augment=None,
        validation_fraction=None,
        early_stopping=False,
        patience=5,
        scoring="map_at_r",
        warm_start=False,
        precision="auto",
        device="auto",
        channel_axis="auto",
        random_state=None,
    ):
        self.module = module
        self.n_components = n_components
        self.normalize = normalize
        self.loss = loss
        self.margin = margin
        self.distance = distance
        self.classes_per_batch = classes_per_batch
        self.samples_per_class = samples_per_class
        self.steps_per_epoch = steps_per_epoch
        self.max_epochs = max_epochs
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.proxy_learning_rate = proxy_learning_rate
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.clip_norm = clip_norm
        self.augment = augment
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.patience = patience
        self.scoring = scoring
        self.warm_start = warm_start
        self.precision = precision
        self.device = device
        self.channel_axis = channel_axis
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)  # which also ends the callbacks, as with_callbacks does
    def fit(self, X, y=None):
        """Train the network.

        Parameters
        ----------
        X : array of shape (n_samples, n_features), (n, H, W), (n, H, W, C) or (n, C, H, W)
            Rows of features, or images: uint8 (the network gets floats from 0 to 1), bool or float.
        y : array-like of shape (n_samples,), default=None
            Their classes: numbers or strings; at least two. None only with two views, see `augment`.

        Returns
        -------
        self : DeepMetricLearner
            Fitted.

        Raises
        ------
        ValueError
            On data, or a combination of parameters, that cannot be trained on; the message says which.
        """
        goes_on = self.warm_start and hasattr(self, "module_")
        return self._fit(X, y, n_epochs=self.max_epochs, keep=self.warm_start, goes_on=goes_on)

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, classes=None):
        """Train one epoch on these samples, from where the last call ended; no class is held out.

        Parameters
        ----------
        X : array of shape (n_samples, n_features), (n, H, W), (n, H, W, C) or (n, C, H, W)
            More samples.
        y : array-like of shape (n_samples,), default=None
            Their classes; None only with two views.
        classes : array-like, default=None
            In the first call: all labels to come. A loss with proxies needs them, others take new ones at any
            time.

        Returns
        -------
        self : DeepMetricLearner
            Fitted.

        Raises
        ------
        ValueError
            As `fit`; or if a loss with proxies meets a label that it has none for.
        """
        goes_on = hasattr(self, "module_")
        return self._fit(X, y, n_epochs=1, keep=True, goes_on=goes_on, single=True, classes=classes)

    def transform(self, X):
        """Map samples into the learned space, where the Euclidean distance is the learned one.

        Parameters
        ----------
        X : array of shape (n_samples, n_features), (n, H, W), (n, H, W, C) or (n, C, H, W)
            Samples of the shape fitted on.

        Returns
        -------
        embeddings : ndarray of shape (n_samples, n_components), float32
            Of length 1 with ``normalize=True``.

        Raises
        ------
        ValueError
            On samples of another kind, size or number of channels than fitted.
        """
        check_is_fitted(self)
        return self._embed(read_samples(self, X))

    def _embed(self, X):
        return embed(self.module_, X, resolve_device(self.device), self.precision)

    def _fit(self, X, y, *, n_epochs, keep, **how):
        """Open a session, train, store what it ends with."""
        context = self._init_callback_context(max_subtasks=n_epochs)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        session = open_session(self, X, y, n_epochs=n_epochs, **how)
        n_before = len(session.training.history)
        tasks = EpochTasks(self, context, X, y, fitted=partial(fitted_state, session))
        last = train(session.training, session.plan, session.validate, tasks)
        warn_of_failure(session.training.history[n_before:], margin_of(session.training.loss))
        vars(self).update(fitted_state(session))
        if keep:
            self._checkpoint = pack(session.training, last)
        context.call_on_fit_task_end(estimator=self, X=X, y=y, reconstruction_attributes={})
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def __getstate__(self):
        """Pack each module once: equal estimators then have equal pickles, which load without a GPU."""
        state = dict(super().__getstate__())
        packed = {id(value): pack_module(value) for value in state.values() if isinstance(value, nn.Module)}
        return {name: packed.get(id(value), value) for name, value in state.items()}

    def __setstate__(self, state):
        """Put the modules together again, on the CPU."""
        modules = {id(v): unpack_module(v) for v in state.values() if isinstance(v, PackedModule)}
        super().__setstate__({name: modules.get(id(value), value) for name, value in state.items()})
