"""Models in folders that are safe to load, without pickle, and as programs of ONNX and torch.export."""

from skmetric._modules import publish

from ._export._onnx import to_onnx
from ._export._torch_export import to_torch_export
from ._hub import to_hub_folder
from ._load import load
from ._save import save

__all__ = ["load", "save", "to_hub_folder", "to_onnx", "to_torch_export"]

publish(__name__)
