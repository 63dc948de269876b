"""Labeled Faces in the Wild: pairs to verify."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from sklearn.utils import Bunch

from ._reading import Layout, folder_of, images_in, lines_of, literature_set, whole_numbers

Subset = Literal["10_folds", "train", "test"]
_LISTS = {"10_folds": "pairs.txt", "train": "pairsDevTrain.txt", "test": "pairsDevTest.txt"}
_FOLDERS = ("lfw", "lfw_funneled", "lfw-deepfunneled")
_NAME = re.compile(r"([^/]+)/\1_\d{4}\.jpg")
_LAYOUT = Layout(
    "LFW",
    """
pairs.txt                          10 300
                                   Abel_Pacheco 1 4                      two images of a person
                                   Abdel_Madi_Shabneh 1 Dean_Barker 1    images of two people
pairsDevTrain.txt                  1100, then such pairs; pairsDevTest.txt likewise
lfw/Abel_Pacheco/Abel_Pacheco_0001.jpg    or lfw_funneled/..., lfw-deepfunneled/...
""",
    "Published: 13233 images of 5749 people, 6000 pairs in 10 folds (Huang et al., 2007).",
    "Protocol: a threshold is chosen on nine folds and applied to the tenth; the mean accuracy is reported.",
)


def load_lfw_pairs(data_dir: str | os.PathLike[str], subset: Subset = "10_folds") -> Bunch:
    """List Labeled Faces in the Wild with its pairs to verify, from your own download.

    The protocol is the official one [1]_: for each of ten folds, whatever is chosen is chosen on the pairs of
    the other nine folds; the mean accuracy over the folds is reported, with its standard error. No image is
    opened.

    Parameters
    ----------
    data_dir : str or path-like
        Folder with ``pairs.txt`` and the unpacked images.
    subset : {"10_folds", "train", "test"}, default="10_folds"
        Pairs to return: those of the ten folds (``pairs.txt``, "View 2") or those for development
        (``pairsDevTrain.txt`` and ``pairsDevTest.txt``, "View 1").

    Returns
    -------
    Bunch
        ``data`` : ndarray of shape (n_samples,), str
            Paths of all images, by person.
        ``target`` : ndarray of shape (n_samples,), int
            Person in each image, a place in ``target_names``.
        ``target_names`` : ndarray of shape (n_classes,), str
            Names such as "Abel_Pacheco".
        ``split`` : ndarray of shape (n_samples,), str
            "all": the protocol splits pairs.
        ``pairs`` : ndarray of shape (n_pairs, 2), int
            Rows of ``data``.
        ``y_pairs`` : ndarray of shape (n_pairs,), int
            1 for the same person, else -1.
        ``fold`` : ndarray of shape (n_pairs,), int
            Fold of each pair, from 0; all 0 for the pairs for development.
        ``DESCR`` : str
            The published size, and that of this copy.

    Raises
    ------
    FileNotFoundError
        If the folder, the list or an image of a pair is missing; the message shows the expected layout.
    NotADirectoryError
        If `data_dir` is a file.
    ValueError
        If the list is not as published, the message names the line; or if `subset` has another value.

    See Also
    --------
    skmetric.metrics.verification_report : Scores of distances between pairs.
    sklearn.datasets.fetch_lfw_pairs : Downloads the set, and returns pixels.

    References
    ----------
    .. [1] G. B. Huang, M. Ramesh, T. Berg, E. Learned-Miller, "Labeled Faces in the Wild: a database for
       studying face recognition in unconstrained environments", 2007.

    Examples
    --------
    >>> from skmetric.datasets import load_lfw_pairs
    >>> faces = load_lfw_pairs("lfw")  # doctest: +SKIP
    >>> first, second = faces.data[faces.pairs].T  # doctest: +SKIP
    """
    if subset not in get_args(Subset):
        raise ValueError(f"subset is {subset!r}, and must be one of {', '.join(map(repr, _LISTS))}")
    root = folder_of(data_dir, _LISTS[subset], _LAYOUT, ["lfw_home"])
    images = _folder_of_images(root)
    people = sorted(entry.name for entry in os.scandir(images) if entry.is_dir())
    files = [f"{person}/{name}" for person in people for name in images_in(images / person, _LAYOUT)]
    for file in files:
        if _NAME.fullmatch(file) is None:
            raise _LAYOUT.error(
                f"{str(images / file)!r} is not named after its person and a number", ValueError
            )
    rows = {file: row for row, file in enumerate(files)}
    pairs, y_pairs, fold = _pairs(root / _LISTS[subset], rows, images, folds=subset == "10_folds")
    return literature_set(
        _LAYOUT,
        images,
        files,
        [file.split("/")[0] for file in files],
        ["all"] * len(files),
        listed_by=_LISTS[subset],
        pairs=pairs,
        y_pairs=y_pairs,
        fold=fold,
    )


def _folder_of_images(root: Path) -> Path:
    found = [root / name for name in _FOLDERS if (root / name).is_dir()]
    if not found:
        raise _LAYOUT.error(f"no folder {' or '.join(_FOLDERS)} in {str(root)!r}: unpack the images there")
    if len(found) > 1:
        raise _LAYOUT.error(
            f"{str(root)!r} has the folders {', '.join(folder.name for folder in found)}: "
            "leave one of them there, since they show the faces differently",
            ValueError,
        )
    return found[0]


def _pairs(
    source: Path, rows: dict[str, int], images: Path, *, folds: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows (n_pairs, 2), 1 or -1 (n_pairs,) and fold (n_pairs,): each fold begins with equal pairs."""
    head, *lines = lines_of(source, _LAYOUT)
    sizes = whole_numbers(head.split(), "a number of pairs", source, _LAYOUT)
    n_folds, n = (sizes if folds else [1, *sizes]) if len(sizes) == 1 + folds else (0, 0)
    if n_folds < 1 or n < 1 or len(lines) != 2 * n_folds * n:
        told = "the number of folds and of pairs of a kind" if folds else "the number of pairs of a kind"
        raise _LAYOUT.error(
            f"{str(source)!r} begins with {head!r} and lists {len(lines)} pairs; expected are {told}, and so "
            "many pairs",
            ValueError,
        )
    found = []
    for i, line in enumerate(lines):
        same = i % (2 * n) < n
        words = line.split()
        if len(words) != 4 - same:
            wanted = "a name and two numbers" if same else "two names, each with a number"
            raise _LAYOUT.error(
                f"line {i + 2} of {str(source)!r} is {line!r}, and {wanted} are expected", ValueError
            )
        first, second = (words[:2], [words[0], words[2]]) if same else (words[:2], words[2:])
        found.append([_row(person, number, rows, source, images) for person, number in (first, second)])
    is_same = np.arange(len(lines)) % (2 * n) < n
    return np.array(found), np.where(is_same, 1, -1), np.arange(len(lines)) // (2 * n)


def _row(person: str, number: str, rows: dict[str, int], source: Path, images: Path) -> int:
    file = f"{person}/{person}_{whole_numbers([number], 'an image', source, _LAYOUT)[0]:04d}.jpg"
    if file not in rows:
        raise _LAYOUT.error(f"{str(images)!r} has no {file!r}, which {source.name} names")
    return rows[file]
