"""Models in folders that are safe to load: weights in safetensors, structure in JSON, nothing that runs."""

from skmetric._modules import publish

from ._hub import to_hub_folder
from ._load import load
from ._save import save

__all__ = ["load", "save", "to_hub_folder"]

publish(__name__)
