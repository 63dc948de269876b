"""Cars-196: cars by make, model and year."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat
from sklearn.utils import Bunch

from ._reading import Layout, folder_of, literature_set, whole_numbers

_LAYOUT = Layout(
    "Cars-196",
    """
cars_annos.mat                     with the archive of all images
car_ims/000001.jpg
or, with the archives of two parts,
devkit/cars_meta.mat
devkit/cars_train_annos.mat
cars_test_annos_withlabels.mat     here or in devkit; cars_test_annos.mat has no labels
cars_train/00001.jpg
cars_test/00001.jpg
""",
    "Published: 16185 images of 196 cars by make, model and year (Krause et al., 2013).",
    "Split: the first half of the classes is trained on, the second half searched (Song et al., CVPR 2016).",
)


def load_cars196(data_dir: str | os.PathLike[str]) -> Bunch:
    """List Cars-196, cars by make, model and year, from your own download.

    The split is that of metric learning [2]_: classes 1 to 98 are trained on, classes 99 to 196 are searched,
    each image among the others. The parts "train" and "test" of the archives, which hold the same classes,
    are for classification, and both are in each part of this split. No image is opened.

    Parameters
    ----------
    data_dir : str or path-like
        Folder with ``cars_annos.mat`` and ``car_ims``, or with ``cars_train``, ``cars_test`` and ``devkit``.

    Returns
    -------
    Bunch
        ``data`` : ndarray of shape (n_samples,), str
            Paths, in the order of the annotations.
        ``target`` : ndarray of shape (n_samples,), int
            Class of each image, a place in ``target_names``.
        ``target_names`` : ndarray of shape (n_classes,), str
            Names such as "AM General Hummer SUV 2000".
        ``split`` : ndarray of shape (n_samples,), str
            "train" or "test"; no class is in both.
        ``DESCR`` : str
            The published size, and that of this copy.

    Raises
    ------
    FileNotFoundError
        If the folder, an annotation or an image is missing; the message shows the expected layout.
    NotADirectoryError
        If `data_dir` is a file.
    ValueError
        If an annotation cannot be read or lacks the labels.

    See Also
    --------
    load_cub200 : Another set with classes that look alike.

    References
    ----------
    .. [1] J. Krause, M. Stark, J. Deng, L. Fei-Fei, "3D object representations for fine-grained
       categorization", 3dRR workshop 2013.
    .. [2] H. Oh Song et al., "Deep metric learning via lifted structured feature embedding", CVPR 2016.

    Examples
    --------
    >>> from skmetric.datasets import load_cars196
    >>> cars = load_cars196("cars196")  # doctest: +SKIP
    >>> X, y = cars.data[cars.split == "train"], cars.target[cars.split == "train"]  # doctest: +SKIP
    """
    root = folder_of(data_dir, ["cars_annos.mat", "devkit"], _LAYOUT, ["cars196", "CARS196", "stanford_cars"])
    if (root / "cars_annos.mat").is_file():
        source = root / "cars_annos.mat"
        files, keys = _annotations(source, "relative_im_path")
        names = _column(source, "class_names")
    else:
        source = root / "devkit" / "cars_meta.mat"
        files, keys = [], []
        for part in ("train", "test"):
            listed, labels = _annotations(_annotation_file(root, part), "fname")
            files += [f"cars_{part}/{name}" for name in listed]
            keys += labels
        names = _column(source, "class_names")
    trained = len(names) // 2
    return literature_set(
        _LAYOUT,
        root,
        files,
        keys,
        ["train" if key <= trained else "test" for key in keys],
        names={i + 1: str(name) for i, name in enumerate(names)},
        listed_by="the annotations",
    )


def _annotation_file(root: Path, part: str) -> Path:
    if part == "train":
        return root / "devkit" / "cars_train_annos.mat"
    places = [folder / "cars_test_annos_withlabels.mat" for folder in (root, root / "devkit")]
    return next((place for place in places if place.is_file()), places[0])


def _annotations(file: Path, name: str) -> tuple[list[str], list[int]]:
    """Images and classes of a file of annotations."""
    records = _column(file, "annotations")
    absent = [field for field in (name, "class") if field not in (records.dtype.names or ())]
    if absent:
        raise _LAYOUT.error(f"the annotations of {str(file)!r} have no {absent[0]!r}", ValueError)
    classes = whole_numbers(records["class"], "a class", file, _LAYOUT)
    return [str(file_name) for file_name in records[name]], classes


def _column(file: Path, name: str) -> Any:
    """A variable of a MATLAB file, with one axis."""
    if not file.is_file():
        raise _LAYOUT.error(f"no file {str(file)!r}")
    try:
        content = loadmat(file, squeeze_me=True, variable_names=[name])
    except Exception as error:  # scipy's reader raises whatever a damaged file leads it to
        raise _LAYOUT.error(f"{str(file)!r} cannot be read as a MATLAB file: {error}", ValueError) from error
    if name not in content:
        raise _LAYOUT.error(f"{str(file)!r} has no variable {name!r}", ValueError)
    return np.atleast_1d(content[name])
