"""DeepMetricLearner: a network trained so that Euclidean distance between its outputs is the metric."""

from functools import partial
from numbers import Integral, Real
from os import PathLike

import torch
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skmetric._params import Interval, StrOptions, fit_context
from skmetric.base import MetricLearnerMixin

from ._ball import ball_distance, ball_of, rankings_on
from ._data._input import labels_of
from ._data._labelled import read_samples
from ._estimator import NetworkMixin
from ._network._trunk import LAYERS
from ._training._optim import OPTIMIZERS, SCHEDULES
from ._training._session import fitted_state, open_session

_POSITIVE = Interval(Real, 0, None, closed="neither")
_COUNT = Interval(Integral, 1, None, closed="left")


class DeepMetricLearner(NetworkMixin, MetricLearnerMixin, CallbackSupportMixin, BaseEstimator):
    """Metric learned by a network, from class labels, on rows of features or on images.

    Batches hold some samples of some classes; a loss pulls samples of a class together and pushes classes
    apart; the learned distance is the Euclidean one between the network's outputs, on the unit sphere by
    default. What counts is how well classes are told apart that were never trained on: hold some out with
    `validation_fraction`, and the epoch that does best on them is kept.

    Parameters
    ----------
    module : str, nn.Module or callable, default="auto"
        The network: "mlp", "linear", "conv4", "small_resnet" or "tutorial_conv" of
        :mod:`skmetric.deep.modules` ("auto" is "mlp" for features, "conv4" for images); a name of timm, such
        as "mobilenetv2_100" (needs the extra ``vision``), whose network comes without its classifier and with
        the normalisation of its input; a network, copied at `fit`; or what makes one:
        ``module(input_shape) -> nn.Module``, with ``(n_features,)`` or ``(C, H, W)``.
    weights : str, path-like or None, default="pretrained"
        "pretrained": those that timm has for the name, downloaded once, or those that a given network came
        with. A ``.safetensors`` file, or a ``.pth`` with a state dict; it must fit, but for the classifier of
        a timm name. None: no file; a timm name then has random weights.
    model_kwargs : dict, default=None
        For ``timm.create_model``, such as ``{"pad_type": "same"}``, for the class that a name stands for, or
        for the callable.
    n_components : int, default=None
        Dimension of the embedding. None takes what the network gives; a timm network, and one whose maps are
        pooled, is followed by a linear map to it.
    pooling : {"avg", "max", "gem", "cls"}, default=None
        How maps (n, C, H, W) or tokens (n, n_tokens, C) that the network gives become vectors: "gem" is the
        generalised mean with a learned power, "cls" takes the class token. None: the network pools them.
    normalize : bool, default=True
        Scale embeddings to unit length, as most margins expect. With ``distance="poincare"`` the map into the
        ball stands in its place.
    freeze : str or list of str, default=None
        Names of parts of the network, as in ``named_modules()``, or of weights: what is inside goes with it,
        is not trained, and stays in evaluation mode, batch norm included. "trunk" is the whole of a timm
        network, or of one whose maps are pooled; "batch_norm" are all batch norms in it, as is usual in
        fine-tuning. Layers that are frozen up to some point are run once, not in every epoch, if `augment` is
        None, `X` is in memory and their features take less than 2 GiB.
    loss : str, Loss, nn.Module, callable or tuple, default="auto"
        Name of a loss of :mod:`skmetric.deep.losses` ("multi_similarity" for ``MultiSimilarityLoss``) or one
        of them, copied at `fit`; or any function or module of ``(embeddings, labels)`` that returns one
        number, a loss of pytorch-metric-learning among them; or a tuple ``(loss, miner)`` of that library,
        short for :class:`~skmetric.deep.losses.ForeignLoss`. What it sets as ``active_share_`` when it is
        called is noted in `history_`. "auto" is "multi_similarity", and "hyperbolic_info_nce" with
        ``distance="poincare"``.
    margin : float, default=None
        Margin of the loss; None leaves the loss its own. Refused if the loss has none.
    distance : {"euclidean", "cosine", "poincare"}, default="euclidean"
        "cosine" asks for the unit sphere, where Euclidean and cosine distance order alike, and refuses
        ``normalize=False``. What the loss compares by is the loss's own affair. "poincare" appends
        :class:`~skmetric.deep.modules.PoincareBall`, with the curvature and the clip of the loss:
        `transform` then gives points of that ball, `pair_distance` and retrieval scores go by the distance on
        it, and whatever goes by Euclidean distance between these points, such as scikit-learn's k-NN, orders
        them otherwise; :class:`~skmetric.search.SimilaritySearch` refuses them. Losses that do not compare on
        the ball are refused; a function of your own gets points of it.
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
    compile : bool, default=False
        Run the network through ``torch.compile``, in training and in `transform`. The first batches of each
        take long, and a C++ compiler is needed (on CUDA Triton as well). `module_` stays a plain module.
    device : "auto", str or torch.device, default="auto"
        "auto" is a CUDA device where there is one, else the CPU.
    channel_axis : {"auto", "first", "last"}, default="auto"
        Where images have their channels. "auto" refuses what could be read both ways.
    image_size : int or (int, int), default=None
        Height and width to bring images to: short side first, bilinear and antialiased, then a centre crop.
        None: all images must have one size.
    num_workers : int, default=0
        Processes that read batches of what is not in memory (see the notes), in a torch ``DataLoader``. For
        what is in memory none are started. 0 reads in this process: files in threads, ahead of the network,
        a Dataset batch by batch. The bits are the same.
    random_state : int, RandomState instance or None, default=None
        All chance: weights, classes held out, batches, dropout, augmentation. On one CPU thread the same int
        gives the same bits.

    Attributes
    ----------
    module_ : nn.Module
        The network, of the best epoch if classes were held out, else of the last, in evaluation mode: a
        sequence of the trunk and what follows it.
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
    `X` is one of

    - rows of features: an array or a table of shape (n_samples, n_features);
    - images in one array of shape (n, H, W), (n, H, W, C) or (n, C, H, W);
    - a list of images: of paths, of PIL images, or of arrays;
    - a map-style :class:`torch.utils.data.Dataset`, whose items are samples or pairs (sample, label): a
      sample is an image (tensor, array or PIL image) or a row of features. A list of such pairs does as well:
      scikit-learn's splits, in a search or in cross-validation, make one of a Dataset, each item read once.

    Images are uint8, bool or float; the network gets uint8 as floats from 0 to 1. Files are turned upright by
    their Exif tag, and grey files among colour ones, or given to a network fitted on colour, are repeated for
    its three channels; an array must have the channels fitted on.

    **What is in memory.** Arrays are. Images of a list are read, decoded and resized once, and kept while
    `fit` runs, if they take no more than 2 GiB; else they are read again in each epoch, as the items of a
    Dataset always are. Nothing of it stays in the fitted learner. Chance in a Dataset must come from
    torch: it is drawn anew in each epoch of `fit`, and is the same in each `transform`.

    **Layout.** On a CPU, networks get images channels last, on which convolutions are faster, if all their
    layers are torch's or of this package, or they come from timm. A network with code of its own gets them
    contiguous, and may take any ``view``; so does `augment`. The results differ in their last digits.

    A function without a name of its own, as a lambda, is pickled by value, by the cloudpickle that comes with
    joblib: it loads where its Python version is the same.

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
        "weights": [str, PathLike, None],
        "model_kwargs": [dict, None],
        "n_components": [_COUNT, None],
        "pooling": [StrOptions(set(LAYERS)), None],
        "normalize": ["boolean"],
        "freeze": [str, list, tuple, None],
        "loss": [str, callable, tuple],
        "margin": [Real, None],
        "distance": [StrOptions({"euclidean", "cosine", "poincare"})],
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
        "compile": ["boolean"],
        "device": [str, torch.device],
        "channel_axis": [StrOptions({"auto", "first", "last"})],
        "image_size": [_COUNT, "array-like", None],
        "num_workers": [Interval(Integral, 0, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        module="auto",
        *,
        weights="pretrained",
        model_kwargs=None,
        n_components=None,
        pooling=None,
        normalize=True,
        freeze=None,
        loss="auto",
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
        compile=False,
        device="auto",
        channel_axis="auto",
        image_size=None,
        num_workers=0,
        random_state=None,
    ):
        self.module = module
        self.weights = weights
        self.model_kwargs = model_kwargs
        self.n_components = n_components
        self.pooling = pooling
        self.normalize = normalize
        self.freeze = freeze
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
        self.compile = compile
        self.device = device
        self.channel_axis = channel_axis
        self.image_size = image_size
        self.num_workers = num_workers
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)  # which also ends the callbacks, as with_callbacks does
    def fit(self, X, y=None):
        """Train the network.

        Parameters
        ----------
        X : array, sequence of n images or torch Dataset
            Rows of features or images, see the notes of the class.
        y : array-like of shape (n_samples,), default=None
            Their classes: numbers or strings; at least two. None: those of a Dataset, its ``targets`` or the
            second part of its items; none are needed with two views, see `augment`.

        Returns
        -------
        DeepMetricLearner
            Fitted.

        Raises
        ------
        ValueError
            On data, or a combination of parameters, that cannot be trained on; the message says which.
        FileNotFoundError
            If there are no files at some paths.
        """
        y = labels_of(X) if y is None else y
        goes_on = self.warm_start and hasattr(self, "module_")
        return self._fit(X, y, n_epochs=self.max_epochs, keep=self.warm_start, goes_on=goes_on)

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, classes=None):
        """Train one epoch on these samples, from where the last call ended; no class is held out.

        Parameters
        ----------
        X : array, sequence of n images or torch Dataset
            More samples.
        y : array-like of shape (n_samples,), default=None
            Their classes. None: those of a Dataset; none are needed with two views.
        classes : array-like, default=None
            In the first call: all labels to come. A loss with proxies needs them, others take new ones at any
            time.

        Returns
        -------
        DeepMetricLearner
            Fitted.

        Raises
        ------
        ValueError
            As `fit`; or if a loss with proxies meets a label that it has none for.
        """
        y = labels_of(X) if y is None else y
        goes_on = hasattr(self, "module_")
        return self._fit(X, y, n_epochs=1, keep=True, goes_on=goes_on, single=True, classes=classes)

    def score(self, X, y=None):
        """MAP@R of searching each sample among the others, after ``transform``.

        Parameters
        ----------
        X : array, sequence of n images or torch Dataset
            Samples, best of classes that `fit` never saw.
        y : array-like of shape (n_samples,)
            Their labels. None: those of a Dataset.

        Returns
        -------
        float
            In [0, 1]; see :func:`skmetric.metrics.map_at_r`.
        """
        y = labels_of(X) if y is None else y
        if y is None:
            raise ValueError("score needs y: X carries no labels")
        return super().score(X, y)

    def transform(self, X):
        """Map samples into the learned space, where the Euclidean distance is the learned one by default.

        Parameters
        ----------
        X : array, sequence of n images or torch Dataset
            Samples of the shape fitted on, or images that `image_size` brings to it; labels of a Dataset are
            left alone.

        Returns
        -------
        ndarray of shape (n_samples, n_components), float32
            Of length 1 with ``normalize=True``; points of the ball with ``distance="poincare"``.

        Raises
        ------
        ValueError
            On samples of another kind, size or number of channels than fitted.
        """
        check_is_fitted(self)
        return self._embed(read_samples(self, X))

    def _between(self, first, second):
        ball = ball_of(self.module_)
        if ball is None:
            return super()._between(first, second)
        return ball_distance(first, second, ball.curvature)

    @property
    def _distance_name(self) -> str:
        on_ball = (
            self.distance == "poincare" if not hasattr(self, "module_") else ball_of(self.module_) is not None
        )
        return "poincare" if on_ball else "euclidean"

    def _iter_rankings(self, *sides, **settings):
        """How scores rank embeddings: by the distance on the ball where they lie in one."""
        return rankings_on(ball_of(self.module_))(*sides, **settings)

    def _fit(self, X, y, *, n_epochs, keep, **how):
        session = partial(open_session, self, X, y, n_epochs=n_epochs, **how)
        self._train(session, fitted_state, X, y, n_epochs=n_epochs, keep=keep)
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
