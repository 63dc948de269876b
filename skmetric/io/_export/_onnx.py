"""An embedder as a file of ONNX."""

from __future__ import annotations

import json
import os
from typing import Any

from skmetric._optional import import_optional

from ._program import naming_failures, program_of, traced
from ._written import written

_LARGEST = 1.9e9  # bytes of weights: protobuf holds 2 GiB


def to_onnx(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Write a fitted embedder as one file of ONNX, for programs with neither torch nor scikit-learn.

    The file has one input and one output, "embeddings" (n, n_components) float32, the result of `transform`.
    The number of samples in a batch is free. The input is

    - "images" (n, H, W, C) uint8, where the first step takes images. Normalisation of brightness, centre
      crop, the network, pooling and all steps behind it are inside. Resizing is not (see the notes): H and W
      are the size that images have after it, and ONNX Runtime refuses another one. Resize the short side,
      antialiased, with the interpolation of the network, and cut the longer side in the middle. The metadata
      "skmetric" of the file has size and interpolation.
      A learner that was fitted on float images of another scale than 0 to 1 takes float32.
    - "rows" (n, n_features) float32, where it takes rows of features.

    Parameters
    ----------
    estimator : estimator
        A fitted embedder: :class:`~skmetric.FrozenFeatures`, a linear learner or a deep learner; a
        ``Pipeline`` of them, also with scalers, ``Normalizer``, ``PCA`` or ``TruncatedSVD`` of scikit-learn;
        a fitted ``GridSearchCV`` over it, or a ``FrozenEstimator`` around it. Of a ``SimilaritySearch`` pass
        ``search.embedder_``.
    path : str or path-like
        File to write, usually named ``.onnx``; replaced if it is there.

    Raises
    ------
    TypeError
        If a part of it cannot be exported; the message names it.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    ImportError
        If the extra ``onnx`` is not installed.
    OSError
        If the file cannot be written.

    See Also
    --------
    to_torch_export : For programs with torch alone.
    save : A folder that this package loads.

    Notes
    -----
    Embeddings equal those of `transform` to 1e-5 of their length, for float32 rows and for images of the size
    of the input; a learner that computes in bf16 is exported in float32. The gallery and the threshold of a
    search are not in the file.

    Resizing is outside because it would not be equal. The operator ``Resize`` of ONNX with ``antialias=1``
    (opset 18) rounds the weights of its filter differently: when ONNX Runtime makes uint8 images smaller,
    some pixels differ from those of `transform` by one grey level. Computed in float32 and rounded at the
    end, more pixels differ, and by more at edges, since bytes are cut off between the two passes over an
    image. For the filters box, hamming and lanczos it has no mode at all.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> import onnxruntime
    >>> from skmetric import MetricLearner, io
    >>> learner = MetricLearner(shrinkage=(0.5, 0.5)).fit([[0.0, 0], [0, 1], [5, 0], [5, 1]], list("aabb"))
    >>> with TemporaryDirectory() as folder:
    ...     io.to_onnx(learner, Path(folder, "learner.onnx"))
    ...     model = onnxruntime.InferenceSession(Path(folder, "learner.onnx"))
    >>> model.run(None, {"rows": np.array([[0, 1]], np.float32)})[0].shape
    (1, 2)
    """
    program = program_of(estimator)
    import torch

    for package in ("onnx", "onnxscript"):
        import_optional(package, extra="onnx", purpose="to_onnx")
    n_bytes = sum(part.numel() * part.element_size() for part in program.module.state_dict().values())
    if n_bytes > _LARGEST:
        raise TypeError(
            f"{' -> '.join(program.names)} has {n_bytes / 1e9:.1f} GB of weights, and a file of ONNX "
            "holds 2 GB: use to_torch_export"
        )
    with naming_failures(program, "ONNX"), torch.no_grad():
        model: Any = torch.onnx.export(
            traced(program),
            input_names=[program.input_name],
            output_names=["embeddings"],
            dynamo=True,
            verbose=False,
        )
        if hasattr(model, "rename_axes"):  # of torch 2.10 on; before, the axis has the name of a symbol
            model.rename_axes({model.model.graph.inputs[0].shape[0]: "batch"})
        model.model.metadata_props["skmetric"] = json.dumps(program.about)
    with written(path) as temporary:
        model.save(temporary, external_data=False)
