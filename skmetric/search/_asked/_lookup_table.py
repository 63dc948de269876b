"""What a lookup finds, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING, Any, Literal, final

from numpy.typing import NDArray
from sklearn import get_config

from skmetric._optional import import_optional
from skmetric.metrics._report import _html, _text
from skmetric.search._gallery._metadata import PATH

from ._thumbnails import thumbnails

if TYPE_CHECKING:
    from skmetric.search._index._hits import Hits

_SHOWN, _WIDEST = 10, 60  # rows, and letters of a cell


@final
class LookupTable:
    """The result of a lookup: query, rank, id, distance, label if there are labels, and metadata of each row.

    Prints its first rows. ``table["distance"]`` is a column, ``len(table)`` its number of rows. A notebook
    shows thumbnails of the items, if there is a column "path" with image files that can be read here.

    Parameters
    ----------
    columns : dict of str to ndarray of shape (n_rows,)
        Columns in order; also an attribute.

    See Also
    --------
    SimilaritySearch.lookup : Makes it.
    skmetric.inspection.NeighborsDisplay : Draws the same.

    Examples
    --------
    >>> from skmetric.search import SimilaritySearch
    >>> search = SimilaritySearch().fit([[0.0], [1.0]], ["ant", "bee"], metadata={"legs": [6, 6]})
    >>> table = search.lookup([[0.2]], n_neighbors=2)
    >>> table
    query  rank  id  distance  label  legs
    0         1   0       0.2    ant     6
    0         2   1       0.8    bee     6
    >>> table.to_records()[0]["label"]
    'ant'
    """

    def __init__(self, columns: Mapping[str, NDArray[Any]]) -> None:
        self.columns = columns

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __repr__(self) -> str:
        return _text(self._rows()) + self._rest()

    def _repr_html_(self) -> str:
        rows = self._rows()
        pictures = thumbnails(self.columns[PATH][:_SHOWN].tolist()) if PATH in self.columns else []
        return (_html_with_pictures(rows, pictures) if any(pictures) else _html(rows)) + self._rest()

    def _rows(self) -> list[list[str]]:
        cells = [
            [f"{v:.4g}" if isinstance(v, float) else _short(str(v)) for v in column[:_SHOWN].tolist()]
            for column in self.columns.values()
        ]
        return [list(self.columns), *map(list, zip(*cells, strict=True))]

    def _rest(self) -> str:
        return f"\n... {len(self)} rows in all" if len(self) > _SHOWN else ""

    def to_records(self) -> list[dict[str, Any]]:
        """Return the rows as dicts of Python values.

        Returns
        -------
        list of dict
            One for each row.
        """
        values = zip(*(column.tolist() for column in self.columns.values()), strict=True)
        return [dict(zip(self.columns, row, strict=True)) for row in values]

    def to_frame(self, library: Literal["pandas", "polars"] = "pandas") -> Any:
        """Return the table as a DataFrame.

        Parameters
        ----------
        library : {"pandas", "polars"}, default="pandas"
            The library whose DataFrame is made.

        Returns
        -------
        DataFrame
            Of that library.

        Raises
        ------
        ImportError
            If the library is not installed.
        """
        module = import_optional(library, extra=None, purpose=f"A lookup as a {library} DataFrame")
        return module.DataFrame(self.columns)


def _html_with_pictures(rows: list[list[str]], pictures: list[str]) -> str:
    """A table with a picture before each row but the header; an empty source is no picture."""
    cells = ["", *(f'<img src="{source}" alt="">' if source else "" for source in pictures)]
    lines = [
        f"<tr><{tag}>{picture}</{tag}>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in row)}</tr>"
        for picture, row, tag in zip(cells, rows, ["th"] + ["td"] * len(pictures), strict=True)
    ]
    return f"<table><thead>{lines[0]}</thead><tbody>{''.join(lines[1:])}</tbody></table>"


def _short(text: str) -> str:
    """A cell of a printed table."""
    return text if len(text) <= _WIDEST else text[: _WIDEST - 3] + "..."


def tabulate(hits: Hits, names: NDArray[Any], output: Any, offset: int = 0) -> Any:
    """Table of hits under the ids of the user, in the form that `output` asks for.

    `names` are those of the queries; `offset` items of each, which are not among the hits, were nearer.
    """
    columns = {
        "query": names[hits.queries],
        "rank": hits.ranks(len(names)) + 1 + offset,
        "id": hits.ids,
        "distance": hits.distances,
        **hits.columns,
    }
    return as_output(columns, output)


def as_output(columns: Mapping[str, NDArray[Any]], output: Any) -> Any:
    """Columns in the form that `output` asks for; None is scikit-learn's setting."""
    table = LookupTable(columns)
    output = get_config()["transform_output"] if output is None else output
    return table if output == "default" else table.to_frame(output)
