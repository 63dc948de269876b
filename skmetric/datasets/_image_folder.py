"""A folder with one folder a class: paths and labels."""

from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

__all__ = ["load_image_folder"]

_SUFFIXES = frozenset(
    {".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)


def load_image_folder(path):
    """List the images of a folder that has one folder for each class. No image is opened.

    Paths and labels are what learners take; each opens the images when it needs them.

    Parameters
    ----------
    path : str or path-like
        Its folders are the classes. Images lie in them at any depth; other files, and names that begin with a
        dot, are passed over, and so are images beside the class folders.

    Returns
    -------
    Bunch
        ``data`` : ndarray of shape (n_samples,), str
            Paths, by class and then by path: what :class:`skmetric.features.FrozenFeatures` and
            :class:`skmetric.deep.DeepMetricLearner` take.
        ``target`` : ndarray of shape (n_samples,), int
            Class of each image, a place in ``target_names``.
        ``target_names`` : ndarray of shape (n_classes,), str
            Names of the class folders, sorted.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    NotADirectoryError
        If `path` is a file.
    ValueError
        If there are no class folders, or one has no images.

    See Also
    --------
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
    """
    root = Path(path)
    if not root.exists():
        raise FileNotFoundError(f"no such folder: {str(root)!r}")
    if not root.is_dir():
        raise NotADirectoryError(
            f"{str(root)!r} is a file; a folder with one folder for each class is needed"
        )
    folders = sorted(entry for entry in root.iterdir() if entry.is_dir() and not _hidden(entry.name))
    if not folders:
        raise ValueError(f"{str(root)!r} has no folders: one for each class is needed")
    images = [_images_in(folder) for folder in folders]
    empty = [folder.name for folder, found in zip(folders, images, strict=True) if not found]
    if empty:
        raise ValueError(
            f"no images in the class folders {empty} of {str(root)!r}; images end in {_endings()}"
        )
    return Bunch(
        data=np.array([str(image) for found in images for image in found]),
        target=np.repeat(np.arange(len(folders)), [len(found) for found in images]),
        target_names=np.array([folder.name for folder in folders]),
    )


def _images_in(folder):
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in _SUFFIXES
        and not any(map(_hidden, file.relative_to(folder).parts))
        and file.is_file()
    )


def _hidden(name):
    return name.startswith(".")


def _endings():
    return ", ".join(sorted(_SUFFIXES))
