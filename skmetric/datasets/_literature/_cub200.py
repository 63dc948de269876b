"""CUB-200-2011: birds."""

from __future__ import annotations

import os

from sklearn.utils import Bunch

from ._reading import Layout, folder_of, literature_set, table_of, whole_numbers

_LAYOUT = Layout(
    "CUB-200-2011",
    """
CUB_200_2011/
    classes.txt              1 001.Black_footed_Albatross
    images.txt               1 001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg
    image_class_labels.txt   1 1
    images/001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg
""",
    "Published: 11788 images of 200 species of birds (Wah et al., 2011).",
    "Split: the first half of the classes is trained on, the second half searched (Song et al., CVPR 2016).",
)


def load_cub200(data_dir: str | os.PathLike[str]) -> Bunch:
    """List CUB-200-2011, 200 species of birds, from your own download.

    The split is that of metric learning [2]_: classes 1 to 100 are trained on, classes 101 to 200 are
    searched, each image among the others. No image is opened.

    Parameters
    ----------
    data_dir : str or path-like
        The folder ``CUB_200_2011`` of the unpacked archive, or the folder that holds it.

    Returns
    -------
    Bunch
        ``data`` : ndarray of shape (n_samples,), str
            Paths, in the order of ``images.txt``.
        ``target`` : ndarray of shape (n_samples,), int
            Class of each image, a place in ``target_names``.
        ``target_names`` : ndarray of shape (n_classes,), str
            Names such as "001.Black_footed_Albatross".
        ``split`` : ndarray of shape (n_samples,), str
            "train" or "test"; no class is in both.
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
    load_cars196 : Another set with classes that look alike.

    References
    ----------
    .. [1] C. Wah, S. Branson, P. Welinder, P. Perona, S. Belongie, "The Caltech-UCSD Birds-200-2011 dataset",
       2011.
    .. [2] H. Oh Song et al., "Deep metric learning via lifted structured feature embedding", CVPR 2016.

    Examples
    --------
    >>> from skmetric.datasets import load_cub200
    >>> cub = load_cub200("CUB_200_2011")  # doctest: +SKIP
    >>> X, y = cub.data[cub.split == "train"], cub.target[cub.split == "train"]  # doctest: +SKIP
    """
    root = folder_of(data_dir, "images.txt", _LAYOUT, ["CUB_200_2011"])
    images, labels = root / "images.txt", root / "image_class_labels.txt"
    files = table_of(images, ["image_id", "path"], _LAYOUT)
    classes = table_of(labels, ["image_id", "class_id"], _LAYOUT)
    unlabelled = [image for image in files if image not in classes]
    if unlabelled:
        raise _LAYOUT.error(
            f"image {unlabelled[0]!r} of {str(images)!r} is not in {str(labels)!r}", ValueError
        )
    keys = whole_numbers((classes[image] for image in files), "a class", labels, _LAYOUT)
    named = table_of(root / "classes.txt", ["class_id", "name"], _LAYOUT)
    numbers = whole_numbers(named, "a class", root / "classes.txt", _LAYOUT)
    trained = set(sorted(numbers)[: len(numbers) // 2])
    return literature_set(
        _LAYOUT,
        root / "images",
        list(files.values()),
        keys,
        ["train" if key in trained else "test" for key in keys],
        names=dict(zip(numbers, named.values(), strict=True)),
        listed_by="images.txt",
    )
