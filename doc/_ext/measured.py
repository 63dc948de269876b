"""``.. measured:: which_loss`` shows what ``benchmarks/which_loss.py`` printed when it was last recorded."""

from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive

_DOC = Path(__file__).parents[1]


class Measured(Directive):
    """The text in ``doc/measured``, or the command that would make it."""

    required_arguments = 1

    def run(self):
        """Make the nodes."""
        name = self.arguments[0]
        if not (_DOC.parent / "benchmarks" / f"{name}.py").is_file():
            raise self.error(f"there is no benchmarks/{name}.py")
        recorded = _DOC / "measured" / f"{name}.txt"
        self.state.document.settings.env.note_dependency(str(recorded))
        if not recorded.is_file():
            command = nodes.literal("", f"python benchmarks/{name}.py")
            return [nodes.paragraph("", "", nodes.Text("Not recorded yet: "), command)]
        text = recorded.read_text("utf-8").rstrip()
        block = nodes.literal_block(text, text, language="none")
        return [nodes.container("", block, classes=["measured"])]


def setup(app):
    """Register the directive."""
    app.add_directive("measured", Measured)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
