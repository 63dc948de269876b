"""SiameseLearner: a network trained on pairs that are similar or not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from skmetric._input._tuples import read_similarity
from skmetric._input._weights import check_both_kinds, read_weights_of
from skmetric._pair_threshold import Criterion, check_threshold, choose_threshold, read_target
from skmetric._params import fit_context

from ._training._tasks._tuple_task import TupleTask, distances_of, similarity_score
from ._tuple_learner import TupleLearner

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ._recipe._checkpoint_settings import Checkpoint
    from ._training._session import Session


@final
class SiameseLearner(TupleLearner):
    """The siamese network: one network for both members of a pair, trained to tell what belongs together.

    Distances of similar pairs shrink, those of others grow to the margin (contrastive loss [1]_). A threshold
    on the learned distance, chosen on pairs held out, makes it a classifier of pairs.

    Parameters
    ----------
    module : str, nn.Module or callable, default="auto"
        The network that all members of a pair share, as of :class:`DeepMetricLearner`.
    n_components : int, default=None
        Dimension of the embedding. None takes what the network gives.
    normalize : bool, default=True
        Scale embeddings to unit length: distances are then from 0 to 2.
    loss : str or Loss, default="contrastive"
        A loss of :mod:`skmetric.deep.losses` that compares pairs one by one, by Euclidean distance or
        cosine; copied at `fit`.
    margin : float, default=None
        Margin of the loss; None leaves the loss its own. Refused if the loss has none.
    batch_size : int, default=64
        Pairs in a batch.
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
        Share of the pairs held out; the epoch that does best on them is kept. None is 0.2. With 0
        the threshold comes from the pairs trained on.
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
        Of initial weights, pairs held out and batches. An int gives the same network every time.
    checkpoint : str, path-like, Checkpoint or None, default=None
        Folder in which `fit` keeps its state after each epoch, so that a process that was killed, or a
        machine that lost power, loses one epoch at most; ``Checkpoint(path, every_n_steps=n)`` also writes
        it within epochs (see :class:`Checkpoint`). `fit` with the same parameters and samples resumes from
        the folder and ends with the weights of an unbroken run, with the same bits on one CPU thread. Other
        parameters or samples are refused by name. If that fit had ended, its network comes back. Delete the
        folder to train anew; give each fit its own. `partial_fit` does not use it.

    Attributes
    ----------
    threshold_ : float
        Pairs at most that far apart are taken for similar.
    classes_ : ndarray of shape (2,)
        The values of `y`: not similar, similar.
    module_ : nn.Module
        The network, of the best epoch if pairs were held out, else of the last.
    loss_ : Loss
        What was minimised.
    history_ : list of dict
        A row an epoch, as of :class:`DeepMetricLearner`, with the mean distances of the pairs given.
    best_epoch_ : int
        Number of the epoch whose weights were kept.
    validation_disjoint_ : bool
        Whether no sample of a pair held out was trained on. Where common samples link all pairs they are
        drawn one by one, and scores and threshold are of samples seen.
    input_shape_ : tuple of int
        Shape of one sample: ``(n_features,)`` or ``(C, H, W)``.
    n_components_ : int
        Dimension of the embedding.
    n_features_in_ : int
        Number of features, for rows of features.

    See Also
    --------
    DeepMetricLearner : Learns from class labels, which say more than pairs drawn from them.
    TripletLearner : Learns from triplets.
    skmetric.metrics.verification_report : Scores of pairs, with intervals.

    References
    ----------
    .. [1] R. Hadsell, S. Chopra and Y. LeCun, "Dimensionality reduction by learning an invariant mapping",
       CVPR 2006.
    .. [2] G. Koch, R. Zemel and R. Salakhutdinov, "Siamese neural networks for one-shot image recognition",
       ICML deep learning workshop 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skmetric.deep import SiameseLearner
    >>> digits = load_digits()
    >>> rng = np.random.default_rng(0)
    >>> members = rng.integers(0, 1000, size=(400, 2))
    >>> pairs = digits.images[members]  # (400, 2, 8, 8)
    >>> same = np.equal(*digits.target[members].T).astype(int)
    >>> learner = SiameseLearner(max_epochs=2, random_state=0).fit(pairs, same)
    >>> learner.predict(pairs[:3]).shape, learner.transform(digits.images[:5]).shape[0]
    ((3,), 5)
    """

    threshold_: float
    classes_: NDArray[Any]
    _n_members = 2

    def __init__(
        self,
        module: str | nn.Module | Callable = "auto",
        *,
        n_components: int | None = None,
        normalize: bool = True,
        loss: str | Callable = "contrastive",
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
        y: ArrayLike,
        *,
        pairs: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train the network, and choose the threshold.

        Parameters
        ----------
        X : array, sequence of n images or torch Dataset, or array of shape (n_pairs, 2, ...) without `pairs`
            Samples as of :class:`DeepMetricLearner`, or the pairs themselves: rows of features (n_pairs, 2,
            n_features); images (n, 2, H, W), (n, 2, H, W, C) or (n, 2, C, H, W); or a list of pairs of paths
            or of PIL images.
        y : array-like of shape (n_pairs,)
            1 for similar pairs; 0, or -1, for others. Both must occur.
        pairs : array-like of shape (n_pairs, 2), default=None
            Row numbers of `X`. Rows may be in many pairs, or in none.
        sample_weight : array-like of shape (n_pairs,), default=None
            How often each pair is drawn, compared with the others: a weight of 2 is as the pair given twice,
            a weight of 0 leaves it out. Scores and threshold count pairs by it. None: once each.

        Returns
        -------
        SiameseLearner
            Fitted.

        Raises
        ------
        ValueError
            On pairs that cannot be trained on; the message says which and why.
        """
        return self._fit(X, y, pairs, sample_weight)

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        pairs: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train one epoch on these pairs, from where the last call ended, and choose the threshold on them.

        Parameters
        ----------
        X : array, sequence of n images or torch Dataset, or array of shape (n_pairs, 2, ...) without `pairs`
            Samples, or the pairs themselves, as of `fit`.
        y : array-like of shape (n_pairs,)
            Which are similar: both kinds, by the values of the first call.
        pairs : array-like of shape (n_pairs, 2), default=None
            Row numbers of `X`.
        sample_weight : array-like of shape (n_pairs,), default=None
            How often each pair is drawn, as of `fit`.

        Returns
        -------
        SiameseLearner
            Fitted.
        """
        return self._fit(X, y, pairs, sample_weight, single=True)

    def decision_function(self, X: Any, *, pairs: ArrayLike | None = None) -> NDArray[np.float64]:
        """How much nearer than the threshold the members of each pair are.

        Parameters
        ----------
        X : array, sequence of n images or torch Dataset, or array of shape (n_pairs, 2, ...) without `pairs`
            Samples, or the pairs themselves, as of `fit`.
        pairs : array-like of shape (n_pairs, 2), default=None
            Row numbers of `X`.

        Returns
        -------
        ndarray of shape (n_pairs,)
            ``threshold_`` minus the distance: larger is more similar; from 0 on a pair is taken for similar.
        """
        distances = self._tuple_distances(X, pairs)[:, 0]
        return self.threshold_ - distances

    def predict(self, X: Any, *, pairs: ArrayLike | None = None) -> NDArray[Any]:
        """Whether the members of each pair are similar.

        Parameters
        ----------
        X : array, sequence of n images or torch Dataset, or array of shape (n_pairs, 2, ...) without `pairs`
            Samples, or the pairs themselves, as of `fit`.
        pairs : array-like of shape (n_pairs, 2), default=None
            Row numbers of `X`.

        Returns
        -------
        ndarray of shape (n_pairs,)
            Of ``classes_``.
        """
        similar = (
            self.decision_function(X, pairs=pairs) >= 0
        )  # first, for it asks whether there is a `classes_`
        return self.classes_[similar.astype(int)]

    def score(
        self,
        X: Any,
        y: ArrayLike,
        *,
        pairs: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Area under the ROC curve of pairs by distance: the threshold plays no part.

        Parameters
        ----------
        X : array, sequence of n images or torch Dataset, or array of shape (n_pairs, 2, ...) without `pairs`
            Samples, or the pairs themselves, as of `fit`; best of classes that were never
            trained on.
        y : array-like of shape (n_pairs,)
            Which are similar.
        pairs : array-like of shape (n_pairs, 2), default=None
            Row numbers of `X`.
        sample_weight : array-like of shape (n_pairs,), default=None
            Weights of pairs in the score.

        Returns
        -------
        float
            In [0, 1]; 0.5 is chance.
        """
        distances = self._tuple_distances(X, pairs)
        weights = read_weights_of(sample_weight, len(distances), "pairs")
        similar = read_similarity(y, len(distances), self)[0]
        check_both_kinds(similar, weights)
        return similarity_score(distances, similar, weights)

    def calibrate_threshold(
        self,
        X: Any,
        y: ArrayLike,
        *,
        pairs: ArrayLike | None = None,
        criterion: Criterion | None = None,
        beta: float | None = None,
        min_rate: float | None = None,
        max_false_accept_rate: float | None = None,
    ) -> Self:
        """Choose the threshold on pairs, best on pairs of classes that were never trained on.

        Parameters
        ----------
        X : array, sequence of n images or torch Dataset, or array of shape (n_pairs, 2, ...) without `pairs`
            Samples, or the pairs themselves, as of `fit`.
        y : array-like of shape (n_pairs,)
            Which are similar.
        pairs : array-like of shape (n_pairs, 2), default=None
            Row numbers of `X`.
        criterion : str, default=None
            What the threshold makes as large as possible: "balanced_accuracy" (None), "accuracy", "f_beta",
            "max_tpr" (share of similar pairs accepted, with at least `min_rate` of the others rejected), or
            "max_tnr" (share of other pairs rejected, with at least `min_rate` of the similar ones accepted).
        beta : float, default=None
            Weight of recall in "f_beta"; None is 1.
        min_rate : float, default=None
            From 0 to 1, for "max_tpr" and "max_tnr".
        max_false_accept_rate : float, default=None
            Largest share, from 0 to below 1, of the pairs that are not similar to accept as similar: short
            for "max_tpr" with 1 minus this rate.

        Returns
        -------
        SiameseLearner
            With that threshold.

        Raises
        ------
        TypeError, ValueError
            If an argument is out of range, or has no effect on the criterion.
        """
        target = read_target(criterion, beta, min_rate, max_false_accept_rate)
        distances = self._tuple_distances(X, pairs)[:, 0]
        similar = read_similarity(y, len(distances), self)[0]
        self.threshold_ = choose_threshold(distances, similar, target)
        return self

    def set_threshold(self, threshold: float) -> Self:
        """Take a threshold of your own.

        Parameters
        ----------
        threshold : float
            Pairs at most that far apart count as similar.

        Returns
        -------
        SiameseLearner
            With that threshold.

        Raises
        ------
        TypeError, ValueError
            If it is no number, or no distance.
        """
        check_is_fitted(self)
        self.threshold_ = check_threshold(threshold)
        return self

    def _fit(self, X: Any, y: ArrayLike, pairs: Any, sample_weight: Any, *, single: bool = False) -> Self:
        found: dict[str, Any] = {}

        def similar_of(n_pairs: int) -> NDArray[np.bool_]:
            similar, found["classes_"] = read_similarity(y, n_pairs, self)
            if single and hasattr(self, "classes_") and found["classes_"].tolist() != self.classes_.tolist():
                raise ValueError(
                    f"y has the values {found['classes_'].tolist()} and had {self.classes_.tolist()} before: "
                    "name both kinds of pairs alike in every call"
                )
            return similar

        def threshold_and_classes(session: Session) -> dict[str, Any]:
            distances, similar, weights = _judged(session)
            return found | {"threshold_": choose_threshold(distances, similar, weights=weights)}

        given = (self, X, pairs, sample_weight)
        self._train(partial(TupleTask, *given, similar_of, threshold_and_classes), X, y, single=single)
        return self


def _judged(session: Session) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64] | None]:
    """Distances of the pairs that the threshold is chosen on, which are similar, and their weights."""
    data = session.data
    if len(data.held_out):
        samples, codes, weights = data.held_out, data.held_out_codes[::2], data.held_out_weights
    else:
        samples, codes, weights = data.samples, data.codes[::2], data.weights
    embeddings = session.embedding(session.training.module, samples)
    return distances_of(embeddings, np.ones((len(codes), 2), dtype=bool))[:, 0], codes == 1, weights
