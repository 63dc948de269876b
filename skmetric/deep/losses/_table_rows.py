"""Rows of a table of proxies; their gradient is sparse where the optimizer can use it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import torch


class Reader(Protocol):
    """Whoever moves the rows of tables, and so must know which ones are read."""

    def about_to_read(self, table: torch.Tensor, rows: torch.Tensor) -> bool:
        """Bring rows up to date; whether their gradient may be sparse."""


_READER: ContextVar[Reader | None] = ContextVar("reader", default=None)


@contextmanager
def read_by(reader: Reader | None) -> Iterator[None]:
    """Let a reader know of all rows that losses read in the block; outside of it gradients are dense."""
    token = _READER.set(reader)
    try:
        yield
    finally:
        _READER.reset(token)


def rows_of(table: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Rows (n_rows, ...) of a table (n, ...); their numbers are sorted, each once."""
    reader = _READER.get()
    if reader is None or not table.is_leaf or not reader.about_to_read(table, rows):
        return table[rows]
    return _SparseRows.apply(table, rows)


class _SparseRows(torch.autograd.Function):
    """Rows of a table, whose gradient has these rows alone."""

    @staticmethod
    def forward(ctx: Any, table: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        ctx.shape, ctx.rows = table.shape, rows
        return table[rows]

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return torch.sparse_coo_tensor(
            ctx.rows[None], gradient, ctx.shape, check_invariants=False, is_coalesced=True
        ), None
