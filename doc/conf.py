"""Documentation, built without a network: ``sphinx-build -W -b html doc doc/_build``."""

import re

import skmetric

project = "skmetric"
author = "The skmetric developers"
copyright = "The skmetric developers"
release = skmetric.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.mathjax", "numpydoc"]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

# a page for each module lists its __all__: a new public name appears by existing
autosummary_generate = True
autosummary_generate_overwrite = True
autosummary_imported_members = True
autosummary_ignore_module_all = False
numpydoc_show_class_members = False  # the class template does it

html_theme = "pydata_sphinx_theme"
html_title = "skmetric"
html_theme_options = {"show_prev_next": False, "navigation_with_keys": False}


def skip_foreign(app, what, name, obj, skip, options):
    """Leave out methods inherited from scikit-learn: their docstrings refer to its own documentation."""
    module = getattr(obj, "__module__", None) or "skmetric"
    return skip or not module.startswith("skmetric")


def keep_underscores(app, what, name, obj, options, lines):
    """Keep ``of shape (n_features_in_,)`` as it is: a word that ends in an underscore is a link otherwise."""
    lines[:] = [
        re.sub(r"(?<=\w)_(?=[,)])", r"\\_", line) if " of shape (" in line else line for line in lines
    ]


def setup(app):
    """Register the hooks."""
    app.connect("autodoc-skip-member", skip_foreign)
    app.connect("autodoc-process-docstring", keep_underscores, priority=400)  # before numpydoc
