"""In-shop clothes retrieval of DeepFashion."""

from __future__ import annotations

import os

import numpy as np
from sklearn.utils import Bunch

from ._reading import Layout, folder_of, lines_of, literature_set, rows_of, whole_numbers

_COLUMNS = ("image_name", "item_id", "evaluation_status")
_PARTS = ("train", "query", "gallery")
_LIST = "list_eval_partition.txt"
_LAYOUT = Layout(
    "In-shop clothes retrieval",
    """
Eval/list_eval_partition.txt    52712
(or list_eval_partition.txt)    image_name item_id evaluation_status
                                img/WOMEN/Dresses/id_00000002/02_1_front.jpg id_00000002 train
Img/img/WOMEN/Dresses/id_00000002/02_1_front.jpg    or img/WOMEN/...
""",
    "Published: 52712 images of 7982 clothes (Liu et al., CVPR 2016).",
    "Split: that of the list; 3997 clothes are trained on, photos of 3985 others are queries and gallery.",
)


def load_in_shop(data_dir: str | os.PathLike[str]) -> Bunch:
    """List the in-shop clothes of DeepFashion, with queries and gallery, from your own download.

    The split is the official one [1]_: some clothes are trained on; of the others some images are queries,
    which are searched in the gallery. No image is opened.

    Parameters
    ----------
    data_dir : str or path-like
        Folder with ``Eval`` and ``Img`` (with ``img.zip`` unpacked in it), or with the list and ``img``.

    Returns
    -------
    Bunch
        ``data`` : ndarray of shape (n_samples,), str
            Paths, in the order of the list.
        ``target`` : ndarray of shape (n_samples,), int
            Item of each image, a place in ``target_names``.
        ``target_names`` : ndarray of shape (n_classes,), str
            Names such as "id_00000002".
        ``split`` : ndarray of shape (n_samples,), str
            "train", "query" or "gallery"; no item of the first is in the others.
        ``super_category`` : ndarray of shape (n_samples,), str
            Such as "WOMEN/Dresses".
        ``DESCR`` : str
            The published size, and that of this copy.

    Raises
    ------
    FileNotFoundError
        If the folder, the list or an image is missing; the message shows the expected layout.
    NotADirectoryError
        If `data_dir` is a file.
    ValueError
        If the list is not as published; the message names the line.

    See Also
    --------
    load_stanford_online_products : Products without queries and gallery.

    References
    ----------
    .. [1] Z. Liu, P. Luo, S. Qiu, X. Wang, X. Tang, "DeepFashion: powering robust clothes recognition and
       retrieval with rich annotations", CVPR 2016.

    Examples
    --------
    >>> from skmetric.datasets import load_in_shop
    >>> clothes = load_in_shop("In-shop")  # doctest: +SKIP
    >>> queries = clothes.data[clothes.split == "query"]  # doctest: +SKIP
    """
    root = folder_of(data_dir, [f"Eval/{_LIST}", _LIST], _LAYOUT)
    source = next(root / name for name in (f"Eval/{_LIST}", _LIST) if (root / name).exists())
    head = lines_of(source, _LAYOUT)[:1]
    rows = rows_of(source, _COLUMNS, _LAYOUT, header=_COLUMNS, skip=1)
    if whole_numbers(head, "a number of images", source, _LAYOUT) != [len(rows)]:
        raise _LAYOUT.error(
            f"{str(source)!r} announces {head[0]} images and lists {len(rows)}: it is not whole", ValueError
        )
    split = [row[2] for row in rows]
    strange = sorted(set(split) - set(_PARTS))
    if strange:
        raise _LAYOUT.error(
            f"{str(source)!r} has the status {strange[0]!r}, and {', '.join(_PARTS)} are expected", ValueError
        )
    files = [row[0] for row in rows]
    return literature_set(
        _LAYOUT,
        root / "Img" if (root / "Img" / "img").is_dir() else root,
        files,
        [row[1] for row in rows],
        split,
        listed_by=_LIST,
        super_category=np.array(["/".join(file.split("/")[1:3]) for file in files]),
    )
