"""A page that would fetch a script, a style or a picture from elsewhere is a warning: it ends the build."""

import re

from sphinx.util import logging

logger = logging.getLogger(__name__)
_LOADED = re.compile(r"<(?:script|img|iframe|link|source)\b[^>]*?(?:src|href)=\"([^\"]+)")


def warn_of_foreign(app, pagename, templatename, context, doctree):
    """Look through what a page loads when it is opened; what it links to may be anywhere."""
    files = [str(file.filename) for file in (*context["script_files"], *context["css_files"])]
    inside = _LOADED.findall(context.get("body", ""))
    for address in (*files, *inside):
        if re.match(r"(https?:)?//", address):
            logger.warning("%s loads %s, which a reader without a network has not", pagename, address)


def setup(app):
    """Register the check, after all that add files to a page."""
    app.connect("html-page-context", warn_of_foreign, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
