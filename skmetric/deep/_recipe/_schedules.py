"""Learning rates over the steps of a call: by a name of this package, or by a scheduler of torch."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from skmetric.deep._training._optim import SCHEDULES


def make_schedule(
    schedule: str | Callable | None, optimizer: torch.optim.Optimizer, n_steps: int, warm_up: float = 0.0
) -> Schedule | TorchSchedule:
    """Set up what changes the learning rates.

    Parameters
    ----------
    schedule : str, callable or None
        A name, or what makes a scheduler of torch from an optimizer.
    optimizer : torch.optim.Optimizer
        Its rates are those of the parameters.
    n_steps : int
        In the whole call.
    warm_up : float, default=0.0
        For names.

    Returns
    -------
    Schedule or TorchSchedule
        With ``step()`` after each step of the optimizer, ``end_epoch(row)`` and states.
    """
    if callable(schedule):
        return TorchSchedule(schedule, optimizer, n_steps)
    return Schedule(schedule, optimizer, n_steps, warm_up)


class Schedule:
    """Learning rates over the steps of one call: each group's own rate times a factor.

    Parameters
    ----------
    name : str or None
        In `SCHEDULES`.
    optimizer : torch.optim.Optimizer
        Its rates, as they are now, are what the factor multiplies.
    n_steps : int
        In the whole call.
    warm_up : float, default=0.0
        Share of the steps in which the rates rise from 0, besides.
    """

    def __init__(self, name, optimizer, n_steps, warm_up=0.0):
        self.name, self.warm_up = name, warm_up
        self.optimizer, self.n_steps = optimizer, n_steps
        self.rates = [group["lr"] for group in optimizer.param_groups]
        self.load_state_dict({"n_done": 0})

    def step(self):
        """Set the rates for the next step."""
        self.load_state_dict({"n_done": self.n_done + 1})

    def state_dict(self):
        """Number of steps done, of all."""
        return {"n_done": self.n_done, "n_steps": self.n_steps, "name": self.name}

    def go_on_from(self, state):
        """Go on after the steps of an earlier call, if its schedule was this one and not at its end."""
        if state["name"] == self.name and state["n_done"] < state["n_steps"]:
            self.n_steps += state["n_done"]
            self.load_state_dict(state)

    def load_state_dict(self, state):
        """Set the rates for the step after those done."""
        self.n_done = state["n_done"]
        factor = SCHEDULES[self.name](min(self.n_done / self.n_steps, 1.0)) * self._rise()
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor

    def end_epoch(self, row: dict[str, float]) -> None:
        """Rates do not depend on how training goes."""

    def _rise(self):
        """Factor of the warm-up; a first step of rate 0 would be lost."""
        n_rising = self.warm_up * self.n_steps
        return min(1.0, (self.n_done + 1) / n_rising) if n_rising > 0 else 1.0


class TorchSchedule:
    """A scheduler of torch, which is stepped after each step of the optimizer.

    ``ReduceLROnPlateau`` is stepped after each epoch: with the first validation score if its mode is "max",
    else with the loss.

    Parameters
    ----------
    make : callable
        From an optimizer to a scheduler; called with ``n_steps=`` too, if it has a parameter of that name.
    optimizer : torch.optim.Optimizer
        Its rates are changed.
    n_steps : int
        In the whole call.
    """

    def __init__(self, make: Callable, optimizer: torch.optim.Optimizer, n_steps: int) -> None:
        self.name, self.n_steps, self.n_done = _named(make), n_steps, 0
        self.scheduler = _made(make, optimizer, n_steps)
        self.by_epoch = isinstance(self.scheduler, ReduceLROnPlateau)

    def step(self) -> None:
        """Set the rates for the next step; after the last one they stay."""
        self.n_done += 1
        if self.by_epoch or self.n_done >= self.n_steps:
            return
        try:
            self.scheduler.step()
        except ValueError:  # one that goes on from an earlier call is shorter: it was tried for a call from 0
            self.n_done = self.n_steps

    def end_epoch(self, row: dict[str, float]) -> None:
        """Tell a scheduler that looks at the progress about the epoch."""
        if self.by_epoch:
            scores = [value for name, value in row.items() if name.startswith("validation_")]
            if self.scheduler.mode == "max" and not scores:
                raise ValueError(
                    f"schedule={self.name} has mode='max', that of validation scores, and no classes are "
                    "held out: use mode='min', which looks at the loss, or set validation_fraction"
                )
            self.scheduler.step(scores[0] if self.scheduler.mode == "max" else row["loss"])

    def state_dict(self) -> dict[str, Any]:
        """Steps done, the state of torch's scheduler, and what it changes beside the rates."""
        state = {"n_done": self.n_done, "n_steps": self.n_steps, "name": self.name}
        return state | {"scheduler": self.scheduler.state_dict(), "cycled": self._cycled()}

    def _cycled(self) -> list[dict[str, Any]]:
        """Momentum of each group of weights, where the scheduler sets it."""
        if not getattr(self.scheduler, "cycle_momentum", False):
            return []
        groups = self.scheduler.optimizer.param_groups
        return [{name: group[name] for name in ("momentum", "betas") if name in group} for group in groups]

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a state; rates are in that of the optimizer."""
        self.n_done = state["n_done"]
        self.scheduler.load_state_dict(state["scheduler"])
        for group, rate in zip(
            self.scheduler.optimizer.param_groups, self.scheduler.get_last_lr(), strict=True
        ):
            group["lr"] = rate
        if cycled := state.get("cycled"):  # earlier versions did not keep it
            for group, kept in zip(self.scheduler.optimizer.param_groups, cycled, strict=True):
                group.update(kept)

    def go_on_from(self, state: dict[str, Any]) -> None:
        """Go on after the steps of an earlier call, if its schedule was this one and not at its end."""
        if state["name"] == self.name and state["n_done"] < state["n_steps"] and "scheduler" in state:
            self.n_steps += state["n_done"]
            self.load_state_dict(state)


def check_schedule(schedule: str | Callable | None, optimizer: torch.optim.Optimizer, n_steps: int) -> None:
    """Try a scheduler of torch on weights of no use, step by step, before any work: it may end early.

    Parameters
    ----------
    schedule : str, callable or None
        The parameter.
    optimizer : torch.optim.Optimizer
        Whose kind and rates are tried; it is not changed.
    n_steps : int
        Steps that training may take.

    Raises
    ------
    ValueError
        If the scheduler cannot be made, or fails before its last step.
    """
    if not callable(schedule):
        return
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    instead = {id(weight): torch.zeros(1, requires_grad=True) for weight in weights}
    tried = copy.deepcopy(optimizer, instead)
    vars(tried).pop("step", None)  # that of the original, if another scheduler counts its calls
    scheduler = _made(schedule, tried, n_steps)
    if isinstance(scheduler, ReduceLROnPlateau):
        return
    tried.step()
    for n_done in range(1, n_steps):
        try:
            scheduler.step()
        except Exception as error:  # whatever a scheduler raises at its end
            raise ValueError(
                f"schedule={_named(schedule)} ends after {n_done} of {n_steps} steps of training: {error}. "
                "Take its length from n_steps, as in lambda optimizer, n_steps: OneCycleLR(optimizer, 1e-3, "
                "total_steps=n_steps)"
            ) from error


def _made(make: Callable, optimizer: torch.optim.Optimizer, n_steps: int) -> Any:
    try:
        asked = {"n_steps": n_steps} if "n_steps" in inspect.signature(make).parameters else {}
        scheduler = make(optimizer, **asked)
    except Exception as error:
        raise ValueError(
            f"schedule={_named(make)} fails as schedule(optimizer): {error}. Give it the rest by "
            "functools.partial, or as lambda optimizer, n_steps: ..."
        ) from error
    if not isinstance(scheduler, LRScheduler | ReduceLROnPlateau):
        raise ValueError(
            f"schedule={_named(make)} must return a scheduler of torch.optim.lr_scheduler, got "
            f"{type(scheduler).__name__}"
        )
    return scheduler


def _named(make: Callable) -> str:
    made = getattr(make, "func", make)  # of functools.partial
    return getattr(made, "__name__", type(made).__name__)
