"""Documentation, built without a network: ``sphinx-build -W -b html doc doc/_build``."""

import os
import re
import sys
from pathlib import Path

import skmetric

os.environ["MPLBACKEND"] = "Agg"
sys.path.insert(0, str(Path(__file__).parent))  # gallery_warnings

project = "skmetric"
author = "The skmetric developers"
copyright = "The skmetric developers"
release = skmetric.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

# a page for each module lists its __all__: a new public name appears by existing
autosummary_generate = True
autosummary_generate_overwrite = True
autosummary_imported_members = True
autosummary_ignore_module_all = False
numpydoc_show_class_members = False  # the class template does it

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "subsection_order": ["../examples/metric", "../examples/search", "../examples/networks"],
    "within_subsection_order": "FileNameSortKey",
    # main_job.py starts a process: it is shown, not run
    "filename_pattern": r"/(?!main_job)\w+\.py$",
    "reset_modules": ("matplotlib", "gallery_warnings.reset"),
    "reset_modules_order": "both",
    "doc_module": ("skmetric",),
    "backreferences_dir": "gallery/backreferences",  # which examples use a name: the class template
    "log_level": {"backreference_missing": "debug"},  # most names are in no example
    "ignore_repr_types": r"matplotlib|skmetric\.inspection|skmetric\.search",  # a picture says it
    "min_reported_time": 5,
    "write_computation_times": False,
    "download_all_examples": False,
    "show_signature": False,
    "remove_config_comments": True,
    "image_srcset": ["2x"],
}

html_theme = "pydata_sphinx_theme"
html_title = "skmetric"
html_theme_options = {
    "show_prev_next": False,
    "navigation_with_keys": False,
    "secondary_sidebar_items": {"**": ["page-toc", "sourcelink"], "gallery/**": []},  # code needs the width
}


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
