"""``.. names:: skmetric.linear`` lists the public names of a module with a line each."""

from importlib import import_module

from sphinx.util.docutils import SphinxDirective


class Names(SphinxDirective):
    """A table of names, each a link to its page."""

    required_arguments = 1

    def run(self):
        """Make the nodes."""
        module = self.arguments[0]
        lines = [f".. currentmodule:: {module}", "", ".. autosummary::", ""]
        lines += [f"   {name}" for name in sorted(import_module(module).__all__, key=str.casefold)]
        return self.parse_text_to_nodes("\n".join(lines) + "\n")


def setup(app):
    """Register the directive."""
    app.add_directive("names", Names)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
