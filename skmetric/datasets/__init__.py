"""Images in class folders."""

from skmetric._public import publish

from ._image_folder import load_image_folder

__all__ = ["load_image_folder"]

publish(__name__)
