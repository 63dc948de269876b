"""Images in class folders, and which of them can be read."""

from skmetric._modules import publish

from ._checking import check_images
from ._image_folder import load_image_folder

__all__ = ["check_images", "load_image_folder"]

publish(__name__)
