"""``.. names:: skmetric.linear`` lists the public names of a module with a line each."""

import re
from importlib import import_module

from sphinx.ext.autosummary import Autosummary
from sphinx.util.docutils import SphinxDirective

CITED = re.compile(r" ?\[[\w-]+\]_")


class Names(SphinxDirective):
    """A table of names, each a link to its page."""

    required_arguments = 1

    def run(self):
        """Make the nodes."""
        module = self.arguments[0]
        lines = [f".. currentmodule:: {module}", "", ".. autosummary::", ""]
        lines += [f"   {name}" for name in sorted(import_module(module).__all__, key=str.casefold)]
        return self.parse_text_to_nodes("\n".join(lines) + "\n")


class Summaries(Autosummary):
    """sphinx's tables, without the citations of a summary: its references are on another page."""

    def get_items(self, names):
        """Rows of (name, signature, summary, full name)."""
        return [(*row[:2], without_citations(row[2]), *row[3:]) for row in super().get_items(names)]


def without_citations(summary):
    """The text of a summary without marks such as ``[R4365-1]_``."""
    return CITED.sub("", summary)


def setup(app):
    """Register the directives."""
    app.setup_extension("sphinx.ext.autosummary")
    app.add_directive("names", Names)
    app.add_directive("autosummary", Summaries, override=True)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
