"""An embedder as one module of torch, and what its input is."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skmetric._embedding import check_steps_fitted, steps_of

if TYPE_CHECKING:
    import torch
    from torch import nn

_N_TRACED = 2  # rows of the batch that is traced: a batch of one would be taken for the only size


class Program(NamedTuple):
    """What is exported."""

    module: nn.Module  # from a batch to embeddings, in evaluation mode, on the CPU
    shape: tuple[int, ...]  # of a sample: (n_features,) or (H, W, C)
    dtype: torch.dtype
    names: list[str]  # classes of the steps, in order
    interpolation: str  # by which images are resized before they get here; "" for rows

    @property
    def input_name(self) -> str:
        """What a batch is called."""
        return "rows" if len(self.shape) == 1 else "images"

    @property
    def about(self) -> dict[str, Any]:
        """What whoever feeds the exported model has to know, for its metadata."""
        told = {
            "input": self.input_name,
            "shape": list(self.shape),
            "dtype": str(self.dtype).partition(".")[2],
        }
        return told | {"interpolation": self.interpolation, "steps": self.names}

    def batch(self) -> torch.Tensor:
        """A batch to trace with."""
        import torch

        generator = torch.Generator().manual_seed(0)
        size = (_N_TRACED, *self.shape)
        if self.dtype == torch.uint8:
            return torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)
        return torch.randn(size, generator=generator)


def program_of(estimator: Any) -> Program:
    """The transform of a fitted embedder as one module.

    Raises
    ------
    TypeError
        If a step cannot be exported, or `estimator` does not transform; the message names it.
    """
    from torch import nn

    from ._steps import module_of_step

    if isinstance(estimator, type):
        raise TypeError(f"{estimator.__name__} is a class: export a fitted estimator")
    steps = steps_of(estimator)
    inner = getattr(estimator, "best_estimator_", estimator)
    if not hasattr(inner, "transform") or not steps:
        last = type(inner[-1] if isinstance(inner, Pipeline) and len(inner) else inner).__name__
        remedy = "pipeline[:-1]" if isinstance(inner, Pipeline) else "the embedder, such as search.embedder_"
        raise TypeError(f"{last} has no transform, and embeddings are what is exported: export {remedy}")
    check_steps_fitted(estimator)
    names = [type(step).__name__ for step in steps]
    first, *rest = steps
    if hasattr(first, "_as_module"):
        module, shape, dtype = first._as_module()
    else:
        module, (shape, dtype) = module_of_step(first), _rows_of(first)
    parts = [module]
    for step in rest:
        check_is_fitted(step)
        if not hasattr(step, "_as_module"):
            parts.append(module_of_step(step))
            continue
        part, taken, _ = step._as_module()
        if len(taken) != 1:
            raise TypeError(f"{type(step).__name__} takes images, and stands behind {names[0]}")
        parts.append(part)
    config = getattr(first, "input_config_", None)
    interpolation = "" if len(shape) == 1 else getattr(config, "interpolation", "bilinear")
    return Program(nn.Sequential(*parts).eval(), shape, dtype, names, interpolation)


def traced(program: Program) -> torch.export.ExportedProgram:
    """The program as torch traces it, for batches of any size."""
    import torch

    sizes = ({0: torch.export.Dim("batch", min=1)},)
    return torch.export.export(program.module, (program.batch(),), dynamic_shapes=sizes, strict=False)


def _rows_of(step: Any) -> tuple[tuple[int, ...], torch.dtype]:
    import torch

    n_features = getattr(step, "n_features_in_", None)
    if n_features is None:
        n_features = step.components_.shape[1]
    return (int(n_features),), torch.float32


@contextmanager
def naming_failures(program: Program, to: str) -> Iterator[None]:
    """Say of any failure of torch's exporter what could not be exported; its own warnings are left out."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (ImportError, OSError):
        raise
    except Exception as error:  # exporters raise whatever the code of a network leads them to
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise TypeError(
            f"{' -> '.join(program.names)} cannot be exported to {to}, its network has code that torch "
            f"cannot trace: {reason}"
        ) from error
