"""FrozenFeatures: images to the features of a network that stays as it is."""

import hashlib
import os
from numbers import Integral, Real
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.preprocessing import normalize
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skmetric._backbone._build import build, n_input_channels
from skmetric._backbone._pooling import POOLINGS
from skmetric._backbone._weights import is_file
from skmetric._documented import DocumentedMixin
from skmetric._images._images import check_one_size
from skmetric._images._opening import open_images
from skmetric._pixels._sizing import normalised, sized_batches
from skmetric._params import Interval, StrOptions, fit_context
from skmetric._torch import PackedModule, evaluating, infer, pack_module, resolve_device, unpack_module

from ._network import check_layer, extract, input_config

__all__ = ["FrozenFeatures"]


class FrozenFeatures(DocumentedMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Features of images from a network that is not trained.

    The first step of a pipeline that learns a metric on images. ``fit`` builds the network and looks at the
    input; neither it nor ``transform`` changes a weight. With ``Pipeline(memory=...)`` the network runs once
    over a whole grid search: equal weights hash equal, in another process too.

    Parameters
    ----------
    model : str, nn.Module or callable
        Name of a timm network, with a pretrained tag or without, such as ``"mobilenetv2_100.ra_in1k"`` (needs
        the extra ``vision``); or a network; or what returns one, best a function of a module, or a
        ``functools.partial`` of one, so that the estimator pickles. A network that is passed is used itself,
        not a copy: it is moved to `device`.
    weights : str, path-like or None, default="pretrained"
        "pretrained": those that timm has for the name, downloaded once, or those that the given network came
        with. A ``.safetensors`` file, or a ``.pth`` with a state dict; it must fit, but for the classifier of
        a timm name. None: no file; a timm name then has random weights, the same in each fit.
    model_kwargs : dict, default=None
        For ``timm.create_model`` or the callable, such as ``{"pad_type": "same"}``.
    layer : str, default=None
        Part of the network, as in ``named_modules()``, whose output is taken. None: the last features, before
        a timm network's classifier.
    pooling : {"auto", "avg", "max", "gem", "cls"}, default="auto"
        How feature maps and tokens become vectors. "auto" is the network's own way, or the average where it
        has none; "gem" the generalised mean of power 3; "cls" the class token of a transformer.
    normalize : bool, default=False
        Scale features to unit length.
    image_size : int or (int, int), default=None
        Height and width to bring images to: short side to ``image_size / crop_pct``, bicubic and antialiased,
        then a centre crop. None: what the network's configuration says, and without one the images' own size,
        which must then be one and that of `fit`. A network of a fixed size must be told as well, as in
        ``model_kwargs={"img_size": 96}``.
    crop_pct : float in (0, 1], default=None
        Share of the resized image, per side, that the crop keeps. None: the network's configuration, else 1.
    mean, std : float or array-like of shape (n_channels,), default=None
        Of brightness in [0, 1], as in the network's training. None: the network's configuration, else
        ImageNet's, averaged for a network that does not take 3 channels.
    channel_axis : {"auto", "first", "last"}, default="auto"
        Where arrays have their channels. "auto" refuses what could be read both ways.
    batch_size : int, default=32
        Images that go through the network at once.
    n_jobs : int, default=-1
        Threads that read and size images ahead of the network; -1 is one for each core.
    device : "auto", str or torch.device, default="auto"
        "auto" is a CUDA device where there is one, else the CPU.
    precision : {"auto", "fp32", "bf16", "fp16"}, default="auto"
        What the network computes in. "auto" is bf16 on a CUDA device that has it, else fp32. Features are
        float32 in each case.

    Attributes
    ----------
    module_ : nn.Module
        The network. It is `model` itself where that is a network and `weights` is no file.
    input_config_ : InputConfig
        What images are brought to: a named tuple with ``image_size``, ``mean``, ``std`` and the like.
    n_features_out_ : int
        Number of features.

    See Also
    --------
    MetricLearner : Learns a metric on these features.
    skmetric.deep.DeepMetricLearner : Trains the network itself.

    Notes
    -----
    `X` is an array of shape (n, H, W), (n, H, W, C) or (n, C, H, W), or a sequence of paths, of PIL images,
    or of arrays of various sizes. Values are uint8, bool, or float in [0, 1]; others are refused. Grey images
    are repeated for a network that takes colour, colour goes to luminance for one that takes grey. Files are
    turned upright by their Exif tag. A file and the array of its pixels give the same features.

    ``Pipeline(memory=...)`` tells files apart by path: it does not see that a file has changed. Files of
    `weights` it tells apart by content.

    Examples
    --------
    >>> import numpy as np
    >>> from torch import nn
    >>> from skmetric.features import FrozenFeatures
    >>> images = np.random.default_rng(0).integers(0, 256, (10, 8, 8), dtype=np.uint8)
    >>> network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
    >>> FrozenFeatures(network, pooling="max").fit_transform(images).shape
    (10, 4)
    """

    _parameter_constraints: ClassVar[dict] = {
        "model": [str, nn.Module, callable],
        "weights": [str, os.PathLike, None],
        "model_kwargs": [dict, None],
        "layer": [str, None],
        "pooling": [StrOptions(set(POOLINGS))],
        "normalize": ["boolean"],
        "image_size": [Interval(Integral, 1, None, closed="left"), "array-like", None],
        "crop_pct": [Interval(Real, 0, 1, closed="right"), None],
        "mean": [Real, "array-like", None],
        "std": [Interval(Real, 0, None, closed="neither"), "array-like", None],
        "channel_axis": [StrOptions({"auto", "first", "last"})],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "device": [str, torch.device],
        "precision": [StrOptions({"auto", "fp32", "bf16", "fp16"})],
    }

    def __init__(
        self,
        model,
        *,
        weights="pretrained",
        model_kwargs=None,
        layer=None,
        pooling="auto",
        normalize=False,
        image_size=None,
        crop_pct=None,
        mean=None,
        std=None,
        channel_axis="auto",
        batch_size=32,
        n_jobs=-1,
        device="auto",
        precision="auto",
    ):
        self.model = model
        self.weights = weights
        self.model_kwargs = model_kwargs
        self.layer = layer
        self.pooling = pooling
        self.normalize = normalize
        self.image_size = image_size
        self.crop_pct = crop_pct
        self.mean = mean
        self.std = std
        self.channel_axis = channel_axis
        self.batch_size = batch_size
        self.n_jobs = n_jobs
        self.device = device
        self.precision = precision

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Build the network, check the images, and run the first one to learn the number of features.

        Parameters
        ----------
        X : array or sequence of n images
            See the notes of the class.
        y : ignored
            Taken for scikit-learn's sake.

        Returns
        -------
        FrozenFeatures
            Fitted.

        Raises
        ------
        ImportError
            If timm, or Pillow for files, is not installed.
        FileNotFoundError, ValueError
            If images or weights cannot be read or do not fit the network.
        """
        resolve_device(self.device)
        module = build(self.model, self.weights, self.model_kwargs or {})
        check_layer(module, self.layer)
        images = self._open(X, n_input_channels(module))
        first = images.block(0, 1)  # (1, H, W, C)
        self.input_config_ = input_config(
            module,
            n_input_channels(module) or first.shape[-1],
            first.shape[1:3],
            image_size=self.image_size,
            crop_pct=self.crop_pct,
            mean=self.mean,
            std=self.std,
        )
        self._check_size(images)
        self.module_ = module
        self.n_features_out_ = self._features(images._replace(rows=images.rows[:1])).shape[1]
        return self

    def transform(self, X):
        """Run the network over images.

        Parameters
        ----------
        X : array or sequence of n images
            See the notes of the class. All headers of files are checked before the network starts.

        Returns
        -------
        ndarray of shape (n, n_features_out_), float32
            A row for each image.

        Raises
        ------
        FileNotFoundError, ValueError
            If images cannot be read, or features are not finite.
        """
        check_is_fitted(self)
        images = self._open(X, self.input_config_.n_channels)
        self._check_size(images)
        return self._features(images)

    def _open(self, X, n_channels):
        n_threads = effective_n_jobs(self.n_jobs)
        return open_images(X, channel_axis=self.channel_axis, n_channels=n_channels, n_threads=n_threads)

    def _check_size(self, images):
        if not self.input_config_.resize:
            check_one_size(images, self.input_config_.image_size)

    def _features(self, images):
        device, config = resolve_device(self.device), self.input_config_
        module = self.module_.to(device)

        def forward(batch):
            return extract(module, normalised(batch, config), layer=self.layer, pooling=self.pooling)

        batches = sized_batches(
            images, config, batch_size=self.batch_size, n_threads=effective_n_jobs(self.n_jobs)
        )
        with evaluating(module):
            features = infer(forward, batches, device=device, precision=self.precision)
        broken = np.flatnonzero(~np.isfinite(features).all(axis=1))
        if len(broken):
            raise ValueError(
                f"the network gives NaN or infinity for {len(broken)} images, first row {broken[0]}: if "
                "precision is 'fp16', which overflows, take 'bf16' or 'fp32'; else look at its weights"
            )
        return normalize(features) if self.normalize else features

    @property
    def _n_features_out(self):
        return self.n_features_out_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True  # of paths
        tags.input_tags.string = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def __getstate__(self):
        """Pack each network once, whether it stands in a parameter, an attribute or both."""
        state = dict(super().__getstate__())
        if "module_" not in state:
            state["_weights_digest"] = _digest(self.weights)
        elif is_file(self.weights) and isinstance(self.model, nn.Module):
            state["model"] = self.module_  # the same but for weights that `fit` takes from the file anyway
        packed = {id(value): pack_module(value) for value in state.values() if isinstance(value, nn.Module)}
        return {name: packed.get(id(value), value) for name, value in state.items()}

    def __setstate__(self, state):
        """Put the networks together again, on the CPU."""
        state = {name: value for name, value in state.items() if name != "_weights_digest"}
        modules = {id(v): unpack_module(v) for v in state.values() if isinstance(v, PackedModule)}
        super().__setstate__({name: modules.get(id(value), value) for name, value in state.items()})


def _digest(weights):
    """Content of a file of weights, for joblib's hash of an estimator that has not read it yet."""
    if not is_file(weights) or not Path(weights).is_file():
        return None
    with open(weights, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
