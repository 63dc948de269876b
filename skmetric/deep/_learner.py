"""DeepMetricLearner: a network trained so that Euclidean distance between its outputs is the metric."""

from collections.abc import Callable
from functools import partial
from os import PathLike
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skmetric._input._relevance import is_matrix
from skmetric._params import fit_context
from skmetric._sklearn import BaseEstimator, CallbackSupportMixin
from skmetric.base import MetricLearnerMixin
from skmetric.metrics import RetrievalScorer

from ._ball import BallMixin
from ._data._input import labels_of
from ._data._labelled import read_samples
from ._distributed._settings import Distributed
from ._estimator import NetworkMixin
from ._recipe._checkpoint_settings import Checkpoint
from ._recipe._constraints import OF_LEARNER
from ._recipe._fine_tuning import FineTuning
from ._training._tasks._graded_task import GradedTask
from ._training._tasks._label_task import LabelTask


class DeepMetricLearner(BallMixin, NetworkMixin, MetricLearnerMixin, CallbackSupportMixin, BaseEstimator):
    """Metric learned by a network, from class labels, on rows of features or on images.

    Each batch holds some samples of some classes. The loss pulls samples of one class together and pushes
    classes apart. The learned distance is the Euclidean distance between the outputs of the network, which
    lie on the unit sphere by default. What counts is how well the network tells classes apart that it was
    never trained on: hold some classes out with `validation_fraction`, and the epoch with the best score on
    them is kept.

    Parameters
    ----------
    module : str, nn.Module or callable, default="auto"
        **Network.** "mlp", "linear", "conv4", "small_resnet" or "tutorial_conv" of
        :mod:`skmetric.deep.modules`. "auto" is "conv4" for images; for features see `init`. Or a name of
        timm, such as "mobilenetv2_100" (needs the extra ``vision``): the network then comes without its
        classifier and normalises its input, and some defaults differ (see the notes). Or a network, which is
        copied at `fit`. Or a function that makes one: ``module(input_shape) -> nn.Module``, with
        ``(n_features,)`` or ``(C, H, W)``.
    init : {"auto", "closed_form", "random"}, default="auto"
        Where the network starts. "closed_form": at :class:`skmetric.MetricLearner` fitted on the rows that
        are trained on, followed by a linear map that is trained; it starts as the identity, or as the
        projection on `n_components` directions. It is for rows of features in an array, with `module` "auto"
        or "linear" and embeddings on the unit sphere. "random": random weights ("auto" is then "mlp" for
        features). "auto": "closed_form" where it is possible and at most 4096 features, else "random".
    weights : str, path-like or None, default="pretrained"
        "pretrained": the weights that timm has for the name, downloaded once, or those that a given network
        came with. A ``.safetensors`` file, or a ``.pth`` file with a state dict: it must fit the network,
        except for the classifier of a timm name. None: no file; a timm name then has random weights.
    model_kwargs : dict, default=None
        Arguments for ``timm.create_model``, such as ``{"pad_type": "same"}``, for the class that a name
        refers to, or for the callable.
    n_components : int, default=None
        Dimension of the embedding. None keeps the width of the network's output. A timm network, and a
        network whose maps are pooled, gets a linear map to that dimension behind it.
    pooling : {"avg", "max", "gem", "cls"}, default=None
        How the maps (n, C, H, W) or tokens (n, n_tokens, C) that the network gives become vectors: "gem" is
        the generalised mean with a learned power, "cls" takes the class token. None: the network pools them
        itself.
    normalize : bool, default=True
        Scale embeddings to unit length, as most margins expect. With ``distance="poincare"`` the map into the
        ball replaces this.
    freeze : str or list of str, default=None
        Parts of the network, named as in ``named_modules()``, or weights, that are not trained. Everything
        inside a part is frozen with it and stays in evaluation mode, batch norm included. "trunk" is the
        whole timm network, or the whole network whose maps are pooled; "batch_norm" means all batch norms in
        it, which is usual in fine-tuning. If the frozen layers come first, they run once instead of in every
        epoch, provided that `augment` is None, `X` is in memory and the features take less than 2 GiB.
    loss : str, Loss, nn.Module, callable or tuple, default="auto"
        **Loss.** Name of a loss of :mod:`skmetric.deep.losses` ("multi_similarity" for
        ``MultiSimilarityLoss``), or such a loss, copied at `fit`; or any function or module of ``(embeddings,
        labels)`` that returns one number, for example a loss of pytorch-metric-learning; or a tuple ``(loss,
        miner)`` of that library, short for :class:`~skmetric.deep.losses.ForeignLoss`. If the loss sets
        ``active_share_`` when it is called, `history_` has that share. "auto" is
        ``SmoothAPLoss(temperature=0.05)`` for a network that starts from the closed form,
        "hyperbolic_info_nce" with ``distance="poincare"``, else "multi_similarity".
    margin : float, default=None
        Margin of the loss; None leaves the loss its own. Refused if the loss has none.
    distance : {"euclidean", "cosine", "poincare"}, default="euclidean"
        "cosine" asks for the unit sphere, where Euclidean and cosine distance give the same order, and
        refuses ``normalize=False``. It does not change the distance inside the loss. "poincare" appends
        :class:`~skmetric.deep.modules.PoincareBall`, with the curvature and the clip of the loss: `transform`
        then gives points of that ball, and `pair_distance` and retrieval scores use the distance on it.
        Whatever uses the Euclidean distance between these points, such as scikit-learn's k-NN, gives another
        order; :class:`~skmetric.search.SimilaritySearch` refuses them. Losses that do not compare on the ball
        are refused; a function of your own gets points of the ball.
    relevance : {"labels", "multilabel", "hierarchy"}, array, sparse matrix or callable, default="labels"
        What says that samples belong together, and what `y` is with it: one label for each sample; a matrix
        of 0 and 1 or a list of sets; a column for each level, from coarse to fine; the grades of all pairs of
        samples, with `y` None or one label for each; or a function of two arrays of labels that gives the
        grades, see :func:`skmetric.metrics.graded_ndcg_at_k`. Other than "labels", it is for the losses
        "sup_con" (then the default), "log_ratio" and "cosine_regression"; the others are refused. Batches
        draw samples of the finest level, or by the rarest label of each sample. Validation holds out classes
        of the coarsest level, or where there are no levels *samples*, whose labels are not new.
    classes_per_batch : int, default=None
        **Batches.** Number of classes in a batch. None is 16, or all classes if there are fewer. With two
        views: number of samples, and None is 64.
    samples_per_class : int, default=None
        Number of samples of each class in a batch. None makes batches of about 64 samples if classes are
        large enough. With two views: 1.
    steps_per_epoch : int, default=None
        Number of batches in an epoch. None is as many as hold `n_samples` samples; in `fit` of a network that
        starts from the closed form at least 20.
    augment : str, callable or list of them, default=None
        What changes batches while training. Names are those of :mod:`skmetric.deep.augment` for images of
        floats from 0 to 1: "flip", "shift_crop", "color", "erasing", "affine"; a callable is ``augment(batch)
        -> batch`` on float tensors (n_batch, C, H, W) or (n_batch, n_features), which must draw its random
        numbers from torch. Those of a list run one after the other. Transforms of
        ``torchvision.transforms.v2`` are such callables, but draw once for a whole batch: in a Dataset they
        draw for each image. "two_views" trains without labels, as "sim_clr", "vicreg" and "barlow_twins" do:
        each sample is a separate class, with two independently augmented views in the batch. `y` may then be
        None in `fit`; if it is given, only validation uses it. By itself it is ``["two_views", "shift_crop",
        "color"]``.
    max_epochs : int, default=20
        **Optimisation.** Number of epochs to train; with `warm_start`, number of epochs to add.
    optimizer : {"adam", "adamw", "sgd"} or callable, default="adam"
        "sgd" has momentum 0.9. A callable takes ``(groups, lr=..., weight_decay=...)``, as the classes of
        ``torch.optim`` do.
    learning_rate : float, default=None
        Learning rate of the network. None: 3e-5 for a network that starts from the closed form, 1e-4 for one
        that has a timm name and weights, else 1e-3.
    proxy_learning_rate : float, default=1e-2
        Learning rate of the weights that the loss has itself, such as proxies.
    weight_decay : float, default=0.0
        Weight decay of the network.
    schedule : {"one_cycle", "cosine", "warmup"} or callable, default=None
        Course of the learning rates over all epochs of a call of `fit`. None keeps them constant. A callable
        makes a scheduler of ``torch.optim.lr_scheduler`` from the optimizer, and gets ``n_steps=``, the
        number of steps of the call, if it has such a parameter: ``partial(StepLR, step_size=100)`` or
        ``lambda optimizer, n_steps: OneCycleLR(optimizer, 1e-3, total_steps=n_steps)``. It is stepped after
        each step of the optimizer (``ReduceLROnPlateau`` after each epoch).
    clip_norm : float, default=None
        Longest gradient: longer ones are shortened to it. None: no limit.
    fine_tuning : FineTuning, default=None
        Recipe for a pretrained network: learning rates of its parts, gradual unfreezing, warm-up, moving
        average of the weights and more; see :class:`FineTuning`.
    head : {"closed_form"}, default=None
        "closed_form": when training has ended, :class:`skmetric.MetricLearner` is fitted on the embeddings of
        the training samples and becomes the last layer.
    warm_start : bool, default=False
        Go on from the last `fit`, with its weights, moments and numbers of epochs: two fits of 2 epochs are
        one of 4. Set it before the first `fit`. See the notes for parameters that changed in between.
    precision : {"auto", "fp32", "bf16", "fp16"}, default="auto"
        Number format in which the network computes. "auto" is bf16 on a CUDA device that has it, else fp32.
        Losses and embeddings are float32 in each case.
    compile : bool, default=False
        Run the network through ``torch.compile``, in training and in `transform`. The first batches of each
        take long, and a C++ compiler is needed (on CUDA Triton as well). `module_` stays a plain module.
    device : "auto", str or torch.device, default="auto"
        "auto" is a CUDA device where there is one, else the CPU.
    random_state : int, RandomState instance or None, default=None
        Source of all random numbers: weights, classes held out, batches, dropout, augmentation. On one CPU
        thread the same int gives the same bits.
    validation_fraction : float, "auto" or None, default="auto"
        **Validation.** Share of the *classes* that are held out, at least two classes. They are scored before
        training and after each epoch, and the best network is kept, which may be the untrained one. "auto" is
        0.2 if at least 16 classes have two samples, else None; None with `warm_start` and with "two_views".
        None is 0.2 with `early_stopping`, else 0. `partial_fit` holds nothing out.
    refit : bool or "auto", default="auto"
        Whether a new network is trained on all classes when validation has found the number of epochs, so
        that no class is lost. It is not if training was stopped by a callback or by Ctrl-C. True is refused
        with `warm_start`. "auto": if `validation_fraction` is "auto".
    early_stopping : bool, default=False
        Stop after `patience` epochs without a better score.
    patience : int, default=5
        Number of epochs to wait for a better score.
    scoring : str, list of str or callable, default="map_at_r"
        Retrieval scores of held-out classes, see :class:`skmetric.metrics.RetrievalScorer`, or a scorer
        ``(estimator, X, y)``. The first of several decides.
    channel_axis : {"auto", "first", "last"}, default="auto"
        **Data.** Where images have their channels. "auto" refuses an array that could be read both ways.
    image_size : int or (int, int), default=None
        Height and width to bring images to: short side first, bilinear and antialiased, then a centre crop.
        None: all images must have one size.
    mean, std : float or array-like of shape (n_channels,), default=None
        Mean and standard deviation of brightness, which goes from 0 to 1, by which the network normalises
        images. None: a timm network uses the values it was trained with, and other networks do not normalise.
        If one of the two is given, the other one is that of ImageNet.
    background : str or (int, int, int), default="white"
        Colour under the transparent places of files and PIL images: a name, "#rrggbb", or red, green and blue
        from 0 to 255.
    num_workers : int, default=0
        Number of processes that read batches of samples that are not in memory (see the notes), in a torch
        ``DataLoader``. For samples in memory none are started. 0 reads in this process: files in threads,
        ahead of the network, a Dataset batch by batch. The bits are the same.
    collate_fn : callable, default=None
        Makes the batch that the network gets of a list of samples, which may then be anything: texts, tokens,
        point clouds, several images (see the notes). It returns a tensor, or nested tuples and dicts of
        tensors. None: dicts and tuples of arrays in a Dataset are stacked by torch's ``default_collate``.
    checkpoint : str, path-like, Checkpoint or None, default=None
        Folder in which `fit` keeps its state after each epoch, so that a process that was killed, or a
        machine that lost power, loses one epoch at most; ``Checkpoint(path, every_n_steps=n)`` also writes
        it within epochs (see :class:`Checkpoint`). `fit` with the same parameters and samples resumes from
        the folder and ends with the weights of an unbroken run, with the same bits on one CPU thread. Other
        parameters or samples are refused by name. If that fit had ended, its network comes back. Delete the
        folder to train anew; give each fit its own. With `steps_per_epoch` an epoch is that
        number of batches. `partial_fit` does not use the folder.
    distributed : Distributed, default=None
        Several processes, each with a device of the kind `device`, train one network together; see
        :class:`Distributed`. None: this process trains alone.

    Attributes
    ----------
    module_ : nn.Module
        The network, of the best epoch if classes were held out, else of the last, in evaluation mode: a
        sequence of the trunk and the layers behind it.
    loss_ : callable
        The loss, with the weights that it learned itself.
    history_ : list of dict
        A row for each epoch of the run without the classes held out: ``epoch`` (from 1), ``loss``,
        ``active_share`` of tuples (NaN if the loss does not tell), ``mean_positive_distance``,
        ``mean_negative_distance``, ``mean_norm`` and ``effective_rank`` of the last 8 batches, ``seconds``,
        and ``validation_`` with each score.
    refit_history_ : list of dict
        The same of the epochs on all classes; empty without `refit`.
    untrained_scores_ : dict of str to float
        Validation scores of the untrained network, named as in `history_`; empty if no classes were held out.
    best_epoch_ : int
        Number of the epoch whose weights were kept; with `refit` the number of epochs on all classes. 0 is
        the untrained network.
    classes_ : ndarray of shape (n_classes,)
        Labels seen, including the classes held out; those of the sets or of the finest level with
        `relevance`; empty if `y` was None.
    validation_classes_ : ndarray
        Labels held out in the last `fit`.
    input_shape_ : tuple of int
        Shape of one sample: ``(n_features,)`` or ``(C, H, W)``; of collated samples the structure of the
        batch, with the shape of each array for the first samples.
    n_components_ : int
        Dimension of the embedding.
    n_features_in_ : int
        Number of features, for rows of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features, if `X` had string names.

    See Also
    --------
    skmetric.MetricLearner : A linear metric in closed form: seconds instead of minutes, and hard to beat on
        features of a good network.
    FineTuning : Recipe for pretrained networks.
    Distributed : Several processes train one network.

    Notes
    -----
    `X` is one of

    - rows of features: an array or a table of shape (n_samples, n_features);
    - images in one array of shape (n, H, W), (n, H, W, C) or (n, C, H, W);
    - a list of images: of paths, of PIL images, or of arrays;
    - a map-style :class:`torch.utils.data.Dataset`, whose items are samples or pairs (sample, label): a
      sample is an image (tensor, array or PIL image) or a row of features. A list of such pairs works as
      well: scikit-learn's splits, in a search or in cross-validation, make one of a Dataset, each item read
      once;
    - samples of any structure: with `collate_fn` a list, an array, a column of texts or a Dataset of
      anything; without it a Dataset whose samples are dicts, or tuples of arrays;
    - in `fit` and `partial_fit` an :class:`torch.utils.data.IterableDataset` of pairs (sample, label).

    **Streams.** An IterableDataset is served in its own order: batches are consecutive items, as many as
    `classes_per_batch` times `samples_per_class` (64 by default), so mix and balance it in the stream. An
    epoch has as many items as the stream's ``len``, or `steps_per_epoch` batches; it goes on where the last
    one ended, and a stream that ends begins anew. Nothing is held out of a stream, and losses with proxies
    need `classes` in `partial_fit`.

    **Samples of any structure.** `collate_fn` gets a list of samples and pads them to one length if they have
    several; the network gets the batch that it returns as its one argument, on its device, floats as float32
    and uint8 as floats from 0 to 1. It returns a tensor, or nested tuples and dicts of tensors. `module` is
    then a network that takes such batches and gives one row for each sample, or a function that makes it from
    `input_shape_`. An item that is a tuple of two, the second no array, is (sample, label); a sample that is
    such a tuple itself stands as ``((first, second), label)``. `augment` is a function of the batch.

    Images are uint8, bool or float; the network gets uint8 as floats from 0 to 1. Files are turned upright by
    their Exif tag. Grey files among colour files, or given to a network fitted on colour, are repeated for
    its three channels; an array must have the channels fitted on.

    **Pretrained networks.** For a timm name with weights, parameters left at None have the values that were
    measured best in fine-tuning: ``learning_rate=1e-4``, batches of 12 classes with 4 samples each, and
    frozen batch norms (unless `freeze` or `fine_tuning` says otherwise).

    **Range of float images.** A network that normalises its input, as networks of timm do, refuses floats
    outside 0 to 1. Other networks take any range: `fit` remembers the largest values of its images, and later
    images on a scale more than 4 times off are refused.

    **What is in memory.** Arrays are. Images of a list are read, decoded and resized once, and kept while
    `fit` runs, if they take no more than 2 GiB; else they are read again in each epoch, as the items of a
    Dataset always are. The fitted learner keeps none of them. Random numbers in a Dataset must come from
    torch: they are drawn anew in each epoch of `fit`, and are the same in each `transform`.

    **Going on.** With `warm_start`, and in `partial_fit`, a parameter that was changed since the last call
    takes effect. Another loss trains the network as it is, with fresh moments of the optimizer: for example,
    first proxies, then triplets. The same loss with other settings keeps its proxies. Parameters that the
    network is made of cannot change: `module`, `weights`, `model_kwargs`, `n_components`, `pooling`,
    `normalize`, `mean`, `std`, `image_size`, and `distance` to or from "poincare"; `fit` names the one that
    differs. An estimator that a callback pickles after an epoch has all that is needed to go on: load it, set
    ``warm_start=True`` and `max_epochs` to the number of epochs that are left. A `schedule` that was broken
    off then goes on as well; one that was at its end starts again.

    A function without a name, such as a lambda, is pickled by value, by the cloudpickle that comes
    with joblib: it loads where its Python version is the same.

    ``Ctrl-C`` ends training with a warning and leaves the network as it stands; a second ``Ctrl-C`` within 10
    seconds is raised, so that a loop over fits ends. A loss that becomes NaN ends training with a
    :class:`~skmetric.exceptions.DivergenceWarning` and the state before that epoch. Fits in several threads
    take turns, batch by batch, where they draw random numbers: each gives the bits that it gives alone.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmetric.deep import DeepMetricLearner
    >>> digits = load_digits()
    >>> learner = DeepMetricLearner(max_epochs=1, n_components=16, random_state=0)
    >>> learner.fit(digits.images, digits.target).transform(digits.images[:3]).shape
    (3, 16)
    """

    classes_: NDArray[Any]
    validation_classes_: NDArray[Any]
    _trained: NDArray[Any]

    _parameter_constraints = OF_LEARNER

    def __init__(
        self,
        module: str | nn.Module | Callable = "auto",
        *,
        init: str = "auto",
        weights: str | PathLike | None = "pretrained",
        model_kwargs: dict | None = None,
        n_components: int | None = None,
        pooling: str | None = None,
        normalize: bool = True,
        freeze: str | list[str] | tuple[str, ...] | None = None,
        loss: str | Callable | tuple = "auto",
        margin: float | None = None,
        distance: str = "euclidean",
        relevance: Any = "labels",
        classes_per_batch: int | None = None,
        samples_per_class: int | None = None,
        steps_per_epoch: int | None = None,
        augment: str | Callable | list | tuple | None = None,
        max_epochs: int = 20,
        optimizer: str | Callable = "adam",
        learning_rate: float | None = None,
        proxy_learning_rate: float = 1e-2,
        weight_decay: float = 0.0,
        schedule: str | Callable | None = None,
        clip_norm: float | None = None,
        fine_tuning: FineTuning | None = None,
        head: str | None = None,
        warm_start: bool = False,
        precision: str = "auto",
        compile: bool = False,
        device: str | torch.device = "auto",
        random_state: int | np.random.RandomState | None = None,
        validation_fraction: float | str | None = "auto",
        refit: bool | str = "auto",
        early_stopping: bool = False,
        patience: int = 5,
        scoring: str | list[str] | tuple[str, ...] | Callable = "map_at_r",
        channel_axis: str = "auto",
        image_size: int | tuple[int, int] | None = None,
        mean: float | ArrayLike | None = None,
        std: float | ArrayLike | None = None,
        background: str | tuple[int, int, int] = "white",
        num_workers: int = 0,
        collate_fn: Callable | None = None,
        checkpoint: str | PathLike | Checkpoint | None = None,
        distributed: Distributed | None = None,
    ) -> None:
        self.module = module
        self.init = init
        self.weights = weights
        self.model_kwargs = model_kwargs
        self.n_components = n_components
        self.pooling = pooling
        self.normalize = normalize
        self.freeze = freeze
        self.loss = loss
        self.margin = margin
        self.distance = distance
        self.relevance = relevance
        self.classes_per_batch = classes_per_batch
        self.samples_per_class = samples_per_class
        self.steps_per_epoch = steps_per_epoch
        self.augment = augment
        self.max_epochs = max_epochs
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.proxy_learning_rate = proxy_learning_rate
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.clip_norm = clip_norm
        self.fine_tuning = fine_tuning
        self.head = head
        self.warm_start = warm_start
        self.precision = precision
        self.compile = compile
        self.device = device
        self.random_state = random_state
        self.validation_fraction = validation_fraction
        self.refit = refit
        self.early_stopping = early_stopping
        self.patience = patience
        self.scoring = scoring
        self.channel_axis = channel_axis
        self.image_size = image_size
        self.mean = mean
        self.std = std
        self.background = background
        self.num_workers = num_workers
        self.collate_fn = collate_fn
        self.checkpoint = checkpoint
        self.distributed = distributed

    @fit_context(prefer_skip_nested_validation=True)  # which also ends the callbacks, as with_callbacks does
    def fit(self, X: Any, y: ArrayLike | None = None, *, sample_weight: ArrayLike | None = None) -> Self:
        """Train the network.

        Parameters
        ----------
        X : array, sequence of n images or torch Dataset
            Rows of features or images, see the notes of the class.
        y : array-like of shape (n_samples,), default=None
            Their classes: numbers or strings; at least two; or what `relevance` says. None: those of a
            Dataset, its ``targets`` or the second part of its items; none are needed with two views, see
            `augment`.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each sample is drawn, compared with the others of its class; a class is drawn in
            proportion to the mean weight of its samples. Weights of classes are weights of samples, such as
            ``compute_sample_weight({"rare": 2, "common": 1}, y)`` of scikit-learn gives. A weight of 0 leaves
            a sample out. None: all classes, and all samples of a class, alike.

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
        y = labels_of(X, collated=self.collate_fn is not None) if y is None else y
        task = partial(self._task, self, X, y, None, sample_weight)
        self._train(task, X, y, again=("_fit_weighted", X, y, sample_weight))
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train one epoch on these samples, from where the last call ended; no class is held out.

        Parameters
        ----------
        X : array, sequence of n images or torch Dataset
            More samples.
        y : array-like of shape (n_samples,), default=None
            Their classes, or what `relevance` says. None: those of a Dataset; none are needed with two views.
        classes : array-like, default=None
            In the first call: all labels to come. A loss with proxies needs them, others take new ones at any
            time.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each sample is drawn, as of `fit`.

        Returns
        -------
        DeepMetricLearner
            Fitted.

        Raises
        ------
        ValueError
            As `fit`; or if a loss with proxies meets a label that it has none for.
        """
        y = labels_of(X, collated=self.collate_fn is not None) if y is None else y
        task = partial(self._task, self, X, y, classes, sample_weight)
        again = ("_partial_fit_weighted", X, y, classes, sample_weight)
        self._train(task, X, y, single=True, again=again)
        return self

    def _fit_weighted(self, X: Any, y: Any, sample_weight: Any) -> None:
        """Fit, as processes are asked to, by position."""
        self.fit(X, y, sample_weight=sample_weight)

    def _partial_fit_weighted(self, X: Any, y: Any, classes: Any, sample_weight: Any) -> None:
        """The same of `partial_fit`."""
        self.partial_fit(X, y, classes, sample_weight=sample_weight)

    def score(self, X: Any, y: ArrayLike | None = None) -> float:
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
        y = labels_of(X, collated=self.collate_fn is not None) if y is None else y
        if is_matrix(self.relevance):
            raise ValueError(
                "relevance is a matrix of grades of the samples of fit, and score has other samples: use "
                "skmetric.metrics.map_at_r(learner.transform(X), y, relevance=) with the grades of these"
            )
        if y is None:
            raise ValueError("score needs y: X carries no labels")
        if self._task is LabelTask:
            return super().score(X, y)
        return float(RetrievalScorer("map_at_r", relevance=self.relevance)(self, X, y))  # type: ignore[arg-type]

    @property
    def _task(self) -> type[LabelTask] | type[GradedTask]:
        """What the network is trained on: classes, or grades."""
        is_labels = isinstance(self.relevance, str) and self.relevance == "labels"
        return LabelTask if is_labels else GradedTask

    def transform(self, X: Any) -> NDArray[np.float32]:
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

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
