"""Exact search by torch on a device: the one file of `search` that imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skmetric._checks import check_map
from skmetric._kernel._rounding import WIDE, order_of_squares, power_of_two, slack_of
from skmetric._torch import resolve_device, to_tensor
from skmetric.retrieval import Neighbors

from ._vectors import is_about_origin

_BYTES = {"cpu": 2**25}  # of a block of float32 rows, and of the distances to them that are held at once
_ACCELERATOR_BYTES = 2**27
_FREE = 0.5  # share of an accelerator's free memory that rows may take; more are sent block by block
_FOLD = 64  # columns of which only the smallest value is compared to bound the k-th smallest distance
_PAIRS = 2**14  # whose exact distances are computed at a time, at least


class Block(NamedTuple):
    """Consecutive rows on the device, and what their float32 product needs."""

    rows: Tensor  # (n_rows, n_features), as stored
    centre: Tensor  # (n_features,), float64
    scale: float  # a power of two, against overflow
    is_plain: bool  # whether the rows are multiplied as they are, neither centred nor scaled
    squares: Tensor  # (n_rows,), float32: norms of the prepared rows, squared
    norm: float  # the largest of them, not squared

    def prepared(self) -> Tensor:
        """The rows, centred and scaled, float32."""
        return (
            self.rows.float() if self.is_plain else ((self.rows.double() - self.centre) * self.scale).float()
        )


class OnDevice:
    """Rows of an index where torch searches them.

    They are kept on the device where they fit, and sent to it block by block where they do not. On the CPU
    they are used where they lie, and those of a memory map are read block by block.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        Float16, float32 or float64.
    device : str
        As :class:`ExactIndex` was given it.
    is_mapped : bool
        Whether the rows lie in a file.
    before : OnDevice, default=None
        Of the first of these rows: its blocks are used again.
    """

    def __init__(
        self, rows: NDArray[Any], device: str, is_mapped: bool, before: OnDevice | None = None
    ) -> None:
        self.rows, self.asked, self.device = rows, device, searched_on(device)
        self._bytes = _BYTES.get(self.device.type, _ACCELERATOR_BYTES)
        self._n_block = max(1, self._bytes // (4 * rows.shape[1]))
        self._blocks: list[Block] | None = None
        if not is_mapped if self.device.type == "cpu" else self._fits():
            kept = [] if before is None else before._blocks_of(self)
            self._blocks = kept + list(self._made(len(kept) * self._n_block))

    def nearest(self, queries: NDArray[np.floating], k: int) -> Neighbors:
        """The k nearest rows of each query, as :func:`skmetric.retrieval.nearest` finds them.

        One float32 product a block finds all rows that may belong to the k nearest; their distances are
        computed again in float64, and these decide.
        """
        check_map(self.rows, "the embeddings of the index")
        exact = _is_float32_exact()
        wanted = to_tensor(queries).to(self.device, torch.float64)  # (n_queries, n_features)
        best = torch.full((len(queries), k), torch.inf, dtype=torch.float64, device=self.device)
        parts: list[tuple[Tensor, Tensor, Tensor]] = []  # queries, rows, exact squares; of what may be near
        start = 0
        for block in self._made(0) if self._blocks is None else self._blocks:
            block = _wide_enough(block, wanted)
            prepared = block.prepared() if exact else block.prepared().double()
            step = max(1, self._bytes // (4 * len(block.rows)))
            for first in range(0, len(queries), step):
                part = slice(first, first + step)
                query, row, squares = _near(block, prepared, wanted[part], best[part])
                parts.append((query + first, row + start, squares))
            start += len(block.rows)
        query, row, squares = (torch.cat(columns) for columns in zip(*parts, strict=True))
        kept = squares <= best[query, -1] * (1 + 1e-9)  # the bounds were wider when the first ones came
        found = [part[kept].cpu().numpy() for part in (query, row, squares)]
        return _in_order(found[0], found[1], found[2], best.shape, queries.shape[1])

    def _fits(self) -> bool:
        if self.device.type != "cuda":
            return True
        return self.rows.nbytes <= _FREE * torch.cuda.mem_get_info(self.device)[0]

    def _blocks_of(self, after: OnDevice) -> list[Block]:
        """The full blocks, which hold the first rows of `after` too."""
        if self._blocks is None or self.device != after.device:
            return []
        full = [block for block in self._blocks if len(block.rows) == self._n_block]
        if self.device.type == "cpu" and full and full[0].rows.data_ptr() != after.rows.ctypes.data:
            return []  # the rows were copied to a larger buffer: the old one must not be kept alive
        return full

    def _made(self, first: int) -> Iterator[Block]:
        for start in range(first, len(self.rows), self._n_block):
            rows = to_tensor(self.rows[start : start + self._n_block])
            yield _described(rows if self.device.type == "cpu" else rows.to(self.device).contiguous())


def searched_on(device: str) -> torch.device:
    """The device of a name, or an error that tells what to use in its place."""
    found = resolve_device(device)
    if found.type == "mps":
        raise ValueError("device='mps' has no float64, which exact search needs: use device='cpu' or None")
    return found


def _is_float32_exact() -> bool:
    """Whether products of float32 are computed in float32: not where a user lets torch use TF32 or bf16."""
    try:
        return torch.get_float32_matmul_precision() == "highest"
    except RuntimeError:  # set by both of torch's ways to set it
        return False


def _described(rows: Tensor, reach: float = 0.0) -> Block:
    """A block, for queries whose coordinates, about the centre, are up to `reach`."""
    values = rows.double()
    centre, squares = values.mean(dim=0), values.square().sum(dim=1)
    total, off = squares.mean().item(), (centre @ centre).item()
    if rows.dtype != torch.float64 and is_about_origin(total, off) and reach < WIDE:
        return Block(rows, torch.zeros_like(centre), 1.0, True, squares.float(), squares.max().sqrt().item())
    values = values - centre
    scale = power_of_two(max(values.abs().max().item(), reach))
    squares = (values * scale).float().double().square().sum(dim=1)
    return Block(rows, centre, scale, False, squares.float(), squares.max().sqrt().item())


def _wide_enough(block: Block, queries: Tensor) -> Block:
    """The block, scaled so that squares of the queries stay finite."""
    reach = (queries - block.centre).abs().max().item()
    return block if reach * block.scale < WIDE else _described(block.rows, reach)


def _near(block: Block, prepared: Tensor, queries: Tensor, best: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of a block that may belong to the nearest: numbers of queries and rows, exact squared distances.

    `best` (n_queries, k) holds upper bounds of the smallest squares so far, and is brought up to date.
    """
    k, n_features = best.shape[1], queries.shape[1]
    left = ((queries - block.centre) * block.scale).to(prepared.dtype)
    own = left.double().square().sum(dim=1, keepdim=True)  # (n_queries, 1)
    norms = own.sqrt()
    # |g|^2 - 2 q.g, to which |q|^2 is added where it is needed
    squares = torch.addmm(block.squares.to(left.dtype), left, prepared.T, alpha=-2)  # (n_queries, n_rows)
    few = _smallest(squares, k).double() + own
    few = few.clip(min=0)
    few = (few + slack_of(norms, few, block.norm, n_features)) / block.scale / block.scale
    best.copy_(torch.cat([best, few], dim=1).topk(k, dim=1, largest=False).values)
    limit = best[:, -1:] * block.scale * block.scale
    limit = (limit + slack_of(norms, limit, block.norm, n_features) - own).to(squares.dtype)
    limit = torch.nextafter(limit, torch.full_like(limit, torch.inf))
    query, row = (squares <= limit).nonzero(as_tuple=True)
    step = max(_PAIRS, _BYTES["cpu"] // (8 * n_features))
    exact = [
        (block.rows[row[part]].double() - queries[query[part]]).square().sum(dim=1)
        for part in (slice(start, start + step) for start in range(0, len(row), step))
    ]
    return query, row, torch.cat([*exact, best.new_empty(0)])


def _smallest(squares: Tensor, k: int) -> Tensor:
    """Upper bounds of the k smallest of each row, (n_rows, k) or fewer: the smallest of minima of columns.

    Minima cost a pass at the speed of memory, unlike a selection among all.
    """
    n_rows, n_columns = squares.shape
    fold = min(n_columns // (8 * k), _FOLD)
    if fold >= 4:
        width = n_columns // fold
        squares = squares[:, : fold * width].view(n_rows, fold, width).amin(dim=1)
    return squares.topk(min(k, squares.shape[1]), dim=1, largest=False).values


def _in_order(
    queries: NDArray[np.intp],
    rows: NDArray[np.intp],
    squares: NDArray[np.float64],
    shape: tuple[int, ...],
    n_features: int,
) -> Neighbors:
    """The first k of each query, (n_queries, k), of which there are at least as many."""
    n_queries, k = shape
    order = order_of_squares(squares, rows, n_features, queries)
    starts = np.searchsorted(queries[order], np.arange(n_queries))  # (n_queries,)
    first = order[starts[:, None] + np.arange(k)]  # (n_queries, k)
    return Neighbors(np.sqrt(squares[first]), rows[first])
