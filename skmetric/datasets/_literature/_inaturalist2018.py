"""iNaturalist 2018 as a set for retrieval: species."""

from __future__ import annotations

import os
from pathlib import PurePosixPath

import numpy as np
from sklearn.utils import Bunch

from ._reading import Layout, folder_of, lines_of, literature_set

_TRAIN, _TEST = "Inaturalist_train_set1.txt", "Inaturalist_test_set1.txt"
_LAYOUT = Layout(
    "iNaturalist 2018",
    """
Inat_dataset_splits/Inaturalist_train_set1.txt  train_val2018/Plantae/7477/3b60c9.jpg
Inat_dataset_splits/Inaturalist_test_set1.txt   a path a line, here or beside train_val2018
train_val2018/Plantae/7477/3b60c9.jpg
The images are of the iNaturalist challenge of 2018, the lists of the paper that made the split (Smooth-AP).
""",
    "Published: 461939 images of 8142 species (Van Horn et al., CVPR 2018; Brown et al., ECCV 2020).",
    "Split: that of the two lists; 5690 species are trained on, 2452 are searched.",
)


def load_inaturalist2018(data_dir: str | os.PathLike[str]) -> Bunch:
    """List iNaturalist 2018, species of plants and animals, from your own download.

    The split is that of retrieval [2]_: species of one list are trained on, those of the other are searched,
    each image among the others. The challenge itself has the same species in both of its parts. No image is
    opened.

    Parameters
    ----------
    data_dir : str or path-like
        Folder with ``train_val2018`` and the two lists.

    Returns
    -------
    Bunch
        ``data`` : ndarray of shape (n_samples,), str
            Paths, in the order of the lists.
        ``target`` : ndarray of shape (n_samples,), int
            Species of each image, a place in ``target_names``.
        ``target_names`` : ndarray of shape (n_classes,), str
            Folders such as "Plantae/7477".
        ``split`` : ndarray of shape (n_samples,), str
            "train" or "test"; no species is in both.
        ``super_category`` : ndarray of shape (n_samples,), str
            "Plantae", "Aves" and others.
        ``DESCR`` : str
            The published size, and that of this copy.

    Raises
    ------
    FileNotFoundError
        If the folder, a list or an image is missing; the message shows the expected layout.
    NotADirectoryError
        If `data_dir` is a file.
    ValueError
        If a line of a list is no path of an image.

    See Also
    --------
    load_stanford_online_products : Another set with thousands of classes.

    References
    ----------
    .. [1] G. Van Horn et al., "The iNaturalist species classification and detection dataset", CVPR 2018.
    .. [2] A. Brown, W. Xie, V. Kalogeiton, A. Zisserman, "Smooth-AP: smoothing the path towards large-scale
       image retrieval", ECCV 2020.

    Examples
    --------
    >>> from skmetric.datasets import load_inaturalist2018
    >>> species = load_inaturalist2018("inaturalist")  # doctest: +SKIP
    >>> species.target_names[species.target[0]]  # doctest: +SKIP
    'Plantae/7477'
    """
    root = folder_of(data_dir, [f"Inat_dataset_splits/{_TRAIN}", _TRAIN], _LAYOUT)
    lists = root / "Inat_dataset_splits" if (root / "Inat_dataset_splits" / _TRAIN).exists() else root
    parts = {"train": lines_of(lists / _TRAIN, _LAYOUT), "test": lines_of(lists / _TEST, _LAYOUT)}
    files = [file for listed in parts.values() for file in listed]
    folders = [PurePosixPath(file).parts for file in files]
    for file, names in zip(files, folders, strict=True):
        if len(names) < 3:
            raise _LAYOUT.error(f"the lists have the line {file!r}, and a path is expected", ValueError)
    return literature_set(
        _LAYOUT,
        root,
        files,
        ["/".join(names[-3:-1]) for names in folders],
        [part for part, listed in parts.items() for _ in listed],
        listed_by=f"the lists {_TRAIN} and {_TEST}",
        super_category=np.array([names[-3] for names in folders]),
    )
