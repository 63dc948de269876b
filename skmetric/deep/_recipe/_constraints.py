"""What the parameters of the learners may be."""

from __future__ import annotations

from numbers import Integral, Real
from os import PathLike
from typing import Any

import torch
from torch import nn

from skmetric._params import Interval, StrOptions
from skmetric.deep._distributed._settings import Distributed
from skmetric.deep._network._trunk import LAYERS
from skmetric.deep._training._optim import OPTIMIZERS, SCHEDULES
from skmetric.deep.losses._graded import RELEVANCE

from ._checkpoint_settings import Checkpoint
from ._fine_tuning import FineTuning

_POSITIVE = Interval(Real, 0, None, closed="neither")
_COUNT = Interval(Integral, 1, None, closed="left")
_SHARE = Interval(Real, 0, 1, closed="left")

SHARED: dict[str, list[Any]] = {  # by all learners
    "module": [str, nn.Module, callable],
    "n_components": [_COUNT, None],
    "normalize": ["boolean"],
    "margin": [Real, None],
    "max_epochs": [_COUNT],
    "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "schedule": [StrOptions({name for name in SCHEDULES if name}), callable, None],
    "clip_norm": [_POSITIVE, None],
    "augment": [str, list, tuple, callable, None],
    "early_stopping": ["boolean"],
    "patience": [_COUNT],
    "warm_start": ["boolean"],
    "precision": [StrOptions({"auto", "fp32", "bf16", "fp16"})],
    "device": [str, torch.device],
    "channel_axis": [StrOptions({"auto", "first", "last"})],
    "image_size": [_COUNT, "array-like", None],
    "mean": [Real, "array-like", None],
    "std": [_POSITIVE, "array-like", None],
    "background": [str, "array-like"],
    "num_workers": [Interval(Integral, 0, None, closed="left")],
    "random_state": ["random_state"],
    "checkpoint": [str, PathLike, Checkpoint, None],
    "collate_fn": [callable, None],
}
OF_TUPLES = SHARED | {  # by those of pairs and triplets
    "loss": [str, callable],
    "batch_size": [_COUNT],
    "learning_rate": [_POSITIVE],
    "validation_fraction": [_SHARE, None],
}
OF_LEARNER = SHARED | {  # by DeepMetricLearner
    "init": [StrOptions({"auto", "closed_form", "random"})],
    "weights": [str, PathLike, None],
    "model_kwargs": [dict, None],
    "pooling": [StrOptions(set(LAYERS)), None],
    "freeze": [str, list, tuple, None],
    "loss": [str, callable, tuple],
    "distance": [StrOptions({"euclidean", "cosine", "poincare"})],
    "relevance": RELEVANCE,
    "classes_per_batch": [Interval(Integral, 2, None, closed="left"), None],
    "samples_per_class": [_COUNT, None],
    "steps_per_epoch": [_COUNT, None],
    "learning_rate": [_POSITIVE, None],
    "proxy_learning_rate": [_POSITIVE],
    "fine_tuning": [FineTuning, None],
    "head": [StrOptions({"closed_form"}), None],
    "compile": ["boolean"],
    "validation_fraction": [_SHARE, StrOptions({"auto"}), None],
    "refit": ["boolean", StrOptions({"auto"})],
    "scoring": [str, list, tuple, callable],
    "distributed": [Distributed, None],
}
