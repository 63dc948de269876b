"""What reports share: access by name, and the same table as text and as HTML."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from html import escape


class Report(ABC):
    """Scores with intervals and chance levels, by name. A subclass adds a caption and what else it has."""

    scores: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    chance: Mapping[str, float]
    confidence_level: float

    @abstractmethod
    def _caption(self):
        """One line that says what was scored."""

    def _tables(self):
        """Tables as lists of rows of strings, the first row the header."""
        header = ["", "score", f"{100 * self.confidence_level:g}% interval", "chance"]
        return [[header, *([name, *self._cells(name)] for name in self.scores)]]

    def _cells(self, name):
        low, high = self.intervals[name]
        return [f"{self.scores[name]:.3f}", f"[{low:.3f}, {high:.3f}]", f"{self.chance[name]:.3f}"]

    def __getitem__(self, name):
        return self.scores[name]

    def __repr__(self):
        return "\n\n".join([*map(_text, self._tables()), self._caption()])

    def _repr_html_(self):
        return "".join([*map(_html, self._tables()), f"<p>{escape(self._caption())}</p>"])


def _text(rows):
    names, *columns = zip(*rows, strict=True)
    padded = [_padded(names, str.ljust), *(_padded(column, str.rjust) for column in columns)]
    return "\n".join(map("  ".join, zip(*padded, strict=True)))


def _padded(column, pad):
    width = max(map(len, column))
    return [pad(cell, width) for cell in column]


def _html(rows):
    header, *body = rows
    body = "".join(_html_row(row, "td") for row in body)
    return f"<table><thead>{_html_row(header, 'th')}</thead><tbody>{body}</tbody></table>"


def _html_row(row, tag):
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in row)}</tr>"
