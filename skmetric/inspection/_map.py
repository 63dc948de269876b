"""embedding_map: embeddings in one page that any browser opens, with no network."""

import base64
import json
import os
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from io import BytesIO
from numbers import Integral
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skmetric._checks import check_matrix
from skmetric._optional import import_optional
from skmetric._params import Interval, StrOptions, validate_params
from skmetric.retrieval import nearest

from ._embedding import axis_names, project
from ._items import as_column, check_items, coded, refuse_unreadable, to_rgb
from ._style import CYCLE

_SHEET = 2048  # pixels of the side of a picture that holds many thumbnails
_MOST_IN_LEGEND = 200
_QUALITY = 80  # of JPEG
_LITTLE = 0.5  # of the variance: classes that two axes with less show as one may lie apart
_EXACT = 2**53  # of the integers of JavaScript


@validate_params(
    {
        "method": [StrOptions({"pca", "tsne", "umap"})],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "thumbnail_size": [Interval(Integral, 8, 256, closed="both")],
        "title": [str],
    },
    prefer_skip_nested_validation=True,
)
def embedding_map(
    X: Any,
    labels: ArrayLike | None = None,
    *,
    images: Sequence[Any] | np.ndarray | None = None,
    texts: Sequence[str] | None = None,
    metadata: Mapping[str, ArrayLike] | None = None,
    ids: ArrayLike | None = None,
    path: str | os.PathLike[str] = "map.html",
    method: str = "pca",
    n_neighbors: int = 10,
    thumbnail_size: int = 64,
    title: str = "Embedding map",
    random_state: int | np.random.RandomState | None = 0,
) -> Path:
    """Write a page that shows embeddings as a map to explore.

    Point at a sample to see its picture, text and metadata. Click it to see its nearest neighbours in the
    embedding space, and click a neighbour to go on from there. Search labels, texts, metadata and ids, choose
    classes in the legend, or draw around samples, to select samples and export their ids. On a phone the map
    lies above the list. The page is one file, needs no network, and sends nothing: its policy forbids
    connections. Labels, texts and metadata are shown as they are and never read as markup.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Embeddings; two dimensions are drawn as they are.
    labels : array-like of shape (n_samples,), default=None
        Classes, shown by colour and, after eight of them, by mark: 48 looks, then they repeat.
    images : sequence of n_samples pictures, default=None
        Arrays (H, W), (H, W, 3) or (3, H, W), PIL images, or paths of image files.
    texts : sequence of n_samples str, default=None
        What samples say.
    metadata : dict of str to array-like of shape (n_samples,), or DataFrame, default=None
        More columns to show.
    ids : array-like of shape (n_samples,), default=None
        What a selection exports, and what is searched if it is given. None counts rows from 0.
    path : str or path-like, default="map.html"
        File to write.
    method : {"pca", "tsne", "umap"}, default="pca"
        From the embedding to the plane. Where the two axes of "pca" hold less than half of the variance,
        classes may lie on top of each other; the page says so, and "tsne" or "umap" shows more. t-SNE takes
        minutes for tens of thousands of samples; "umap" needs umap-learn.
    n_neighbors : int, default=10
        Neighbours that a click shows, at most one fewer than there are samples.
    thumbnail_size : int, default=64
        Side of a thumbnail in pixels, 8 to 256. The sample that is clicked is shown larger: take 128 or more
        if details count.
    title : str, default="Embedding map"
        Of the page.
    random_state : int, default=0
        Of t-SNE and UMAP.

    Returns
    -------
    pathlib.Path
        The file: about 5 MB, and 1 to 3 KB for each thumbnail.

    Raises
    ------
    ImportError
        Without plotly, or Pillow for `images`: the extra ``plot`` brings both.
    ValueError
        If there are not as many labels, images, texts, ids or values as embeddings, or they are not finite.

    See Also
    --------
    EmbeddingDisplay : A picture for paper.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> from sklearn.datasets import load_digits
    >>> from skmetric.inspection import embedding_map
    >>> digits = load_digits()
    >>> page = embedding_map(
    ...     digits.data, digits.target, images=digits.images, path=Path(mkdtemp()) / "digits.html"
    ... )
    >>> page.name, "https://" in page.read_text(encoding="utf-8")[:2000]
    ('digits.html', False)
    """
    plotly = import_optional("plotly.offline", extra="plot", purpose="embedding_map")
    X = check_matrix(X, "X")
    data = _points(X, labels, method, n_neighbors, random_state)
    data |= _words(len(X), texts, metadata, ids) | _thumbnails(len(X), images, thumbnail_size)
    page = _filled(title, data, plotly.get_plotlyjs())
    path = Path(path)
    path.write_text(page, encoding="utf-8")
    return path


def _points(X, labels, method, n_neighbors, random_state):
    """Positions, classes and neighbours."""
    n_samples = len(X)
    if n_samples < 2:
        raise ValueError(f"X has {n_samples} row: a map needs two or more")
    points, explained = project(X, method, random_state)
    classes: list = []
    codes: np.ndarray = np.zeros(n_samples, dtype=np.int32)
    if labels is not None:
        check_items(labels, n_samples, "labels")
        classes, codes = coded(as_column(labels))
    found = nearest(X, k=min(n_neighbors, n_samples - 1))
    return {
        "n": n_samples,
        "x": _packed(points[:, 0], np.float32),
        "y": _packed(points[:, 1], np.float32),
        "advice": _advice(explained),
        "axes": axis_names(method, explained) if X.shape[1] > 2 else ("dimension 1", "dimension 2"),
        "units": method == "pca" or X.shape[1] == 2,
        "labels": [str(label) for label in classes],
        "codes": _packed(codes, np.int32),
        "palette": CYCLE,
        "most_in_legend": _MOST_IN_LEGEND,
        "n_neighbors": found.indices.shape[1],
        "neighbors": _packed(found.indices, np.int32),
        "distances": _packed(found.distances, np.float32),
    }


def _advice(explained):
    """What to do where two axes of a PCA show too little."""
    if explained is None or sum(explained) >= _LITTLE:
        return ""
    return (
        f"The two axes hold {sum(explained):.0%} of the variance: classes that overlap here may lie apart in "
        'the embedding space. method="tsne" or "umap" draws neighbours near each other.'
    )


def _words(n_samples, texts, metadata, ids):
    """Texts, metadata and ids as plain lists."""
    columns = {} if metadata is None else {str(name): metadata[name] for name in list(metadata)}
    for name, values in {"texts": texts, "ids": ids, **columns}.items():
        if values is not None:
            check_items(values, n_samples, name)
    return {
        "texts": None if texts is None else [str(text) for text in texts],
        "metadata": {name: [str(value) for value in values] for name, values in columns.items()},
        "ids": list(range(n_samples)) if ids is None else _names(ids),
        "own_ids": ids is not None,  # row numbers are not searched: "7" would find rows of other classes
    }


def _names(ids):
    """Ids as the page shows and returns them: numbers that JavaScript would round, and all else, as text."""
    values = as_column(ids).tolist()
    is_exact = all(type(value) is int and abs(value) <= _EXACT for value in values)
    return values if is_exact else [str(value) for value in values]


def _thumbnails(n_samples, images, side):
    """Thumbnails on large sheets, as data URLs."""
    columns = _SHEET // side
    layout = {"side": side, "columns": columns, "per_sheet": columns**2, "sheets": []}
    if images is None:
        return layout
    check_items(images, n_samples, "images")
    for start in range(0, n_samples, columns**2):
        some = images[start : start + columns**2]
        try:
            layout["sheets"].append(_sheet(some, side, columns))
        except (ValueError, OSError):
            refuse_unreadable(images)  # one run tells of all
            raise
    return layout


def _sheet(images, side, columns):
    image_module = import_optional("PIL.Image", extra="plot", purpose="images in embedding_map")
    n_rows = -(-len(images) // columns)
    sheet = image_module.new("RGB", (columns * side, n_rows * side), "white")
    for i, image in enumerate(images):
        picture = image_module.fromarray(to_rgb(image, side))
        scale = side / max(picture.size)
        size = tuple(max(1, round(length * scale)) for length in picture.size)
        picture = picture.resize(
            size, image_module.Resampling.BOX if scale < 1 else image_module.Resampling.NEAREST
        )
        corner = ((i % columns) * side + (side - size[0]) // 2, (i // columns) * side + (side - size[1]) // 2)
        sheet.paste(picture, corner)
    file = BytesIO()
    sheet.save(file, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _packed(values, dtype):
    """Numbers as base64 of their little-endian bytes."""
    return base64.b64encode(np.asarray(values, np.dtype(dtype).newbyteorder("<")).tobytes()).decode()


def _filled(title, data, library):
    """The page; in the data no `<` is left, so that no text of the user's can end the script element."""
    folder = files("skmetric.inspection") / "_page"
    parts = {name: (folder / f"map.{name}").read_text(encoding="utf-8") for name in ("html", "css", "js")}
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c").replace("&", "\\u0026")
    return Template(parts["html"]).substitute(
        title=escape(title), style=parts["css"], data=text, library=library, script=parts["js"]
    )
