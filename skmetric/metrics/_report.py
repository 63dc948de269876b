"""What reports share: access by name, and the same table as text and as HTML."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape

Rows = list[list[str]]  # of a table, the first row its header


class ByName(ABC):
    """Values by name: ``report["map_at_r"]``, ``"map_at_r" in report``, ``dict(report)``."""

    @abstractmethod
    def _values(self) -> Mapping[str, float]:
        """All values."""

    def __getitem__(self, name: str) -> float:
        values = self._values()
        if name not in values:
            raise KeyError(f"no score {name!r}; there are {', '.join(values)}")
        return values[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values()

    def __iter__(self) -> Iterator[str]:
        return iter(self._values())

    def keys(self) -> list[str]:
        """Return the names of the scores.

        Returns
        -------
        list of str
            In the order of the table.
        """
        return list(self._values())


class Report(ByName):
    """Scores with intervals and chance levels, by name. A subclass adds a caption and further columns."""

    scores: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    chance: Mapping[str, float]
    confidence_level: float

    @abstractmethod
    def _caption(self) -> str:
        """One line that says what was scored."""

    def _tables(self) -> list[Rows]:
        """Tables as lists of rows of strings, the first row the header."""
        header = ["", "score", f"{100 * self.confidence_level:g}% interval", "chance"]
        return [[header, *([name, *self._cells(name)] for name in self.scores)]]

    def _cells(self, name: str) -> list[str]:
        low, high = self.intervals[name]
        return [f"{self.scores[name]:.3f}", f"[{low:.3f}, {high:.3f}]", f"{self.chance[name]:.3f}"]

    def _values(self) -> Mapping[str, float]:
        return self.scores

    def __repr__(self) -> str:
        return "\n\n".join([*map(_text, self._tables()), self._caption()])

    def _repr_html_(self) -> str:
        return "".join([*map(_html, self._tables()), f"<p>{escape(self._caption())}</p>"])


def _text(rows: Rows) -> str:
    names, *columns = zip(*rows, strict=True)
    padded = [_padded(names, str.ljust), *(_padded(column, str.rjust) for column in columns)]
    return "\n".join(map("  ".join, zip(*padded, strict=True)))


def _padded(column: Sequence[str], pad: Callable[[str, int], str]) -> list[str]:
    width = max(map(len, column))
    return [pad(cell, width) for cell in column]


def _html(rows: Rows) -> str:
    header, *body = rows
    lines = "".join(_html_row(row, "td") for row in body)
    return f"<table><thead>{_html_row(header, 'th')}</thead><tbody>{lines}</tbody></table>"


def _html_row(row: list[str], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in row)}</tr>"
