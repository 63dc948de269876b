"""Steps of the optimizer for the proxies that a batch sees, and for no others: with the results of all.

With ``sampled_classes`` the gradient of the proxies is sparse: some thousand rows of a table that may have
a million. Adam and momentum move every row in every step, also where its gradient is zero, by moments that
fade. What a row has missed is known in advance: m fades by beta_1 and v by beta_2 in each step, so the missed
steps add up to a number that does not depend on the row, times m / (sqrt(v) + eps). They are made up for when
the row is read the next time, and for all rows before anybody else sees them.

``torch.optim.SparseAdam`` leaves the missed steps out, which is another optimizer: a class out of 10^6 is
seldom in a batch.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import torch

_SMALLEST = 1e-9  # share of a moment that is left when it is no longer followed
_ROWS = 2**16  # brought up to date at a time
_WORTH = 40  # rows of a table for each that is read, from which a sparse gradient takes less time


class RowSteps:
    """Takes the tables with sparse gradients out of an optimizer's hands, one step at a time.

    The optimizer is changed by hooks alone: its class and its state stay those of torch, and so checkpoints
    are the same with dense and with sparse gradients.

    Parameters
    ----------
    optimizer : torch.optim.Adam, AdamW or SGD
        As made by name: its tables have no weight decay.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer
        self._tables: dict[torch.Tensor, Table] = {}
        self._hidden: list[tuple[torch.Tensor, torch.Tensor]] = []  # weights, and their gradients
        optimizer.register_step_pre_hook(self._before)
        optimizer.register_step_post_hook(self._after)

    @torch.no_grad()
    def about_to_read(self, table: torch.Tensor, rows: torch.Tensor) -> bool:
        """Bring rows up to date; whether their gradient may be sparse.

        Parameters
        ----------
        table : Tensor of shape (n, ...)
            A weight of the optimizer, or another, which is left alone.
        rows : Tensor of shape (n_rows,)
            Their numbers, each once.
        """
        if not table.requires_grad or len(table) < _WORTH * len(rows):
            return False
        if table not in self._tables:
            group = next(
                (g for g in self.optimizer.param_groups if any(table is w for w in g["params"])), None
            )
            if group is None:
                return False
            kind = MomentumTable if isinstance(self.optimizer, torch.optim.SGD) else AdamTable
            self._tables[table] = kind(table, group, self.optimizer.state[table])
        self._tables[table].catch_up(rows)
        return True

    @torch.no_grad()
    def settle(self) -> None:
        """Bring all rows up to date: somebody looks at them."""
        for table in self._tables.values():
            table.settle()

    def forget(self) -> None:
        """Begin anew with the weights and moments as they are, which were up to date."""
        self._tables.clear()

    @torch.no_grad()
    def _before(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Move rows with a gradient, and hide it; a dense gradient is left to torch."""
        for weight, table in list(self._tables.items()):
            if weight.grad is None:
                continue
            if not weight.grad.is_sparse:  # part of the loss looks at the whole table
                table.settle()
                del self._tables[weight]
                continue
            gradient = weight.grad.coalesce()
            values, is_sound = _unscaled(optimizer, gradient.values())
            if is_sound:
                table.step(gradient.indices()[0], values)
            self._hidden.append((weight, weight.grad))
            weight.grad = None

    def _after(self, *_: Any) -> None:
        """Show the gradients again."""
        for weight, gradient in self._hidden:
            weight.grad = gradient
        self._hidden.clear()


def _unscaled(optimizer: Any, values: torch.Tensor) -> tuple[torch.Tensor, bool]:
    """Gradients without the scale that a gradient scaler leaves to the optimizer; whether they are finite."""
    scale, found = getattr(optimizer, "grad_scale", None), getattr(optimizer, "found_inf", None)
    return values if scale is None else values / scale, found is None or not bool(found)


class Table(ABC):
    """A weight whose rows are moved when they are read: a subclass knows the moments.

    Parameters
    ----------
    weight : Tensor of shape (n, ...)
        Changed in place.
    group, state : dict
        Of the optimizer.
    """

    def __init__(self, weight: torch.Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        self.weight, self.group, self.state = weight, group, state
        self.n_steps = 0
        # step after which a row is up to date; -1: its moments are zero
        first = 0 if self._has_moments() else -1
        self.latest = torch.full((len(weight),), first, dtype=torch.int64, device=weight.device)
        fading = self._fading()
        n_followed = math.ceil(math.log(_SMALLEST) / math.log(fading))
        exponents = torch.arange(n_followed, 0, -1, dtype=torch.float64, device=weight.device)
        self._faded = fading**exponents
        # what a row has missed that is up to date after step s, in units of its moments
        self._missed = torch.zeros(64, dtype=torch.float64, device=weight.device)

    def catch_up(self, rows: torch.Tensor) -> None:
        """Bring rows (n_rows,) up to date."""
        if self.n_steps:
            since = self.latest[rows].clip(min=0)  # (n_rows,)
            wide = (-1, *[1] * (self.weight.ndim - 1))
            missed, n_missed = self._missed[since].view(wide), (self.n_steps - since).view(wide)
            self._catch_up(rows, missed.to(self.weight.dtype), n_missed)
            self.latest[rows] = self.n_steps

    def settle(self) -> None:
        """Bring all rows up to date."""
        rows = ((self.latest >= 0) & (self.latest < self.n_steps)).nonzero().flatten()
        for part in rows.split(_ROWS):
            self.catch_up(part)

    def step(self, rows: torch.Tensor, values: torch.Tensor) -> None:
        """One step for rows that are up to date, with gradients `values` (n_rows, ...)."""
        self.n_steps += 1
        if self.n_steps == len(self._missed):
            self._missed = torch.cat([self._missed, torch.zeros_like(self._missed)])
        rate = self._begin_step()
        first = max(0, self.n_steps - len(self._faded))
        self._missed[first : self.n_steps] += rate * self._faded[len(self._faded) - (self.n_steps - first) :]
        self._step(rows, values)
        self.latest[rows] = self.n_steps

    @abstractmethod
    def _has_moments(self) -> bool:
        """Whether the optimizer has moved the table before."""

    @abstractmethod
    def _fading(self) -> float:
        """What is left of a row's movement after a step without a gradient."""

    @abstractmethod
    def _begin_step(self) -> float:
        """Count a step; what it moves a row by, in units of its moments before they fade."""

    @abstractmethod
    def _catch_up(self, rows: torch.Tensor, missed: torch.Tensor, n_missed: torch.Tensor) -> None:
        """Move rows by what they have missed, and let their moments fade."""

    @abstractmethod
    def _step(self, rows: torch.Tensor, values: torch.Tensor) -> None:
        """Move rows by their gradients."""


class AdamTable(Table):
    """With the moments of Adam. `eps` counts as it was when the row was left, not as it grows beside v."""

    def __init__(self, weight: torch.Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        self._n_before = float(state["step"]) if state else 0.0
        super().__init__(weight, group, state)

    def _has_moments(self) -> bool:
        return bool(self.state)

    def _fading(self) -> float:
        first, second = self.group["betas"]
        return first / math.sqrt(second)

    def _begin_step(self) -> float:
        if not self.state:
            device = self.weight.device if self.group.get("fused") else "cpu"
            self.state["step"] = torch.zeros((), dtype=torch.float32, device=device)
            self.state["exp_avg"] = torch.zeros_like(self.weight)
            self.state["exp_avg_sq"] = torch.zeros_like(self.weight)
        self.state["step"] += 1
        n = self._n_before + self.n_steps
        first, second = self.group["betas"]
        self._corrections = 1 - first**n, math.sqrt(1 - second**n)
        return self.group["lr"] * self._corrections[1] / self._corrections[0]

    def _catch_up(self, rows: torch.Tensor, missed: torch.Tensor, n_missed: torch.Tensor) -> None:
        first, second = self.group["betas"]
        means, squares = self.state["exp_avg"][rows], self.state["exp_avg_sq"][rows]
        self.weight[rows] -= missed * means / (squares.sqrt() + self.group["eps"] * self._corrections[1])
        self.state["exp_avg"][rows] = means * (first ** n_missed.double()).to(means.dtype)
        self.state["exp_avg_sq"][rows] = squares * (second ** n_missed.double()).to(means.dtype)

    def _step(self, rows: torch.Tensor, values: torch.Tensor) -> None:
        first, second = self.group["betas"]
        means = self.state["exp_avg"][rows].lerp_(values, 1 - first)
        squares = self.state["exp_avg_sq"][rows].mul_(second).addcmul_(values, values, value=1 - second)
        self.state["exp_avg"][rows], self.state["exp_avg_sq"][rows] = means, squares
        root = squares.sqrt().div_(self._corrections[1]).add_(self.group["eps"])
        self.weight[rows] -= means.div_(root).mul_(self.group["lr"] / self._corrections[0])


class MomentumTable(Table):
    """With the momentum of SGD."""

    def _has_moments(self) -> bool:
        return self.state.get("momentum_buffer") is not None

    def _fading(self) -> float:
        return self.group["momentum"]

    def _begin_step(self) -> float:
        if not self._has_moments():
            self.state["momentum_buffer"] = torch.zeros_like(self.weight)
        return self.group["lr"]

    def _catch_up(self, rows: torch.Tensor, missed: torch.Tensor, n_missed: torch.Tensor) -> None:
        moments = self.state["momentum_buffer"][rows]
        self.weight[rows] -= missed * moments
        faded = self.group["momentum"] ** n_missed.double()
        self.state["momentum_buffer"][rows] = moments * faded.to(moments.dtype)

    def _step(self, rows: torch.Tensor, values: torch.Tensor) -> None:
        moments = self.state["momentum_buffer"][rows].mul_(self.group["momentum"]).add_(values)
        self.state["momentum_buffer"][rows] = moments
        self.weight[rows] -= self.group["lr"] * moments


def dense_parts(weights: list[torch.Tensor]) -> Iterator[torch.Tensor]:
    """What ``clip_grad_norm_`` takes: weights, or the rows with a gradient where that is sparse."""
    for weight in weights:
        if weight.grad is not None and weight.grad.is_sparse:
            weight.grad = weight.grad.coalesce()
            rows = weight.grad.values().detach()
            part = torch.empty_like(rows)
            part.grad = rows  # shares its memory with the gradient of the weight
            yield part
        else:
            yield weight
