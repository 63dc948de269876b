"""Stanford Online Products: objects that were sold."""

from __future__ import annotations

import os

import numpy as np
from sklearn.utils import Bunch

from ._reading import Layout, folder_of, literature_set, rows_of, whole_numbers

_COLUMNS = ("image_id", "class_id", "super_class_id", "path")
_LAYOUT = Layout(
    "Stanford Online Products",
    """
Stanford_Online_Products/
    Ebay_train.txt    image_id class_id super_class_id path
                      1 1 1 bicycle_final/111085122871_0.JPG
    Ebay_test.txt     the same columns
    bicycle_final/111085122871_0.JPG
""",
    "Published: 120053 images of 22634 products of 12 kinds (Song et al., CVPR 2016).",
    "Split: that of the two lists; 11318 products are trained on, 11316 are searched.",
)


def load_stanford_online_products(data_dir: str | os.PathLike[str]) -> Bunch:
    """List Stanford Online Products, objects that were sold, from your own download.

    The split is the official one [1]_: products of ``Ebay_train.txt`` are trained on, those of
    ``Ebay_test.txt`` are searched, each image among the others. No image is opened.

    Parameters
    ----------
    data_dir : str or path-like
        The folder ``Stanford_Online_Products`` of the unpacked archive, or the folder that holds it.

    Returns
    -------
    Bunch
        ``data`` : ndarray of shape (n_samples,), str
            Paths, in the order of the lists.
        ``target`` : ndarray of shape (n_samples,), int
            Product of each image, a place in ``target_names``.
        ``target_names`` : ndarray of shape (n_classes,), str
            Numbers of the products.
        ``split`` : ndarray of shape (n_samples,), str
            "train" or "test"; no product is in both.
        ``super_category`` : ndarray of shape (n_samples,), str
            Kind of the product: "bicycle", "cabinet" and others.
        ``DESCR`` : str
            The published size, and that of this copy.

    Raises
    ------
    FileNotFoundError
        If the folder, a list or an image is missing; the message shows the expected layout.
    NotADirectoryError
        If `data_dir` is a file.
    ValueError
        If a list is not as published; the message names the line.

    See Also
    --------
    load_in_shop : Clothes, with queries and a gallery.

    References
    ----------
    .. [1] H. Oh Song et al., "Deep metric learning via lifted structured feature embedding", CVPR 2016.

    Examples
    --------
    >>> from skmetric.datasets import load_stanford_online_products
    >>> products = load_stanford_online_products("Stanford_Online_Products")  # doctest: +SKIP
    >>> X = products.data[products.split == "train"]  # doctest: +SKIP
    """
    root = folder_of(data_dir, "Ebay_train.txt", _LAYOUT, ["Stanford_Online_Products"])
    files, keys, split = [], [], []
    for part in ("train", "test"):
        source = root / f"Ebay_{part}.txt"
        rows = rows_of(source, _COLUMNS, _LAYOUT, header=_COLUMNS)
        files += [row[3] for row in rows]
        keys += whole_numbers((row[1] for row in rows), "a class", source, _LAYOUT)
        split += [part] * len(rows)
    return literature_set(
        _LAYOUT,
        root,
        files,
        keys,
        split,
        listed_by="the lists Ebay_train.txt and Ebay_test.txt",
        super_category=np.array([file.split("/")[0].removesuffix("_final") for file in files]),
    )
