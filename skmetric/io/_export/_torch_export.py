"""An embedder as a program of torch.export."""

from __future__ import annotations

import json
import os
import warnings
from typing import Any

from ._program import naming_failures, program_of, traced
from ._written import written


def to_torch_export(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Write a fitted embedder as a program of ``torch.export``, which needs torch alone.

    ``torch.export.load(path).module()(batch)`` gives the embeddings; it also compiles, as by ahead-of-time
    Inductor. Input, output and limits are those of `to_onnx`, and tensors take the place of arrays.

    Parameters
    ----------
    estimator : estimator
        A fitted embedder, as for `to_onnx`.
    path : str or path-like
        File to write, usually named ``.pt2``; replaced if it is there.

    Raises
    ------
    TypeError
        If a part of it cannot be exported; the message names it.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    OSError
        If the file cannot be written.

    See Also
    --------
    to_onnx : For programs without torch.
    save : A folder that this package loads.

    Notes
    -----
    Load such a file only from people you trust: torch does not promise that loading one is safe.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import torch
    >>> from skmetric import MetricLearner, io
    >>> learner = MetricLearner(shrinkage=(0.5, 0.5)).fit([[0.0, 0], [0, 1], [5, 0], [5, 1]], list("aabb"))
    >>> with TemporaryDirectory() as folder:
    ...     io.to_torch_export(learner, Path(folder, "learner.pt2"))
    ...     program = torch.export.load(Path(folder, "learner.pt2")).module()
    >>> program(torch.tensor([[0.0, 1.0]])).shape
    torch.Size([1, 2])
    """
    program = program_of(estimator)
    import torch

    with naming_failures(program, "torch.export"), torch.no_grad():
        exported = traced(program)
    with written(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, about weights that share memory
        torch.export.save(exported, temporary, extra_files={"skmetric.json": json.dumps(program.about)})
