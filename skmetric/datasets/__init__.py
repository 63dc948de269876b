"""Images in class folders, which of them can be read, and characters drawn in many fonts."""

from skmetric._modules import publish

from ._checking import check_images
from ._glyphs import make_glyphs
from ._image_folder import load_image_folder

__all__ = ["check_images", "load_image_folder", "make_glyphs"]

publish(__name__)
