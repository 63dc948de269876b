"""FrozenFeatures: images to the features of a network that stays as it is."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from joblib import effective_n_jobs
from numpy.typing import ArrayLike, NDArray
from sklearn.preprocessing import normalize
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skmetric._backbone._build import build, n_input_channels
from skmetric._backbone._pooling import POOLINGS
from skmetric._backbone._weights import is_file
from skmetric._documented import DocumentedMixin
from skmetric._images._images import Images, check_one_size
from skmetric._images._opening import open_images
from skmetric._params import FitTasks, Interval, StrOptions, check_params, fit_context, with_callbacks
from skmetric._pixels._sizing import InputConfig, normalised, read_batches
from skmetric._sklearn import (
    BaseEstimator,
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from skmetric._torch import PackedModule, evaluating, infer, pack_module, resolve_device, unpack_module

from ._cache import BLOCK, FeatureCache, digest_of_network
from ._exported import as_module
from ._network import check_layer, extract, input_config
from ._places import rows_of_places
from ._plain import plain, restored

__all__ = ["FrozenFeatures"]


class FrozenFeatures(
    DocumentedMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, CallbackSupportMixin, BaseEstimator
):
    """Features of images from a network that is not trained.

    The first step of a pipeline that learns a metric on images. ``fit`` builds the network and looks at the
    input; neither it nor ``transform`` changes a weight. With `cache` each image goes through the network
    once, over a whole grid search and in later sessions.

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
    crop_pct : float in (0, 2], default=None
        Share of the resized image, per side, that the crop keeps; above 1 the image gets a black frame, as
        some networks want it. None: the network's configuration, else 1.
    mean, std : float or array-like of shape (n_channels,), default=None
        Of brightness in [0, 1], as in the network's training. None: the network's configuration, else
        ImageNet's, averaged for a network that does not take 3 channels.
    channel_axis : {"auto", "first", "last"}, default="auto"
        Where arrays have their channels. "auto" refuses what could be read both ways.
    background : str or (int, int, int), default="white"
        Colour under the transparent places of files and PIL images: a name, "#rrggbb", or red, green and blue
        from 0 to 255. What is hidden there has no effect.
    batch_size : int, default=32
        Images that go through the network at once.
    n_jobs : int, default=-1
        Threads that read and size images ahead of the network; -1 is one for each core.
    device : "auto", str or torch.device, default="auto"
        "auto" is a CUDA device where there is one, else the CPU.
    precision : {"auto", "fp32", "bf16", "fp16"}, default="auto"
        What the network computes in. "auto" is bf16 on a CUDA device that has it, else fp32. Features are
        float32 in each case.
    cache : str or path-like, default=None
        Folder that keeps the features of each image; made if it is not there, and shared by any number of
        estimators and processes. Features are found by the weights and parts of the network, by what is done
        to an image and by its content, whatever the order, the labels, `batch_size` or the path. A damaged
        entry is computed again. The code of a network's own class is not part of it: empty the folder after
        a change. None keeps nothing.

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
    are repeated for a network that takes colour, colour goes to luminance for one that takes grey. Tensors of
    torch are taken as arrays, a column of a Hugging Face data set as a list.

    Files are turned upright by their Exif tag, and transparent places get the colour `background`. Grey files
    of 16 bits are scaled by the largest value that they declare (PGM, TIFF), else by 65,535, or by 4,095 if
    no pixel exceeds that: cameras of 12 bits. A file and the array of its pixels give the same features.
    Formats that are read: JPEG, PNG, WebP, GIF (its first frame), BMP, TIFF, PPM, AVIF and JPEG 2000; HEIF
    and JPEG XL if a package that adds them to Pillow was imported. An image whose header declares more pixels
    than ``PIL.Image.MAX_IMAGE_PIXELS`` is refused.

    ``Pipeline(memory=...)`` keeps the results of whole calls: in a grid search each fold and each set that is
    scored runs the network anew, and it tells files apart by path. `cache` has neither limit.

    Callbacks of scikit-learn are told of each batch of images in `fit_transform` and `transform`:
    ``set_callbacks(ProgressBar())`` of the features, or of the pipeline around them, shows how far they are.

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
        "crop_pct": [Interval(Real, 0, 2, closed="right"), None],
        "mean": [Real, "array-like", None],
        "std": [Interval(Real, 0, None, closed="neither"), "array-like", None],
        "channel_axis": [StrOptions({"auto", "first", "last"})],
        "background": [str, "array-like"],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "device": [str, torch.device],
        "precision": [StrOptions({"auto", "fp32", "bf16", "fp16"})],
        "cache": [str, os.PathLike, None],
    }

    module_: nn.Module
    input_config_: InputConfig
    n_features_out_: int

    def __init__(
        self,
        model: str | nn.Module | Any,
        *,
        weights: str | os.PathLike[str] | None = "pretrained",
        model_kwargs: dict[str, Any] | None = None,
        layer: str | None = None,
        pooling: Literal["auto", "avg", "max", "gem", "cls"] = "auto",
        normalize: bool = False,
        image_size: int | tuple[int, int] | None = None,
        crop_pct: float | None = None,
        mean: float | ArrayLike | None = None,
        std: float | ArrayLike | None = None,
        channel_axis: Literal["auto", "first", "last"] = "auto",
        background: str | tuple[int, int, int] = "white",
        batch_size: int = 32,
        n_jobs: int | None = -1,
        device: str | torch.device = "auto",
        precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto",
        cache: str | os.PathLike[str] | None = None,
    ) -> None:
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
        self.background = background
        self.batch_size = batch_size
        self.n_jobs = n_jobs
        self.device = device
        self.precision = precision
        self.cache = cache

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
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
        OSError
            If nothing can be written to the folder `cache`.
        FileNotFoundError, ValueError
            If images or weights cannot be read or do not fit the network.
        """
        self._fit(X)
        tasks = FitTasks(self, X, y, 0)  # nothing that takes time
        tasks.close()
        return self

    def _fit(self, X: Any) -> Images:
        """Build the network, and try it on the first image; the images, open."""
        check_params(self)
        resolve_device(self.device)
        if self.cache is not None:
            FeatureCache(self.cache, "").check_writable()
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
        return images

    def fit_transform(self, X: Any, y: Any = None) -> NDArray[np.float32]:  # type: ignore[override]
        """Build the network and run it over the images.

        Parameters
        ----------
        X : array or sequence of n images
            See the notes of the class.
        y : ignored
            Taken for scikit-learn's sake.

        Returns
        -------
        ndarray of shape (n, n_features_out_), float32
            A row for each image.
        """
        return self._features_with_callbacks(self._fit(X), X, y, "fit")

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Run the network over images.

        Parameters
        ----------
        X : array or sequence of n images
            See the notes of the class. All headers of files are checked before the network starts. If pixels
            turn out to be damaged later, all files are checked, so that the error names each damaged one;
            :func:`skmetric.datasets.check_images` gives the others.

        Returns
        -------
        ndarray of shape (n, n_features_out_), float32
            A row for each image.

        Raises
        ------
        FileNotFoundError, ValueError
            If images cannot be read, or features are not finite.

        Warns
        -----
        UserWarning
            If nothing can be written to the folder `cache`.
        """
        check_is_fitted(self)
        images = self._open(X, self.input_config_.n_channels)
        self._check_size(images)
        if not hasattr(self, "_skl_callbacks"):  # callbacks are of one thread; this may run in many
            return self._features(images)
        return self._features_with_callbacks(images, X, None, "transform")

    @with_callbacks
    def _features_with_callbacks(self, images: Images, X: Any, y: Any, task: str) -> NDArray[np.float32]:
        """Features, each batch a step for callbacks."""
        n_batches = self._n_batches(len(images.rows))
        tasks = FitTasks(self, X, y, n_batches, name="batch", task=task)
        features = self._features(images, tasks)
        tasks.close()
        return features

    def _n_batches(self, n_images: int) -> int:
        """At most: images in the cache need none."""
        if self.cache is None:
            return -(-n_images // self.batch_size)
        blocks, rest = divmod(n_images, BLOCK)
        return blocks * -(-BLOCK // self.batch_size) - (-rest // self.batch_size)

    def _open(self, X: Any, n_channels: int | None) -> Images:
        return open_images(
            X,
            channel_axis=self.channel_axis,
            n_channels=n_channels,
            n_threads=effective_n_jobs(self.n_jobs),
            background=self.background,
        )

    def _check_size(self, images: Images) -> None:
        if not self.input_config_.resize:
            check_one_size(images, self.input_config_.image_size)

    def _features(self, images: Images, tasks: FitTasks | None = None) -> NDArray[np.float32]:
        every, n_threads = list(range(len(images.rows))), effective_n_jobs(self.n_jobs)
        if self.cache is None:
            features = self._run(images, every, tasks)
        else:
            features = FeatureCache(self.cache, self._context()).features(
                images,
                run=lambda rows: self._run(images, rows, tasks),
                anew=lambda: self._run(images, every),
                n_threads=n_threads,
            )
        return normalize(features) if self.normalize else features

    def _context(self) -> str:
        """All that features depend on beside the image, for the cache."""
        device = resolve_device(self.device)
        bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
        precision = self.precision if self.precision != "auto" else "bf16" if bf16 else "fp32"
        settings = (self.layer, self.pooling, precision, str(self.background), tuple(self.input_config_))
        return f"1 {digest_of_network(self.module_)} {settings!r}"  # 1: of the form of an entry

    def _run(self, images: Images, rows: list[int], tasks: FitTasks | None = None) -> NDArray[np.float32]:
        """Features of the rows with these numbers, each once through the network."""
        device, config = resolve_device(self.device), self.input_config_
        module = self.module_.to(device)

        def forward(batch: torch.Tensor) -> torch.Tensor:
            return extract(module, normalised(batch, config), layer=self.layer, pooling=self.pooling)

        parts = (rows[start : start + self.batch_size] for start in range(0, len(rows), self.batch_size))
        whole = (range(part[0], part[-1] + 1) if _in_a_row(part) else part for part in parts)  # spares a copy
        batches = read_batches(images, config, whole, n_threads=effective_n_jobs(self.n_jobs))
        if tasks is not None:
            batches = _announced(batches, tasks)
        with evaluating(module):
            features = infer(forward, batches, device=device, precision=self.precision)
        broken = np.flatnonzero(~np.isfinite(features).all(axis=1))
        if len(broken):
            raise ValueError(
                f"the network gives NaN or infinity for {len(broken)} images, first row {rows[broken[0]]}: "
                "if precision is 'fp16', which overflows, take 'bf16' or 'fp32'; else look at its weights"
            )
        return features

    def _rows_of_places(self, image: Any) -> tuple[NDArray[Any], NDArray[np.float64], tuple[int, int]]:
        """What places of an image give to its features: the picture, rows (n_places + 1, n), the grid."""
        return rows_of_places(self, image)

    def _as_module(self) -> tuple[nn.Module, tuple[int, ...], torch.dtype]:
        """`transform` of resized images as a module; shape (H, W, C) and dtype of its input."""
        return as_module(self)

    @property
    def _n_features_out(self) -> int:
        return self.n_features_out_

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True  # of paths
        tags.input_tags.string = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """Pack each network once, whether it stands in a parameter, an attribute or both."""
        state = dict(super().__getstate__())
        found = plain(state) if "module_" in state else None
        if found is not None:
            return found
        if "module_" not in state:
            state["_weights_digest"] = _digest(self.weights)
        elif is_file(self.weights) and isinstance(self.model, nn.Module):
            state["model"] = self.module_  # the same but for weights that `fit` takes from the file anyway
        packed = {id(value): pack_module(value) for value in state.values() if isinstance(value, nn.Module)}
        return {name: packed.get(id(value), value) for name, value in state.items()}

    def _state_for_folder(self) -> dict[str, Any]:
        """Give the state in plain values, a network of the user's own code as it is, no path of a cache."""
        state = dict(super().__getstate__()) | {"cache": None}
        if "module_" not in state:
            return state
        found = plain(state) or plain(state, own=True)
        if found is None:
            raise TypeError(
                "a folder cannot hold these FrozenFeatures: the network is of another hub, or has tensors of "
                "a type that NumPy lacks. Give the network itself as `model`, or use joblib"
            )
        return found

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Put the networks together again, on the CPU."""
        state = {"background": "white", "cache": None} | state  # which earlier versions did not have
        state.pop("_weights_digest", None)
        modules = {id(v): unpack_module(v) for v in state.values() if isinstance(v, PackedModule)}
        super().__setstate__(restored({name: modules.get(id(v), v) for name, v in state.items()}))


def _announced(batches: Iterable[torch.Tensor], tasks: FitTasks) -> Iterator[torch.Tensor]:
    """The batches: a step ends when the next batch is asked for."""
    for batch in batches:
        tasks.begin()
        yield batch
        tasks.end()


def _in_a_row(rows: list[int]) -> bool:
    return rows[-1] - rows[0] == len(rows) - 1 and rows == list(range(rows[0], rows[-1] + 1))


def _digest(weights: Any) -> str | None:
    """Content of a file of weights, for joblib's hash of an estimator that has not read it yet."""
    if not is_file(weights) or not Path(weights).is_file():
        return None
    with open(weights, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
