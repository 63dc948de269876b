"""Losses that learn from grades: how much two samples belong together, not only whether they do."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.sparse import issparse

from skmetric._params import StrOptions

from ._base import check_batch, check_embeddings, report, report_missing, widen
from ._distance import relations, relations_with
from ._epoch import when_known
from ._pair import PairLoss

RELEVANCE: list[Any] = [
    StrOptions({"labels", "multilabel", "hierarchy"}),
    callable,
    "array-like",
    "sparse matrix",
]


class Graded(NamedTuple):
    """Grades of pairs, and which pairs there are: a row is no pair with itself."""

    grades: torch.Tensor  # (n_anchors, n_others), from 0; 0 where there is no pair
    valid: torch.Tensor  # (n_anchors, n_others), bool


class GradedPairLoss(PairLoss):
    """A pair loss of grades: ``_value(matrix, graded, reduce)``, and a parameter `relevance`.

    A training loop that knows the grades of all its samples sets `_grades`, which gives them for two tensors
    of row numbers: labels are then row numbers.
    """

    relevance: Any = "labels"
    _grades: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None

    def __getstate__(self):
        # the grades of the samples of a training loop are no part of the loss
        return {name: value for name, value in super().__getstate__().items() if name != "_grades"}

    def _bind(self, n_components: int, n_classes: int, generator: torch.Generator | None):
        if not (isinstance(self.relevance, str) or callable(self.relevance)):
            check_matrix_of_grades(self.relevance)
        return super()._bind(n_components, n_classes, generator)

    def _check(self, embeddings: torch.Tensor, labels: torch.Tensor):
        kind = self.relevance if isinstance(self.relevance, str) else "rows"
        if self._grades is not None or (kind in ("labels", "rows") and not callable(self.relevance)):
            return check_batch(embeddings, labels, self)
        return _check_rows(embeddings, labels, kind, self)

    def _relate(
        self, labels: torch.Tensor, others: torch.Tensor, *, alone: bool, like: torch.Tensor
    ) -> Graded:
        if self._grades is None and isinstance(self.relevance, str) and self.relevance == "labels":
            positive, negative = relations(others, len(labels)) if alone else relations_with(labels, others)
            report_missing(positive, negative)
            return Graded(positive.to(like.dtype), positive | negative)
        grades = self._grades_of(labels, others).to(like.device, like.dtype)
        valid = torch.ones_like(grades, dtype=torch.bool)
        if alone:
            valid.fill_diagonal_(False)
        grades = torch.where(valid, grades, 0)
        when_known(_report_ungraded, ~(grades > 0).any()[None])
        return Graded(grades, valid)

    def _grades_of(self, labels: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        """Grades (n_anchors, n_others)."""
        if self._grades is not None:
            return self._grades(labels, others)
        if callable(self.relevance):
            return _of_function(self.relevance, labels, others)
        if not isinstance(self.relevance, str):
            return _of_matrix(self.relevance, labels, others)
        return {"multilabel": overlap, "hierarchy": shared_levels}[self.relevance](labels, others)


def as_graded(tuples: Any, like: torch.Tensor) -> Graded:
    """Grades of 1 and 0 from the pairs that should be near and far, as `from_matrix` has them."""
    if isinstance(tuples, Graded):
        return tuples
    return Graded(tuples.positive.to(like.dtype), tuples.positive | tuples.negative)


def attach(loss: Any, grades: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None) -> None:
    """Tell a bound loss, and those that it wraps, the grades of numbered samples; None takes them away."""
    if isinstance(loss, GradedPairLoss):
        loss._grades = grades
    for inner in [getattr(loss, "loss", None), *getattr(loss, "losses", ())]:
        if inner is not None:
            attach(inner, grades)


def overlap(labels: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Labels in common over labels of either, of indicators (n, n_labels); 0 for samples without labels."""
    labels, others = labels.to(torch.float32), others.to(torch.float32)
    common = labels @ others.T
    union = labels.sum(1)[:, None] + others.sum(1) - common
    return common / union.clamp_min(1)


def shared_levels(labels: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Share of the levels, from the coarsest, at which two samples agree; labels are (n, n_levels)."""
    same = labels[:, None] == others  # (n, n_others, n_levels)
    nested = same.to(torch.int8).cumprod(-1).bool()
    when_known(_refuse_unnested, (same & ~nested).any()[None])
    return same.to(torch.float32).mean(-1)


def _report_ungraded(lacks: list[bool]):
    if any(lacks):
        report("no two samples of the batch have a grade above 0: draw samples that belong together")


def _refuse_unnested(found: list[bool]):
    if any(found):
        raise ValueError(
            "labels are not nested: two samples share a label of a fine level and differ at a coarser one. "
            "Columns go from coarse to fine, and each label has one parent"
        )


def check_matrix_of_grades(matrix: Any) -> None:
    """Refuse what is no square matrix of finite numbers from 0."""
    shape = tuple(getattr(matrix, "shape", np.shape(matrix)))
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ValueError(f"relevance must be a square matrix of grades, and has shape {shape}")
    values = matrix.data if issparse(matrix) else np.asarray(matrix)
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise ValueError("relevance must hold finite grades from 0")


def _check_rows(embeddings: torch.Tensor, labels: torch.Tensor, kind: str, loss: GradedPairLoss):
    check_embeddings(embeddings)
    wanted = {
        "multilabel": f"a tensor ({len(embeddings)}, n_labels) of 0 and 1",
        "hierarchy": f"a tensor ({len(embeddings)}, n_levels) of integers, the coarsest level first",
    }.get(kind, f"a tensor of {len(embeddings)} rows")
    fits = isinstance(labels, torch.Tensor) and labels.ndim > 0 and len(labels) == len(embeddings) > 0
    if fits and kind != "rows":
        fits = labels.ndim == 2
    if fits and kind == "multilabel":
        fits = bool(((labels == 0) | (labels == 1)).all())
    if fits and kind == "hierarchy":
        fits = not (labels.is_floating_point() or labels.is_complex())
    if not fits:
        shape = tuple(labels.shape) if isinstance(labels, torch.Tensor) else type(labels).__name__
        raise ValueError(
            f"labels must be {wanted}, for {type(loss).__name__} has relevance={loss.relevance!r}; "
            f"got {shape}"
        )
    return widen(embeddings), labels.to(embeddings.device)


def _of_function(function: Callable, labels: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    grades = torch.as_tensor(function(labels, others))
    if grades.shape != (len(labels), len(others)):
        raise ValueError(
            f"relevance={getattr(function, '__name__', type(function).__name__)} must give grades "
            f"{(len(labels), len(others))}, one for each pair; it gave {tuple(grades.shape)}"
        )
    if not bool((torch.isfinite(grades) & (grades >= 0)).all()):
        raise ValueError("relevance gave grades that are negative or not finite: grades start at 0")
    return grades


def _of_matrix(matrix: Any, labels: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    rows, columns = labels.cpu().numpy(), others.cpu().numpy()
    n_rows, low, high = len(matrix) if not issparse(matrix) else matrix.shape[0], rows.min(), columns.max()
    if min(low, columns.min()) < 0 or max(high, rows.max()) >= n_rows:
        raise ValueError(f"labels must be rows of relevance, from 0 to {n_rows - 1}, where it is a matrix")
    if issparse(matrix):
        return torch.as_tensor(matrix.tocsr()[rows][:, columns].toarray())
    return torch.as_tensor(np.asarray(matrix)[rows][:, columns])
