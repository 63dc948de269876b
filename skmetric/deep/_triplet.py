"""TripletLearner: a network trained on triplets of anchor, positive and negative."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmetric._input._weights import read_weights_of
from skmetric._params import fit_context

from ._training._tasks._tuple_task import TupleTask, similarity_score
from ._tuple_learner import TupleLearner

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ._recipe._checkpoint_settings import Checkpoint
    from ._training._session import Session


@final
class TripletLearner(TupleLearner):
    """The triplet network: one network for anchor, positive and negative, trained to keep them in order.

    The anchor should be nearer to the positive than to the negative, by the margin (triplet loss [1]_).

    Parameters
    ----------
    module : str, nn.Module or callable, default="auto"
        The network that all members of a triplet share, as of :class:`DeepMetricLearner`.
    n_components : int, default=None
        Dimension of the embedding. None takes what the network gives.
    normalize : bool, default=True
        Scale embeddings to unit length: distances are then from 0 to 2.
    loss : str or Loss, default="triplet"
        A loss of :mod:`skmetric.deep.losses` that compares pairs one by one, by Euclidean distance or
        cosine; copied at `fit`.
    margin : float, default=None
        Margin of the loss; None leaves the loss its own. Refused if the loss has none.
    batch_size : int, default=64
        Triplets in a batch.
    max_epochs : int, default=20
        Epochs to train; with `warm_start`, epochs to add.
    optimizer : {"adam", "adamw", "sgd"} or callable, default="adam"
        As of :class:`DeepMetricLearner`.
    learning_rate : float, default=1e-3
        Of the network.
    weight_decay : float, default=0.0
        Of the network.
    schedule : {"one_cycle", "cosine", "warmup"} or callable, default=None
        Course of the learning rate over all epochs of a call of `fit`. None keeps it. A callable makes a
        scheduler of torch, as of :class:`DeepMetricLearner`.
    clip_norm : float, default=None
        Longest gradient.
    augment : str, callable or list of them, default=None
        Changes samples while training, as of :class:`DeepMetricLearner`, but for "two_views".
    validation_fraction : float, default=None
        Share of the triplets held out; the epoch that does best on them is kept. None is 0.2
        with `early_stopping`, else 0.
    early_stopping : bool, default=False
        Stop after `patience` epochs without a better score.
    patience : int, default=5
        Epochs to wait.
    warm_start : bool, default=False
        Go on from the last `fit`. Set it before the first.
    precision : {"auto", "fp32", "bf16", "fp16"}, default="auto"
        What the network computes in. "auto" is bf16 on a CUDA device that has it, else fp32.
    device : "auto", str or torch.device, default="auto"
        "auto" is a CUDA device where there is one, else the CPU.
    channel_axis : {"auto", "first", "last"}, default="auto"
        Where images have their channels.
    image_size : int or (int, int), default=None
        Height and width to bring images to, as of :class:`DeepMetricLearner`. None: all have one size.
    mean, std : float or array-like of shape (n_channels,), default=None
        Mean and standard deviation of brightness, which goes from 0 to 1, by which the network normalises
        images, as of :class:`DeepMetricLearner`. None: a timm network uses the values it was trained with,
        and other networks do not normalise.
    background : str or (int, int, int), default="white"
        Colour under the transparent places of files and PIL images, as of :class:`DeepMetricLearner`.
    num_workers : int, default=0
        Number of processes that read samples that are not in memory, as of :class:`DeepMetricLearner`.
    collate_fn : callable, default=None
        Makes batches of samples that are anything, as of :class:`DeepMetricLearner`.
    random_state : int, RandomState instance or None, default=None
        Of initial weights, triplets held out and batches. An int gives the same network every time.
    checkpoint : str, path-like, Checkpoint or None, default=None
        Folder in which `fit` keeps its state after each epoch, so that a process that was killed, or a
        machine that lost power, loses one epoch at most; ``Checkpoint(path, every_n_steps=n)`` also writes
        it within epochs (see :class:`Checkpoint`). `fit` with the same parameters and samples resumes from
        the folder and ends with the weights of an unbroken run, with the same bits on one CPU thread. Other
        parameters or samples are refused by name. If that fit had ended, its network comes back. Delete the
        folder to train anew; give each fit its own. `partial_fit` does not use it.

    Attributes
    ----------
    module_ : nn.Module
        The network, of the best epoch if triplets were held out, else of the last.
    loss_ : Loss
        What was minimised.
    history_ : list of dict
        A row an epoch, as of :class:`DeepMetricLearner`, with the mean distances of the triplets given.
    best_epoch_ : int
        Number of the epoch whose weights were kept.
    validation_disjoint_ : bool
        Whether no sample of a triplet held out was trained on. Where common samples link all triplets they
        are drawn one by one, and scores are of samples seen.
    input_shape_ : tuple of int
        Shape of one sample: ``(n_features,)`` or ``(C, H, W)``.
    n_components_ : int
        Dimension of the embedding.
    n_features_in_ : int
        Number of features, for rows of features.

    See Also
    --------
    DeepMetricLearner : Learns from class labels, and takes all triplets of a batch.
    SiameseLearner : Learns from pairs.

    References
    ----------
    .. [1] F. Schroff, D. Kalenichenko and J. Philbin, "FaceNet: a unified embedding for face recognition and
       clustering", CVPR 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from skmetric.deep import TripletLearner
    >>> X, y = load_iris(return_X_y=True)
    >>> rng = np.random.default_rng(0)
    >>> anchor, positive = rng.integers(0, 50, size=(2, 200))
    >>> triplets = np.stack([X[anchor], X[positive], X[rng.integers(50, 150, 200)]], axis=1)  # (200, 3, 4)
    >>> learner = TripletLearner(max_epochs=5, random_state=0).fit(triplets)
    >>> learner.score(triplets)
    1.0
    """

    _n_members = 3

    def __init__(
        self,
        module: str | nn.Module | Callable = "auto",
        *,
        n_components: int | None = None,
        normalize: bool = True,
        loss: str | Callable = "triplet",
        margin: float | None = None,
        batch_size: int = 64,
        max_epochs: int = 20,
        optimizer: str | Callable = "adam",
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        schedule: str | Callable | None = None,
        clip_norm: float | None = None,
        augment: str | Callable | list | tuple | None = None,
        validation_fraction: float | None = None,
        early_stopping: bool = False,
        patience: int = 5,
        warm_start: bool = False,
        precision: str = "auto",
        device: str | torch.device = "auto",
        channel_axis: str = "auto",
        image_size: int | tuple[int, int] | None = None,
        mean: float | ArrayLike | None = None,
        std: float | ArrayLike | None = None,
        background: str | tuple[int, int, int] = "white",
        num_workers: int = 0,
        collate_fn: Callable | None = None,
        random_state: int | np.random.RandomState | None = None,
        checkpoint: str | PathLike | Checkpoint | None = None,
    ) -> None:
        self.module = module
        self.n_components = n_components
        self.normalize = normalize
        self.loss = loss
        self.margin = margin
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.clip_norm = clip_norm
        self.augment = augment
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.patience = patience
        self.warm_start = warm_start
        self.precision = precision
        self.device = device
        self.channel_axis = channel_axis
        self.image_size = image_size
        self.mean = mean
        self.std = std
        self.background = background
        self.num_workers = num_workers
        self.collate_fn = collate_fn
        self.random_state = random_state
        self.checkpoint = checkpoint

    @fit_context(prefer_skip_nested_validation=True)  # which also ends the callbacks, as with_callbacks does
    def fit(
        self,
        X: Any,
        y: None = None,
        *,
        triplets: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : array, sequence of n images or torch Dataset, or array of shape (n, 3, ...) without `triplets`
            Samples as of :class:`DeepMetricLearner`, or the triplets themselves, anchor, positive and
            negative: rows of features (n, 3, n_features); images (n, 3, H, W), (n, 3, H, W, C) or (n, 3, C,
            H, W); or a list of tuples of paths or of PIL images, with one negative or more.
        y : None
            Not used: the order of the members says all.
        triplets : array-like of shape (n_triplets, 3) or (n_triplets, 2 + n_negatives), default=None
            Row numbers of `X`: anchor, positive and negative, for example as a miner of another library
            gives them. With several negatives each is compared with the positive; -1 fills up for anchors
            that have fewer. Rows may be in many triplets, or in none.
        sample_weight : array-like of shape (n_triplets,), default=None
            How often each triplet is drawn, compared with the others: a weight of 2 is as the triplet given
            twice, a weight of 0 leaves it out. Scores count triplets by it. None: once each.

        Returns
        -------
        TripletLearner
            Fitted.

        Raises
        ------
        ValueError
            On triplets that cannot be trained on; the message says which and why.
        """
        given = (self, X, triplets, sample_weight)
        self._train(partial(TupleTask, *given, _all_of_one_kind, _no_more), X, y)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: Any,
        y: None = None,
        *,
        triplets: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train one epoch on these triplets, from where the last call ended.

        Parameters
        ----------
        X : array, sequence of n images or torch Dataset, or array of shape (n, 3, ...) without `triplets`
            Samples, or the triplets themselves, as of `fit`.
        y : None
            Not used.
        triplets : array-like of shape (n_triplets, 3) or (n_triplets, 2 + n_negatives), default=None
            Row numbers of `X`, as of `fit`.
        sample_weight : array-like of shape (n_triplets,), default=None
            How often each triplet is drawn, as of `fit`.

        Returns
        -------
        TripletLearner
            Fitted.
        """
        given = (self, X, triplets, sample_weight)
        self._train(partial(TupleTask, *given, _all_of_one_kind, _no_more), X, y, single=True)
        return self

    def decision_function(self, X: Any, *, triplets: ArrayLike | None = None) -> NDArray[np.float64]:
        """How much farther than the positive the negative is; of several negatives the nearest.

        Parameters
        ----------
        X : array, sequence of n images or torch Dataset, or array of shape (n, 3, ...) without `triplets`
            Samples, or the triplets themselves, as of `fit`.
        triplets : array-like of shape (n_triplets, 3) or (n_triplets, 2 + n_negatives), default=None
            Row numbers of `X`, as of `fit`.

        Returns
        -------
        ndarray of shape (n_triplets,)
            Distance of anchor and negative minus that of anchor and positive: above 0 a triplet is in order.
        """
        distances = self._tuple_distances(X, triplets)
        return distances[:, 1:].min(axis=1) - distances[:, 0]

    def predict(self, X: Any, *, triplets: ArrayLike | None = None) -> NDArray[Any]:
        """Whether each triplet is in order.

        Parameters
        ----------
        X : array, sequence of n images or torch Dataset, or array of shape (n, 3, ...) without `triplets`
            Samples, or the triplets themselves, as of `fit`.
        triplets : array-like of shape (n_triplets, 3) or (n_triplets, 2 + n_negatives), default=None
            Row numbers of `X`, as of `fit`.

        Returns
        -------
        ndarray of shape (n_triplets,)
            1 where the anchor is nearer to the positive than to each negative, else -1.
        """
        return np.where(self.decision_function(X, triplets=triplets) > 0, 1, -1)

    def score(
        self,
        X: Any,
        y: object = None,
        *,
        triplets: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Share of the triplets that are in order.

        Parameters
        ----------
        X : array, sequence of n images or torch Dataset, or array of shape (n, 3, ...) without `triplets`
            Samples, or the triplets themselves, as of `fit`; best of classes that were never
            trained on.
        y : None
            Not used.
        triplets : array-like of shape (n_triplets, 3) or (n_triplets, 2 + n_negatives), default=None
            Row numbers of `X`, as of `fit`.
        sample_weight : array-like of shape (n_triplets,), default=None
            Weights of triplets in the score.

        Returns
        -------
        float
            In [0, 1]; with one negative each, 0.5 is chance.
        """
        distances = self._tuple_distances(X, triplets)
        weights = read_weights_of(sample_weight, len(distances), "triplets")
        return similarity_score(distances, None, weights)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        return tags


def _all_of_one_kind(n_triplets: int) -> NDArray[np.bool_]:
    return np.zeros(n_triplets, dtype=bool)


def _no_more(session: Session) -> dict[str, Any]:
    return {}
