"""Formulas as MathML, which browsers draw themselves: no script and no font is fetched."""

import re

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

logger = logging.getLogger(__name__)


def visit_math(self, node):
    """Write a formula inside a line."""
    self.body.append(_mathml(node, as_block=False))
    raise nodes.SkipNode


def visit_displaymath(self, node):
    """Write a formula on lines of its own."""
    self.body.append(self.starttag(node, "div", CLASS="math"))
    self.body.append(_mathml(node, as_block=True) + "</div>")
    raise nodes.SkipNode


def _mathml(node, as_block):
    tex = re.sub(r"(frac)(\d)(?=\d)", r"\1{\2}", node.astext())  # else 12 of \frac12 is on top
    try:
        return tex2mathml(tex, as_block=as_block)
    except MathError as error:
        logger.warning("no MathML of %r: %s", node.astext(), error, location=node)
        return ""


def setup(app):
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_displaymath, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
