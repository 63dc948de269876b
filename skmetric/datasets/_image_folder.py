"""A folder with one folder a class: paths and labels."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skmetric._checks import is_missing
from skmetric._warning import warn

from ._checking import LeftOut, check_images
from ._walking import PICTURES, Found, endings, walk

__all__ = ["load_image_folder"]

_PRODUCT = re.compile(r"(\d+)_\d+")  # product and view, as Stanford Online Products names files


def load_image_folder(
    path: str | os.PathLike[str],
    *,
    check: bool = False,
    label_from: int | Callable[[Path], Any] | None = None,
    n_jobs: int | None = -1,
) -> Bunch:
    """List the images of a folder that has one folder for each class.

    Paths and labels are what learners take; each opens the images when it needs them.

    Parameters
    ----------
    path : str or path-like
        Its folders are the classes. Images lie in them at any depth, also behind links to folders. Images
        beside the class folders are left out.
    check : bool, default=False
        Decode each image. Those that cannot be read are left out with a warning, and so are classes that have
        no other. False opens no image.
    label_from : int or callable, default=None
        What an image's class is. A number is the level of the folder that names it: 1 is a folder of `path`,
        2 a folder in such a folder, as in ``WOMEN/Dresses``, -1 the folder that the image lies in, and -2 the
        folder of that one. A callable is called with the path below `path` and returns the label, as in
        ``lambda file: file.stem.split("_")[0]``, or None for an image to leave out. None is 1, with a warning
        where the layout looks like another.
    n_jobs : int, default=-1
        Threads that decode images for `check`; -1 is one for each core.

    Returns
    -------
    Bunch
        ``data`` : ndarray of shape (n_samples,), str
            Paths, by class and then by path: what :class:`skmetric.features.FrozenFeatures` and
            :class:`skmetric.deep.DeepMetricLearner` take.
        ``target`` : ndarray of shape (n_samples,), int
            Class of each image, a place in ``target_names``.
        ``target_names`` : ndarray of shape (n_classes,), str
            Names of the classes, sorted. Of a level below the first, with the folders above:
            ``"WOMEN/Dresses"``.
        ``left_out`` : list of LeftOut
            Everything else that lies in the folder, as named tuples ``(path, reason)``: files that are not
            images by their ending, hidden ones, folders of thumbnails that servers make (``@eaDir``), links
            that lead nowhere or in a circle, images that cannot be read or that `label_from` gives no label.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    NotADirectoryError
        If `path` is a file.
    ValueError
        If there are no class folders, or one has no images.

    Warns
    -----
    UserWarning
        If images cannot be read (`check`), if there are pictures of a kind that is not read, such as
        ``.heic``, or if the layout suggests another `label_from`.

    See Also
    --------
    skmetric.datasets.check_images : Finds the files of any list that can be read.
    skmetric.FrozenFeatures : Opens the images and makes features of them.
    skmetric.DeepMetricLearner : Opens the images and trains on them.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for name in ["dog/1.jpg", "cat/old/1.png", "cat/notes.txt"]:
    ...         file = Path(folder, name)
    ...         file.parent.mkdir(parents=True, exist_ok=True)
    ...         file.touch()
    ...     found = load_image_folder(folder)
    >>> found.target_names.tolist(), found.target.tolist()
    (['cat', 'dog'], [0, 1])
    >>> [left.reason for left in found.left_out]
    ['not an image by its ending, .txt']
    """
    root = Path(path)
    if not root.exists():
        raise FileNotFoundError(f"no such folder: {str(root)!r}")
    if not root.is_dir():
        raise NotADirectoryError(
            f"{str(root)!r} is a file; a folder with one folder for each class is needed"
        )
    is_level = isinstance(label_from, Integral) and not isinstance(label_from, bool) and label_from != 0
    if not (label_from is None or is_level or callable(label_from)):
        raise ValueError(
            f"label_from={label_from!r} is neither a function nor a level of folders: "
            "levels are counted from 1, or from -1 from the image on, in whole numbers"
        )
    found = walk(root)
    _warn_of_kinds(root, found)
    files, labels = _labelled(root, found, label_from)
    if label_from is None:
        _warn_of_layout(root, files)
    if check:
        checked = check_images([str(root / file) for file in files], n_jobs=n_jobs)
        found.left_out.extend(checked.left_out)
        files, labels = ([values[i] for i in checked.rows] for values in (files, labels))
        if not files:
            raise ValueError(
                f"none of the images of {str(root)!r} can be read; the first: {checked.left_out[0].reason}"
            )
    names = sorted(set(labels))
    codes = {name: code for code, name in enumerate(names)}
    order = sorted(range(len(files)), key=lambda i: (codes[labels[i]], root / files[i]))
    return Bunch(
        data=np.array([str(root / files[i]) for i in order]),
        target=np.array([codes[labels[i]] for i in order]),
        target_names=np.array(names),
        left_out=sorted(found.left_out),
    )


def _labelled(root: Path, found: Found, label_from: Any) -> tuple[list[Path], list[str]]:
    """Images below the root that have a class, and the classes; what has none is left out."""
    if callable(label_from):
        if not found.images:
            raise ValueError(f"no images in {str(root)!r}; images end in {endings()}")
        return _labelled_by(root, found, label_from)
    if not found.folders:
        _refuse_flat(root, found)
    level = 1 if label_from is None else int(label_from)
    files, labels = [], []
    for file in found.images:
        folders = file.parts[:-1]
        if len(folders) >= abs(level):
            files.append(file)
            labels.append("/".join(folders[: level if level > 0 else len(folders) + level + 1]))
        else:
            where = f"above level {level} of the folders" if level > 0 else f"in fewer than {-level} folders"
            where = where if folders else "beside the class folders"
            found.left_out.append(LeftOut(str(root / file), where))
    if level == 1:
        _refuse_empty(root, found.folders, set(labels))
    if not files:
        raise ValueError(
            f"no images at level {level} of the folders of {str(root)!r}: label_from={label_from}"
        )
    return files, labels


def _labelled_by(root: Path, found: Found, label_of: Callable[[Path], Any]) -> tuple[list[Path], list[str]]:
    """As `_labelled`, by a function; images that it gives no label are left out."""
    files, labels = [], []
    for file in found.images:
        label = label_of(file)
        if is_missing(label):
            found.left_out.append(LeftOut(str(root / file), "label_from gave no label"))
        else:
            files.append(file)
            labels.append(_as_label(label, file))
    if not files:
        raise ValueError(
            f"label_from gave no label to any of the {len(found.images)} images of {str(root)!r}: it must "
            "return the class of an image, and None only for images to leave out"
        )
    return files, labels


def _as_label(label: Any, file: Path) -> str:
    """Text of a label: a list is several, and NumPy would cut a NUL off the end."""
    text = str(label)
    if isinstance(label, list | tuple | set | dict) or "\0" in text:
        raise ValueError(
            f"label_from gave {label!r} for {str(file)!r}: it must return one label, text or a number, "
            "without NUL characters"
        )
    return text


def _refuse_flat(root: Path, found: Found) -> None:
    searched = ""
    if found.images:
        ending = found.images[0].suffix
        searched = (
            f". Its {len(found.images)} images are searched without classes by "
            "SimilaritySearch(FrozenFeatures('mobilenetv2_100')).fit("
            f"sorted(map(str, Path({str(root)!r}).glob('*{ending}')))); or "
            "label_from= takes a function that makes a label of a file's name"
        )
    raise ValueError(f"{str(root)!r} has no folders: one for each class is needed{searched}")


def _refuse_empty(root: Path, folders: list[str], labels: set[str]) -> None:
    empty = [name for name in folders if name not in labels]
    if empty:
        raise ValueError(
            f"no images in the class folders {empty} of {str(root)!r}; images end in {endings()}"
        )


def _warn_of_kinds(root: Path, found: Found) -> None:
    kinds = [Path(left.path).suffix.lower() for left in found.left_out]
    counts = {kind: kinds.count(kind) for kind in sorted(set(kinds) & PICTURES)}
    if counts:
        listed = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        warn(
            f"pictures of {str(root)!r} that are not read are left out: {listed}. Convert them, as to .png; "
            "`left_out` lists them"
        )


def _warn_of_layout(root: Path, files: list[Path]) -> None:
    """Say that the folders of the first level may not be the classes, where the layout shows it."""
    first = {file.parts[0] for file in files}
    products = [_PRODUCT.fullmatch(file.stem) for file in files]
    deeper = {file.parts[:2] for file in files if len(file.parts) > 2}
    if all(len(file.parts) > 2 for file in files) and len(deeper) > len(first):
        example = min(deeper)
        warn(
            f"no image lies directly in the {len(first)} class folders of {str(root)!r}, but in "
            f"{len(deeper)} folders inside them, such as {'/'.join(example)!r}: if these are the classes, "
            "pass label_from=2, or -1 for the innermost folders; label_from=1 keeps the first level without "
            "this warning"
        )
    elif all(products) and 2 * len(first) <= len({found[1] for found in products if found}) <= len(files) / 2:
        warn(
            f"the files of {str(root)!r} are named <number>_<view>, as in {files[0].name!r}: if each number "
            "is a class, pass label_from=lambda file: file.stem.split('_')[0]; label_from=1 keeps the "
            "folders without this warning"
        )
