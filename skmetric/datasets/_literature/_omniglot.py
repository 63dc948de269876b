"""Omniglot: characters of many alphabets."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from ._reading import Layout, folder_of, images_in, literature_set, rows_of

_PARTS = {"background": "images_background", "evaluation": "images_evaluation"}
_NAME = re.compile(r"\d+_(\d+)\.png", re.IGNORECASE)  # number of the character and of the drawer
_LAYOUT = Layout(
    "Omniglot",
    """
images_background/Alphabet_of_the_Magi/character01/0709_01.png    drawer 1
images_evaluation/Angelic/character01/0965_01.png
all_runs/run01/class_labels.txt    run01/test/item01.png run01/training/class08.png
all_runs/run01/test/item01.png     all_runs is not needed: without it, runs is None
all_runs/run01/training/class01.png
""",
    "Published: 32460 images of 1623 characters of 50 alphabets, each by 20 people (Lake et al., 2015).",
    "Split: the 30 alphabets of images_background are trained on, the 20 of images_evaluation are tested.",
)


def load_omniglot(data_dir: str | os.PathLike[str]) -> Bunch:
    """List Omniglot, characters of many alphabets, from your own download.

    The split is the official one [1]_: the background alphabets are trained on. ``runs`` are the official
    tasks: in each, every query is one of twenty characters, of each of which there is one example. No image
    is opened.

    Parameters
    ----------
    data_dir : str or path-like
        Folder with ``images_background`` and ``images_evaluation``, and with ``all_runs`` if you want the
        one-shot tasks.

    Returns
    -------
    Bunch
        ``data`` : ndarray of shape (n_samples,), str
            Paths, by part and by name.
        ``target`` : ndarray of shape (n_samples,), int
            Character in each image, a place in ``target_names``.
        ``target_names`` : ndarray of shape (n_classes,), str
            Names such as "Angelic/character01".
        ``split`` : ndarray of shape (n_samples,), str
            "background" or "evaluation"; no alphabet is in both.
        ``alphabet`` : ndarray of shape (n_samples,), str
            Alphabet of each image.
        ``drawer`` : ndarray of shape (n_samples,), int
            Who drew it, from 1.
        ``runs`` : Bunch or None
            ``examples`` (n_runs, n_way) and ``queries`` (n_runs, n_queries) are paths, and
            ``answers[run, i]`` is the place in ``examples[run]`` that has the character of
            ``queries[run, i]``. None without ``all_runs``.
        ``DESCR`` : str
            The published size, and that of this copy.

    Raises
    ------
    FileNotFoundError
        If a folder or an image is missing; the message shows the expected layout.
    NotADirectoryError
        If `data_dir` is a file.
    ValueError
        If an image or a line of a run is not named as published, or if a character is in both parts.

    See Also
    --------
    make_glyphs : Characters without a download.

    References
    ----------
    .. [1] B. M. Lake, R. Salakhutdinov, J. B. Tenenbaum, "Human-level concept learning through probabilistic
       program induction", Science 2015.

    Examples
    --------
    >>> from skmetric.datasets import load_omniglot
    >>> omniglot = load_omniglot("omniglot")  # doctest: +SKIP
    >>> X = omniglot.data[omniglot.split == "background"]  # doctest: +SKIP
    """
    root = folder_of(data_dir, list(_PARTS.values()), _LAYOUT, ["omniglot-py", "omniglot", "python"])
    files, split, drawers = [], [], []
    for part, folder in _PARTS.items():
        for character in _characters(root / folder):
            for name in images_in(root / folder / character, _LAYOUT, [".png"]):
                found = _NAME.fullmatch(name)
                if found is None:
                    raise _LAYOUT.error(
                        f"{str(root / folder / character / name)!r} is not named after a character and a "
                        "drawer",
                        ValueError,
                    )
                files.append(f"{folder}/{character}/{name}")
                split.append(part)
                drawers.append(int(found[1]))
    alphabets = [file.split("/")[1] for file in files]
    return literature_set(
        _LAYOUT,
        root,
        files,
        ["/".join(file.split("/")[1:3]) for file in files],
        split,
        listed_by="the folder",
        alphabet=np.array(alphabets),
        drawer=np.array(drawers),
        runs=_runs(root / "all_runs") if (root / "all_runs").is_dir() else None,
    )


def _characters(folder: Path) -> list[str]:
    """Folders of characters, as alphabet/character."""
    if not folder.is_dir():
        raise _LAYOUT.error(f"no folder {str(folder)!r}: unpack {folder.name}.zip there")
    found = [
        f"{alphabet.name}/{character.name}"
        for alphabet in os.scandir(folder)
        if alphabet.is_dir()
        for character in os.scandir(alphabet)
        if character.is_dir()
    ]
    if not found:
        raise _LAYOUT.error(f"{str(folder)!r} has no alphabets with folders of characters")
    return sorted(found)


def _runs(folder: Path) -> Bunch:
    """Paths of the official one-shot tasks, and the answers."""
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    if not names:
        raise _LAYOUT.error(f"{str(folder)!r} has no folders run01, run02, ...")
    examples, queries, answers = [], [], []
    for name in names:
        source = folder / name / "class_labels.txt"
        rows = rows_of(source, ["query", "example"], _LAYOUT)
        shown = [
            f"{name}/training/{image}" for image in images_in(folder / name / "training", _LAYOUT, [".png"])
        ]
        for query, example in rows:
            if example not in shown or not (folder / query).is_file():
                raise _LAYOUT.error(
                    f"{str(source)!r} names {query!r} and {example!r}: one of them is missing"
                )
        examples.append([str(folder / image) for image in shown])
        queries.append([str(folder / query) for query, _ in rows])
        answers.append([shown.index(example) for _, example in rows])
    for kind, found in (("training", examples), ("test", queries)):
        if len({len(images) for images in found}) > 1:
            raise _LAYOUT.error(
                f"the runs of {str(folder)!r} differ in the number of {kind} images", ValueError
            )
    return Bunch(examples=np.array(examples), queries=np.array(queries), answers=np.array(answers))
