"""What the estimators around a network share: training in sessions, embedding, pickles without a GPU."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Mapping
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from joblib import wrap_non_picklable_objects
from numpy.typing import ArrayLike, NDArray
from torch import nn

from skmetric._params import check_params
from skmetric._torch import PackedModule, pack_module, resolve_device, unpack_module

from ._data._scale import Scale
from ._distributed._group import Alone
from ._distributed._joining import ToStart, find_group
from ._distributed._launch import fit_by_processes
from ._distributed._ranks import NoTasks, silent_but_first
from ._distributed._telling import tasks_of
from ._exported import as_module
from ._places import rows_after, rows_of_places
from ._plain import plain, restored
from ._recipe._checkpoint_settings import Checkpoint as CheckpointSettings
from ._training._assembly import embed
from ._training._checkpoints._checkpoint import Checkpoint, pack
from ._training._checkpoints._checkpoint_folder import CheckpointFolder
from ._training._ending import add_head, may_retrain, on_all_classes
from ._training._loop import train
from ._training._loss._criterion import margin_of
from ._training._loss._diagnosis import warn_of_failure
from ._training._session import Call, Task, fitted_state, open_session
from .losses._graded import attach

if TYPE_CHECKING:
    from ._data._gathered import Gathered
    from ._data._source import Streamed


class NetworkMixin:
    """An estimator whose fitted ``module_`` embeds samples."""

    # what every learner has
    module: str | nn.Module | Callable
    n_components: int | None
    normalize: bool
    loss: Any
    margin: float | None
    max_epochs: int
    optimizer: str | Callable
    learning_rate: float | None
    weight_decay: float
    schedule: str | Callable | None
    clip_norm: float | None
    augment: Any
    validation_fraction: float | str | None
    early_stopping: bool
    patience: int
    warm_start: bool
    precision: str
    device: str | torch.device
    channel_axis: str
    random_state: int | np.random.RandomState | None

    # parameters of some learners; of the others these are the values
    init: str = "random"
    refit: bool | str = False
    fine_tuning: Any = None
    head: str | None = None
    weights: str | PathLike | None = "pretrained"
    model_kwargs: dict | None = None
    pooling: str | None = None
    freeze: str | list[str] | tuple[str, ...] | None = None
    mean: float | ArrayLike | None = None
    std: float | ArrayLike | None = None
    distance: str = "euclidean"
    proxy_learning_rate: float | None = None
    scoring: Any = None
    compile: bool = False
    image_size: int | tuple[int, int] | None = None
    background: str | tuple[int, int, int] = "white"
    num_workers: int = 0
    collate_fn: Callable | None = None
    checkpoint: str | PathLike | CheckpointSettings | None = None
    distributed: Any = None

    # parameters as they are once the open ones are filled in
    freezes_batch_norm: bool | None
    default_batch: tuple[int, int]
    fewest_steps: int

    module_: nn.Module
    loss_: Any
    history_: list[dict[str, float]]
    refit_history_: list[dict[str, float]]
    untrained_scores_: dict[str, float]
    best_epoch_: int
    input_shape_: tuple[int, ...]
    n_components_: int
    _seed: int
    _n_classes: int
    _checkpoint: Checkpoint | None
    _made_of: Mapping[str, Any] = {}  # a pickle of an earlier version does not tell
    _scale: Scale | None = None  # nor this
    _input_spec: Any = None  # structure of batches that a collate function made

    def _embed(self, X: NDArray[Any] | Streamed | Gathered) -> NDArray[np.float32]:
        return embed(self.module_, X, resolve_device(self.device), self.precision, compiled=self.compile)

    def _as_module(self) -> tuple[nn.Module, tuple[int, ...], torch.dtype]:
        """`transform` of samples as a module; shape and dtype of its input."""
        return as_module(self)

    def _rows_of_places(self, image: Any) -> tuple[NDArray[Any], NDArray[np.float64], tuple[int, int]]:
        """What places of an image give to its embedding: the picture, rows (n_places + 1, n), the grid."""
        return rows_of_places(self, image)

    def _rows_after(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """What a network behind the one with the places makes of their rows."""
        return rows_after(self, rows)

    def _train(
        self,
        make_task: Callable[..., Task],
        X: Any,
        y: Any,
        *,
        single: bool = False,
        again: tuple[Any, ...] = (),
    ) -> None:
        """Open a session, train, store what it ends with.

        Parameters
        ----------
        make_task : callable
            Takes ``call=``; checks parameters.
        X, y : array-like
            As given to `fit`, for callbacks.
        single : bool, default=False
            Whether this is `partial_fit`.
        again : tuple, default=()
            Name of the method that was called, and its arguments, for processes that do the same together.
        """
        group = find_group(self.distributed, self.device)
        if isinstance(group, ToStart):
            fit_by_processes(group, self, (X, y), *again)
            return
        with silent_but_first(group):
            self._train_here(make_task, X, y, single, group)

    def _train_here(self, make_task: Callable[..., Task], X: Any, y: Any, single: bool, group: Alone) -> None:
        goes_on = hasattr(self, "module_") and (single or self.warm_start)
        call = Call(1 if single else self.max_epochs, goes_on, single, group=group)
        if goes_on and single:
            check_params(self)  # which scikit-learn leaves out
        if self.checkpoint is not None and not single:
            call = call._replace(checkpoint=CheckpointFolder(self.checkpoint, self, group))
        task = make_task(call=call)
        n_epochs = call.n_epochs * (2 if may_retrain(task) else 1)
        tasks = tasks_of(self, X, y, n_epochs) if group.rank == 0 else NoTasks()
        session = open_session(self, task, call)
        tasks.fitted = partial(fitted_state, session)
        n_before = len(session.training.history)
        last = train(session.training, session.plan, session.validate, tasks)
        warn_of_failure(session.training.history[n_before:], margin_of(session.training.loss))
        session = on_all_classes(self, session, call, tasks)
        add_head(session)
        vars(self).update(fitted_state(session))
        self._checkpoint = pack(session.training, last) if single or self.warm_start else None
        attach(self.loss_, None)  # the samples of this call are not those of the next
        tasks.close()

    def __getstate__(self) -> dict[str, Any]:
        """Give the state as it is pickled: equal estimators have equal pickles, which load without a GPU."""
        state: Mapping[str, Any] = super().__getstate__()  # type: ignore[assignment]
        found = plain(self, state) if "module_" in state else None
        return packed(state if found is None else found)

    def _state_for_folder(self) -> dict[str, Any]:
        """Give the state in plain values, with what is of the user's own code as it is."""
        state: Mapping[str, Any] = super().__getstate__()  # type: ignore[assignment]
        if "module_" not in state:
            return dict(state)
        found = plain(self, state) or plain(self, state, own=True)
        if found is None:
            raise TypeError(
                f"a folder cannot hold this {type(self).__name__}: its network is not what its parameters "
                "build, or was pickled by an earlier version. Fit it anew, or use joblib"
            )
        return found

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Put the modules together again, on the CPU."""
        super().__setstate__(restored(self, unpacked(state)))  # type: ignore[misc]
        for name, parameter in inspect.signature(type(self)).parameters.items():
            vars(self).setdefault(name, parameter.default)  # which the pickle of an earlier version lacks


# The state of an estimator as it is pickled


def packed(state: Mapping[str, Any]) -> dict[str, Any]:
    """Pack each module once: equal states then have equal pickles, which load without a GPU.

    Parameters
    ----------
    state : dict
        Attributes of an estimator.

    Returns
    -------
    dict
        The same in a form that pickle takes: modules as arrays, functions without a name by value.
    """
    return _each_once(state, _packed)


def unpacked(state: Mapping[str, Any]) -> dict[str, Any]:
    """Put the modules of a packed state together again, on the CPU."""
    return _each_once(state, lambda value: unpack_module(value) if isinstance(value, PackedModule) else value)


def _each_once(state: Mapping[str, Any], convert: Callable[[Any], Any]) -> dict[str, Any]:
    """Convert the attributes, and what is in `_made_of`: one object in two places becomes one object."""
    converted: dict[int, Any] = {}

    def once(value: Any) -> Any:
        if id(value) not in converted:
            converted[id(value)] = convert(value)
        return converted[id(value)]

    result = {name: once(value) for name, value in state.items() if name != "_made_of"}
    if "_made_of" in state:
        result["_made_of"] = {name: once(value) for name, value in state["_made_of"].items()}
    return result


def _packed(value: Any) -> Any:
    value = pack_module(value) if isinstance(value, nn.Module) else value
    listed = type(value) in (list, tuple) and any(map(callable, value))  # augmentations; a loss and a miner
    may_hold_code = isinstance(value, PackedModule) or callable(value) or listed
    return _by_value(value) if may_hold_code else value


def _by_value(value: Any) -> Any:
    """What pickle does not take, such as a lambda or a module that holds one, as what pickles by value."""
    try:
        pickle.dumps(PackedModule(value.skeleton, []) if isinstance(value, PackedModule) else value)
    except (pickle.PicklingError, AttributeError, TypeError):
        return wrap_non_picklable_objects(value, keep_wrapper=False)
    return value
