"""``.. contributing::`` shows ``CONTRIBUTING.md``, so that a page need not say it again."""

import re
from pathlib import Path

from sphinx.util.docutils import SphinxDirective

_FILE = Path(__file__).parents[2] / "CONTRIBUTING.md"


class Contributing(SphinxDirective):
    """The file without its title."""

    def run(self):
        """Make the nodes."""
        self.env.note_dependency(str(_FILE))
        return self.parse_text_to_nodes(to_rst(_FILE.read_text("utf-8")), allow_section_headings=True)


def to_rst(text):
    """The little Markdown of that file as reStructuredText: headings, fenced blocks, code in backticks."""
    text = re.sub(r"^# .*\n", "", text, flags=re.M)
    text = re.sub(r"^## (.*)$", lambda m: f"{m[1]}\n{'-' * len(m[1])}", text, flags=re.M)
    text = re.sub(
        r"^```(\w+)\n(.*?)^```$",
        lambda m: f".. code-block:: {m[1]}\n\n" + re.sub(r"^", "    ", m[2], flags=re.M),
        text,
        flags=re.M | re.S,
    )
    return re.sub(r"(?<!`)`([^`\n]+)`(?!`)", r"``\1``", text)


def setup(app):
    """Register the directive."""
    app.add_directive("contributing", Contributing)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
