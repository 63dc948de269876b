"""Lists and folders of a download: each error says what is missing and shows the layout that is expected."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import Bunch

__all__ = [
    "Layout",
    "folder_of",
    "images_in",
    "lines_of",
    "literature_set",
    "rows_of",
    "table_of",
    "whole_numbers",
]

_MADE = {"Thumbs.db", "desktop.ini"}  # by an operating system
_SHOWN = 8  # how many names of a folder a message lists


class Layout(NamedTuple):
    """How a set lies on disk once it is unpacked, and how large the published set is."""

    name: str
    tree: str  # the layout as a user sees it, one line a file or folder
    size: str  # of the published set
    split: str  # the official split, in a sentence

    def error(self, problem: str, kind: type[Exception] = FileNotFoundError) -> Exception:
        """An error that shows the expected layout."""
        return kind(f"{self.name}: {problem}\nExpected layout:\n{self.tree.strip()}")


# Finding and reading


def folder_of(
    data_dir: str | os.PathLike[str], marker: str | Sequence[str], layout: Layout, below: Sequence[str] = ()
) -> Path:
    """The folder that holds one of the markers: `data_dir`, or one of the folders `below` it.

    Parameters
    ----------
    data_dir : path-like
        As the user gives it.
    marker : str or sequence of str
        Files or folders, any of which says that this is the folder.
    layout : Layout
        Of the set.
    below : sequence of str
        Folders into which archives of the set are unpacked.
    """
    root = Path(data_dir)
    if not root.exists():
        raise layout.error(f"no such folder: {str(root)!r}")
    if not root.is_dir():
        raise layout.error(f"{str(root)!r} is a file, and a folder is needed", NotADirectoryError)
    markers = [marker] if isinstance(marker, str) else marker
    for folder in [root, *(root / name for name in below)]:
        if any((folder / name).exists() for name in markers):
            return folder
    raise layout.error(f"no {' and no '.join(markers)} in {str(root)!r}, which has {_content(root)}")


def lines_of(file: Path, layout: Layout) -> list[str]:
    """Lines of a list, without blank ones at its end."""
    if not file.is_file():
        parent = next(folder for folder in file.parents if folder.is_dir())
        raise layout.error(f"no file {str(file)!r}; {str(parent)!r} has {_content(parent)}")
    try:
        text = file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise layout.error(f"{str(file)!r} is no text in UTF-8: {error}", ValueError) from None
    lines = [line.strip() for line in text.splitlines()]
    while lines and not lines[-1]:
        del lines[-1]
    if not lines:
        raise layout.error(f"{str(file)!r} is empty", ValueError)
    return lines


def rows_of(
    file: Path, columns: Sequence[str], layout: Layout, *, header: Sequence[str] | None = None, skip: int = 0
) -> list[list[str]]:
    """Rows of a list whose columns are separated by blanks.

    Parameters
    ----------
    file : Path
        List.
    columns : sequence of str
        Names of its columns, for messages.
    layout : Layout
        Of the set.
    header : sequence of str, default=None
        What the first line after `skip` has to be.
    skip : int, default=0
        Lines before.
    """
    lines = lines_of(file, layout)[skip:]
    if header is not None:
        if not lines or lines[0].split() != list(header):
            found = lines[0] if lines else ""
            raise layout.error(
                f"{str(file)!r} begins with {found!r}, and {' '.join(header)!r} is expected", ValueError
            )
        lines, skip = lines[1:], skip + 1
    rows = [line.split() for line in lines]
    for i, row in enumerate(rows):
        if len(row) != len(columns):
            raise layout.error(
                f"line {i + skip + 1} of {str(file)!r} is {lines[i]!r}, and {' '.join(columns)!r} is "
                "expected",
                ValueError,
            )
    if not rows:
        raise layout.error(f"{str(file)!r} lists nothing", ValueError)
    return rows


def table_of(file: Path, columns: Sequence[str], layout: Layout) -> dict[str, str]:
    """A list of two columns, the first of which tells the rows apart."""
    rows = rows_of(file, columns, layout)
    found = dict(rows)
    if len(found) < len(rows):
        twice = Counter(row[0] for row in rows).most_common(1)[0][0]
        raise layout.error(f"{str(file)!r} has the {columns[0]} {twice!r} twice", ValueError)
    return found


def whole_numbers(values: Iterable[Any], what: str, file: Path, layout: Layout) -> list[int]:
    """Column of a list as integers."""
    numbers = []
    for value in values:
        try:
            numbers.append(int(value))
        except (TypeError, ValueError):
            raise layout.error(f"{str(file)!r} has {value!r} as {what}, not a number", ValueError) from None
    return numbers


def images_in(folder: Path, layout: Layout, suffixes: Sequence[str] = (".jpg",)) -> list[str]:
    """Names of the images that lie directly in a folder, sorted; files of other kinds are refused."""
    if not folder.is_dir():
        raise layout.error(f"no folder {str(folder)!r}; {str(folder.parent)!r} has {_content(folder.parent)}")
    names = sorted(name for name in _names(folder) if name not in _MADE and not name.startswith("."))
    found = [name for name in names if name.lower().endswith(tuple(suffixes))]
    if found and len(found) < len(names):
        strange = next(name for name in names if name not in found)
        raise layout.error(
            f"{str(folder)!r} has {strange!r}, and only {' and '.join(suffixes)} are expected", ValueError
        )
    if not found:
        raise layout.error(f"no {' or '.join(suffixes)} in {str(folder)!r}, which has {_content(folder)}")
    return found


# What is returned


def literature_set(
    layout: Layout,
    root: Path,
    files: Sequence[str],
    keys: Sequence[Any],
    split: Sequence[str],
    *,
    names: dict[Any, str] | None = None,
    listed_by: str,
    **more: Any,
) -> Bunch:
    """Put paths and labels together, after all files were looked for.

    Parameters
    ----------
    layout : Layout
        Of the set.
    root : Path
        What `files` are below.
    files : sequence of str
        Images, with slashes.
    keys : sequence
        Class of each image, in a type that sorts.
    split : sequence of str
        Part of the official split that each image is in.
    names : dict, default=None
        Names of the classes by key; without, the key is the name.
    listed_by : str
        Where the files are named, for messages.
    **more : any
        Further entries of the Bunch.
    """
    _refuse_missing(root, files, listed_by, layout)
    _refuse_shared(keys, split, layout)
    classes = sorted(set(keys))
    codes = {key: code for code, key in enumerate(classes)}
    unnamed = [key for key in classes if names is not None and key not in names]
    if unnamed:
        raise layout.error(f"the class {unnamed[0]!r} has no name in the list of classes", ValueError)
    parts = np.array(split)
    counts = ", ".join(f"{part} {np.sum(parts == part)}" for part in dict.fromkeys(split))
    here = f"This copy: {len(files)} images of {len(classes)} classes ({counts})."
    return Bunch(
        data=np.array([os.path.join(root, *PurePosixPath(file).parts) for file in files]),
        target=np.array([codes[key] for key in keys]),
        target_names=np.array([names[key] if names else str(key) for key in classes]),
        split=parts,
        **more,
        DESCR=f"{layout.name}\n{'-' * len(layout.name)}\n{layout.size}\n{layout.split}\n{here}\n",
    )


def _refuse_missing(root: Path, files: Sequence[str], listed_by: str, layout: Layout) -> None:
    """Refuse names that lead out of the folder, and files that are not there; each folder is listed once."""
    folders: dict[str, set[str]] = {}
    missing = []
    for file in files:
        path = PurePosixPath(file)
        if path.is_absolute() or ".." in path.parts or "\0" in file or not path.name:
            raise layout.error(f"{file!r}, named by {listed_by}, is not below the folder", ValueError)
        place = str(path.parent)
        if place not in folders:
            folders[place] = _names(root / place)
        if path.name not in folders[place]:
            missing.append(file)
    if len(set(files)) < len(files):
        twice = Counter(files).most_common(1)[0][0]
        raise layout.error(f"{twice!r} is named twice by {listed_by}", ValueError)
    if missing:
        first = PurePosixPath(missing[0])
        has = _content(root / first.parent) if (root / first.parent).is_dir() else None
        there = f"its folder has {has}" if has else f"there is no folder {str(first.parent)!r}"
        raise layout.error(
            f"{len(missing)} of {len(files)} images named by {listed_by} are missing in {str(root)!r}, "
            f"the first: {missing[0]!r}; {there}"
        )


def _refuse_shared(keys: Sequence[Any], split: Sequence[str], layout: Layout) -> None:
    """Refuse a class that is both trained on, as the first part is, and in another part."""
    trained = {key for key, part in zip(keys, split, strict=True) if part == split[0]}
    others = {key for key, part in zip(keys, split, strict=True) if part != split[0]}
    if trained & others:
        raise layout.error(
            f"the class {min(trained & others)!r} is in {split[0]!r} and in another part", ValueError
        )


def _names(folder: Path) -> set[str]:
    return {entry.name for entry in os.scandir(folder)} if folder.is_dir() else set()


def _content(folder: Path) -> str:
    """What lies in a folder, for a message."""
    names = sorted(_names(folder))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(map(repr, names[:_SHOWN])) or "nothing") + more
