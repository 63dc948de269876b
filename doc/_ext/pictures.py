"""``.. picture::`` shows what the code above it on the page drew, ``.. live-map:: page`` an embedding map.

The code runs while the documentation is built, so no picture is kept in the repository.
"""

import doctest
import shutil
import warnings
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive, directives
from pages import Session

_DRAWN = "generated/pictures"  # under the folder of the pages: git ignores it


class _Drawing(Directive):
    """A directive that needs the page's code up to its own line to have run."""

    def session(self):
        """Run the examples between the last such directive and this one, in the namespace of the page."""
        env = self.state.document.settings.env
        kept = env.temp_data.setdefault("pictures", {"session": Session(env.docname), "done": 0})
        page = Path(env.doc2path(env.docname))
        for example in doctest.DocTestParser().get_examples(page.read_text("utf-8")):
            if kept["done"] <= example.lineno < self.lineno:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    kept["session"].run(example)
        kept["done"] = self.lineno
        return env, kept["session"]

    def file(self, env, suffix):
        """A file for what this directive shows."""
        name = f"{env.docname.replace('/', '-')}-{self.lineno}{suffix}"
        folder = Path(env.app.srcdir) / _DRAWN
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name


class Picture(_Drawing):
    """The figures that the examples above left open."""

    option_spec = {"alt": directives.unchanged_required, "width": directives.unchanged}

    def run(self):
        """Make the nodes."""
        import matplotlib.pyplot as plt

        plt.close("all")
        env, _ = self.session()
        if not plt.get_fignums():
            raise self.error("the code above draws no picture")
        made = []
        for number in plt.get_fignums():
            path = self.file(env, f"-{number}.png")
            plt.figure(number).savefig(path, dpi=144, bbox_inches="tight")
            width = min(float(plt.figure(number).get_figwidth()) * 96, 760)
            made.append(_image(path, self.options["alt"], self.options.get("width", f"{width:.0f}px")))
        plt.close("all")
        return made


class LiveMap(_Drawing):
    """The page that :func:`skmetric.inspection.embedding_map` wrote, in a frame: it is one file."""

    required_arguments = 1  # the name that holds its path
    option_spec = {"height": directives.nonnegative_int}

    def run(self):
        """Make the nodes."""
        env, session = self.session()
        path = self.file(env, ".html")
        shutil.copy(session.names[self.arguments[0]], path)
        target = Path(env.app.outdir) / "_static" / "maps" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
        up = "../" * env.docname.count("/")
        source = f"{up}_static/maps/{path.name}"
        height = self.options.get("height", 560)
        frame = (
            f'<iframe class="live-map" src="{source}" height="{height}" loading="lazy" title="Embedding map">'
            f'</iframe><p><a href="{source}">Open the map in a window of its own</a></p>'
        )
        return [nodes.raw("", frame, format="html")]


class Drawn(Directive):
    """What the example in the docstring of a Display draws; nothing for other classes."""

    required_arguments = 1

    def run(self):
        """Make the nodes."""
        module, _, name = self.arguments[0].rpartition(".")
        if module != "skmetric.inspection" or not name.endswith("Display"):
            return []
        import inspect

        import matplotlib.pyplot as plt

        import skmetric.inspection

        env = self.state.document.settings.env
        session = Session(self.arguments[0])
        plt.close("all")
        for example in doctest.DocTestParser().get_examples(
            inspect.getdoc(getattr(skmetric.inspection, name)) or ""
        ):
            session.run(example)
        if not plt.get_fignums():
            raise self.error(f"the example of {name} draws no picture")
        folder = Path(env.app.srcdir) / _DRAWN
        folder.mkdir(parents=True, exist_ok=True)
        plt.gcf().savefig(folder / f"{name}.png", dpi=144, bbox_inches="tight")
        plt.close("all")
        return [_image(folder / f"{name}.png", f"What the example above draws: {name}", "560px")]


def _image(path, alt, width):
    return nodes.image("", uri=f"/{_DRAWN}/{path.name}", alt=alt, width=width, classes=["drawn"])


def copy_maps(app, exception):
    """Maps of pages that were not read again, where the folder of static files was emptied."""
    if exception is None and app.builder.format == "html":
        for path in (Path(app.srcdir) / _DRAWN).glob("*.html"):
            target = Path(app.outdir) / "_static" / "maps" / path.name
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)


def setup(app):
    """Register the directives."""
    for name, directive in {"picture": Picture, "live-map": LiveMap, "drawn": Drawn}.items():
        app.add_directive(name, directive)
    app.connect("build-finished", copy_maps)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
