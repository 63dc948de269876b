"""Market-1501: people seen by several cameras."""

from __future__ import annotations

import os
import re

import numpy as np
from sklearn.utils import Bunch

from ._reading import Layout, folder_of, images_in, literature_set

_NAME = re.compile(r"(-1|\d+)_c(\d+)")  # person and camera; what follows is the place in the film
_JUNK = "-1"  # boxes that show no person: the official score counts them neither as right nor as wrong
_FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
_LAYOUT = Layout(
    "Market-1501",
    """
Market-1501-v15.09.15/
    bounding_box_train/0002_c1s1_000451_03.jpg    person 2, camera 1
    query/0001_c1s1_001051_00.jpg
    bounding_box_test/0001_c1s1_001051_03.jpg     the gallery; 0000 are distractors, -1 is left out
""",
    "Published: 12936 images of 751 people to train on; 3368 queries and 19732 boxes of 750 people and of"
    " distractors, 3819 of the boxes junk (Zheng et al., ICCV 2015).",
    "Split: the folders; a query is searched in the gallery without images of its person by its camera.",
)


def load_market1501(data_dir: str | os.PathLike[str]) -> Bunch:
    """List Market-1501, people seen by six cameras, from your own download.

    The split is the official one [1]_: people of one folder are trained on; images of others are queries,
    which are searched in the gallery. ``groups`` are the cameras: by the official rule, images that show the
    person of a query by its own camera are left out of its search. Boxes named -1, which show no person, are
    not listed. Distractors, named 0000, are a class of the gallery. No image is opened.

    Parameters
    ----------
    data_dir : str or path-like
        The folder of the unpacked archive, or the folder that holds it.

    Returns
    -------
    Bunch
        ``data`` : ndarray of shape (n_samples,), str
            Paths, by part and by name.
        ``target`` : ndarray of shape (n_samples,), int
            Person in each image, a place in ``target_names``.
        ``target_names`` : ndarray of shape (n_classes,), str
            Numbers of the people such as "0002".
        ``split`` : ndarray of shape (n_samples,), str
            "train", "query" or "gallery"; nobody of the first is in the others.
        ``groups`` : ndarray of shape (n_samples,), int
            Camera of each image, from 1.
        ``left_out`` : ndarray of str
            Paths of the boxes named -1.
        ``DESCR`` : str
            The published size, and that of this copy.

    Raises
    ------
    FileNotFoundError
        If a folder is missing or has no images; the message shows the expected layout.
    NotADirectoryError
        If `data_dir` is a file.
    ValueError
        If an image is not named after a person and a camera.

    See Also
    --------
    load_lfw_pairs : Faces, with pairs to verify.

    References
    ----------
    .. [1] L. Zheng et al., "Scalable person re-identification: a benchmark", ICCV 2015.

    Examples
    --------
    >>> from skmetric.datasets import load_market1501
    >>> people = load_market1501("Market-1501-v15.09.15")  # doctest: +SKIP
    >>> is_query = people.split == "query"  # doctest: +SKIP
    >>> people.data[is_query], people.target[is_query], people.groups[is_query]  # doctest: +SKIP
    """
    below = ["Market-1501-v15.09.15", "Market-1501", "market1501"]
    root = folder_of(data_dir, list(_FOLDERS.values()), _LAYOUT, below)
    files, keys, split, groups, junk = [], [], [], [], []
    for part, folder in _FOLDERS.items():
        for name in images_in(root / folder, _LAYOUT):
            found = _NAME.match(name)
            if found is None:
                raise _LAYOUT.error(
                    f"{str(root / folder / name)!r} is not named after a person and a camera", ValueError
                )
            if found[1] == _JUNK:
                junk.append(os.path.join(root, folder, name))
                continue
            files.append(f"{folder}/{name}")
            keys.append(found[1])
            split.append(part)
            groups.append(int(found[2]))
    return literature_set(
        _LAYOUT,
        root,
        files,
        keys,
        split,
        listed_by="the folder",
        groups=np.array(groups),
        left_out=np.array(junk, dtype=str),
    )
