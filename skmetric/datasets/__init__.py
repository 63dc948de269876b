"""Images in class folders, sets of the literature in your own download, characters in many fonts."""

from skmetric._modules import publish

from ._checking import check_images
from ._glyphs import make_glyphs
from ._image_folder import load_image_folder
from ._literature._cars196 import load_cars196
from ._literature._cub200 import load_cub200
from ._literature._in_shop import load_in_shop
from ._literature._inaturalist2018 import load_inaturalist2018
from ._literature._lfw_pairs import load_lfw_pairs
from ._literature._market1501 import load_market1501
from ._literature._omniglot import load_omniglot
from ._literature._stanford_online_products import load_stanford_online_products

__all__ = [
    "check_images",
    "load_cars196",
    "load_cub200",
    "load_image_folder",
    "load_in_shop",
    "load_inaturalist2018",
    "load_lfw_pairs",
    "load_market1501",
    "load_omniglot",
    "load_stanford_online_products",
    "make_glyphs",
]

publish(__name__)
