"""``.. measured:: which_loss`` shows what ``benchmarks/which_loss.py`` printed when it was last recorded.

``.. measured:: examples/pipeline`` does so for ``pipeline.py``, an example, with ``--full``.
"""

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
        if (program := _program(name)) is None:
            raise self.error(f"no program prints {name}")
        recorded = _DOC / "measured" / f"{name}.txt"
        self.state.document.settings.env.note_dependency(str(recorded))
        if not recorded.is_file():
            command = nodes.literal("", f"python {program}")
            return [nodes.paragraph("", "", nodes.Text("Not recorded yet: "), command)]
        text = recorded.read_text("utf-8").rstrip()
        block = nodes.literal_block(text, text, language="none")
        return [nodes.container("", block, classes=["measured"])]


def _program(name):
    """Path of what prints it, from the root of the repository; None without one."""
    folder, _, stem = name.rpartition("/")
    found = sorted((_DOC.parent / (folder or "benchmarks")).rglob(f"{stem}.py"))
    return found[0].relative_to(_DOC.parent).as_posix() if found else None


def setup(app):
    """Register the directive."""
    app.add_directive("measured", Measured)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
