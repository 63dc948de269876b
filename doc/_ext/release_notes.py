"""``.. release-notes::`` shows CHANGELOG.md, after the fragments of ``changes/`` for the next."""

from pathlib import Path

from contributing import to_rst
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).parents[2]
KINDS = {"added": "Added", "changed": "Changed", "fixed": "Fixed", "removed": "Removed"}


class ReleaseNotes(SphinxDirective):
    """Releases, newest first."""

    def run(self):
        """Make the nodes."""
        text = unreleased(ROOT / "changes")
        log = ROOT / "CHANGELOG.md"
        if log.is_file():
            self.env.note_dependency(str(log))
            text += "\n" + to_rst(
                log.read_text("utf-8").partition("<!-- towncrier release notes start -->")[2]
            )
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def unreleased(folder):
    """The fragments as reStructuredText, one heading a kind."""
    parts = []
    for kind, title in KINDS.items():
        fragments = sorted(folder.glob(f"*.{kind}.md"), key=lambda path: path.name)
        if fragments:
            parts += [f"**{title}**", ""]
            parts += ["- " + " ".join(to_rst(path.read_text("utf-8")).split()) for path in fragments]
            parts.append("")
    if not parts:
        return ""
    return "\n".join(["Next release", "------------", "", *parts])


def setup(app):
    """Register the directive."""
    app.add_directive("release-notes", ReleaseNotes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
