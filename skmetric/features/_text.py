"""FrozenText: texts to the embeddings of a sentence model that stays as it is."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from numbers import Integral
from pathlib import PurePath
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.preprocessing import normalize
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from skmetric._documented import DocumentedMixin
from skmetric._params import FitTasks, Interval, check_params, fit_context, with_callbacks
from skmetric._sklearn import (
    BaseEstimator,
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from skmetric._torch import resolve_device

from ._cache import FeatureCache
from ._text_model import digest_of_model, key_of_function, load_model, refuse_whole_models
from ._texts import Texts, checked_embeddings, read_texts

__all__ = ["FrozenText"]


class FrozenText(
    DocumentedMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, CallbackSupportMixin, BaseEstimator
):
    """Embeddings of texts from a model that is not trained.

    The first step of a pipeline that learns a metric on texts. The model is loaded when it is first needed,
    and a pickle holds its name, not its weights. With `cache` each text goes through the model once, over a
    whole grid search and in later sessions.

    Parameters
    ----------
    model : str or callable
        Name of a model of sentence-transformers (which must be installed; downloaded once), or the folder
        that it was saved in. Or a function from a list of texts to an array of shape (n_texts, n_features),
        best a function of a module that loads its model at the first call, so that the pickle does not hold
        it.
    normalize : bool, default=False
        Scale embeddings to unit length.
    batch_size : int, default=64
        Texts that go through the model at once; a function gets as many.
    device : "auto", str or torch.device, default="auto"
        Where a named model computes. "auto" is a CUDA device where there is one, else the CPU.
    cache : str or path-like, default=None
        Folder that keeps the embedding of each text, as of :class:`FrozenFeatures`. Embeddings are found by
        the weights and settings of the model, or by the module, name and code of a function, and by the text.
        What the function calls is not part of it: empty the folder after a change there. None keeps nothing.

    Attributes
    ----------
    n_features_out_ : int
        Number of features.

    See Also
    --------
    FrozenFeatures : The same for images.
    skmetric.deep.DeepMetricLearner : Trains a text encoder itself, with `collate_fn`.

    Examples
    --------
    >>> import numpy as np
    >>> from skmetric.features import FrozenText
    >>> def letters(texts):
    ...     return np.array([[text.count(letter) for letter in "aeiou"] for text in texts])
    >>> FrozenText(letters).fit_transform(["lost card", "new pin"])
    array([[1., 0., 0., 1., 0.],
           [0., 1., 1., 0., 0.]], dtype=float32)
    """

    _parameter_constraints: ClassVar[dict] = {
        "model": [str, callable],
        "normalize": ["boolean"],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "device": [str, torch.device],
        "cache": [str, os.PathLike, None],
    }

    n_features_out_: int

    def __init__(
        self,
        model: str | Callable[[list[str]], Any],
        *,
        normalize: bool = False,
        batch_size: int = 64,
        device: str | torch.device = "auto",
        cache: str | os.PathLike[str] | None = None,
    ) -> None:
        self.model = model
        self.normalize = normalize
        self.batch_size = batch_size
        self.device = device
        self.cache = cache

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Load the model, check the texts, and embed the first one to learn the number of features.

        Parameters
        ----------
        X : sequence of str
            Texts: a list, an array or a column of a table.
        y : ignored
            Taken for scikit-learn's sake.

        Returns
        -------
        FrozenText
            Fitted.

        Raises
        ------
        ImportError
            If `model` is a name and sentence-transformers is not installed.
        OSError
            If nothing can be written to the folder `cache`, or there is no such model.
        TypeError, ValueError
            If `X` holds anything but texts, the model gives no array of finite numbers, or `cache` is given
            and `model` is a function that its module does not have under its name.
        """
        self._fit(X)
        FitTasks(self, X, y, 0).close()  # nothing that takes time
        return self

    def fit_transform(self, X: Any, y: Any = None) -> NDArray[np.float32]:  # type: ignore[override]
        """Load the model and run it over the texts.

        Parameters
        ----------
        X : sequence of str
            Texts.
        y : ignored
            Taken for scikit-learn's sake.

        Returns
        -------
        ndarray of shape (n, n_features_out_), float32
            A row for each text.
        """
        return self._embed_with_callbacks(self._fit(X), X, y, "fit")

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Run the model over texts.

        Parameters
        ----------
        X : sequence of str
            Texts: a list, an array or a column of a table.

        Returns
        -------
        ndarray of shape (n, n_features_out_), float32
            A row for each text.

        Raises
        ------
        TypeError, ValueError
            If `X` holds anything but texts.

        Warns
        -----
        UserWarning
            If nothing can be written to the folder `cache`.
        """
        check_is_fitted(self)
        texts = read_texts(X)
        if not hasattr(self, "_skl_callbacks"):
            return self._embeddings(texts)
        return self._embed_with_callbacks(texts, X, None, "transform")

    def _fit(self, X: Any) -> Texts:
        """Load the model and try it on the first text; the texts, checked."""
        check_params(self)
        resolve_device(self.device)
        refuse_whole_models(self.model)
        if self.cache is not None:
            FeatureCache(self.cache, "").check_writable()
        texts = read_texts(X)
        for name in ("_loaded", "n_features_out_"):  # of an earlier fit
            vars(self).pop(name, None)
        self.n_features_out_ = self._embeddings(texts._replace(rows=texts.rows[:1])).shape[1]
        return texts

    @with_callbacks
    def _embed_with_callbacks(self, texts: Texts, X: Any, y: Any, task: str) -> NDArray[np.float32]:
        """Embeddings, each batch a step for callbacks."""
        tasks = FitTasks(self, X, y, -(-len(texts.rows) // self.batch_size), name="batch", task=task)
        embeddings = self._embeddings(texts, tasks)
        tasks.close()
        return embeddings

    def _embeddings(self, texts: Texts, tasks: FitTasks | None = None) -> NDArray[np.float32]:
        """Embeddings of texts, from the cache where they are kept."""
        encode, digest = self._encoder()

        def run(rows: Any) -> NDArray[np.float32]:
            return self._run(encode, [texts.rows[i] for i in rows], tasks)

        def all_of_them() -> NDArray[np.float32]:
            return run(range(len(texts.rows)))

        if self.cache is None:
            embeddings = all_of_them()
        else:
            cache = FeatureCache(self.cache, f"text {digest}")
            embeddings = cache.features(texts, run, all_of_them, 1)
        return normalize(embeddings, copy=False) if self.normalize else embeddings

    def _run(
        self, encode: Callable[[list[str]], Any], texts: list[str], tasks: FitTasks | None
    ) -> NDArray[np.float32]:
        """Embeddings of texts, batch by batch."""
        parts, width = [], getattr(self, "n_features_out_", None)
        for start in range(0, len(texts), self.batch_size):
            batch = texts[start : start + self.batch_size]
            if tasks is not None:
                tasks.begin()
            parts.append(checked_embeddings(encode(batch), len(batch), width))
            if tasks is not None:
                tasks.end()
        return np.concatenate(parts)

    def _encoder(self) -> tuple[Callable[[list[str]], Any], str]:
        """The function from texts to embeddings, and what tells it from others; a model is loaded once."""
        if not isinstance(self.model, str):
            return self.model, key_of_function(self.model) if self.cache is not None else ""
        if "_loaded" not in vars(self):
            device = str(resolve_device(self.device))
            loaded = load_model(self.model, device)
            self._loaded = loaded, digest_of_model(loaded) if self.cache is not None else ""
        loaded, digest = self._loaded
        if self.cache is not None and not digest:
            digest = digest_of_model(loaded)
            self._loaded = loaded, digest
        encode = functools.partial(
            loaded.encode, batch_size=self.batch_size, convert_to_numpy=True, show_progress_bar=False
        )
        return encode, digest

    @property
    def _n_features_out(self) -> int:
        return self.n_features_out_

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """Leave the model out: it is loaded by its name where it is needed."""
        state = dict(super().__getstate__())
        state.pop("_loaded", None)
        return state

    def _state_for_folder(self) -> dict[str, Any]:
        """Give the state in plain values: neither the model nor the path of a cache, nor that of a model."""
        state = self.__getstate__() | {"cache": None}
        if isinstance(self.model, str) and os.path.isdir(self.model):
            state["model"] = f"./{PurePath(self.model).name}"  # whoever loads it says where theirs is
        return state
