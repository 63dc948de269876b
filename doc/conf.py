"""Documentation, built without a network: ``sphinx-build -W -b html doc doc/_build``."""

import os
import re
import sys
from pathlib import Path

import skmetric

os.environ["MPLBACKEND"] = "Agg"
sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "skmetric"
author = "The skmetric developers"
copyright = "The skmetric developers"
release = skmetric.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_design",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "mathml",
    "measured",
    "charts",
    "pictures",
    "names",
    "release_notes",
    "contributing",
    "offline",
]
exclude_patterns = ["_build", "generated/pictures"]
templates_path = ["_templates"]
html_math_renderer = "mathml"  # a script would come from another server

# a page for each module lists its __all__: a new public name appears by existing
autosummary_generate = True
autosummary_generate_overwrite = True
autosummary_imported_members = True
autosummary_ignore_module_all = False
toc_object_entries_show_parents = "hide"
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
    "ignore_repr_types": r"matplotlib|skmetric\.inspection",  # the picture is there
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
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    # none on pages of the gallery, where code needs the width; two patterns must not match one page
    "secondary_sidebar_items": {"[!g]**": ["page-toc"], "g[!a]**": ["page-toc"], "ga**": []},
}
html_static_path = ["_static"]
html_css_files = ["skmetric.css"]
# pages of their own: no list of neighbours beside them
_SINGLE = ("index", "install", "tour", "faq", "glossary", "metrics", "benchmarks", "gpu", "extending")
html_sidebars = {page: [] for page in (*_SINGLE, "release_notes", "cite")}
html_show_sourcelink = False


def skip_foreign(app, what, name, obj, skip, options):
    """Leave out methods inherited from scikit-learn: their docstrings refer to its own documentation."""
    module = getattr(obj, "__module__", None) or "skmetric"
    return skip or not module.startswith("skmetric")


def keep_underscores(app, what, name, obj, options, lines):
    """Keep ``of shape (n_features_in_,)`` as it is: a word that ends in an underscore is a link otherwise."""
    lines[:] = [
        re.sub(r"(?<=\w)_(?=[,)])", r"\\_", line) if " of shape (" in line else line for line in lines
    ]


def resolve_short(app, env, node, contnode):
    """Find ``skmetric.MetricLearner`` where it is documented, as ``skmetric.linear.MetricLearner``."""
    package, _, rest = node.get("reftarget", "").partition(".")
    name, _, method = rest.partition(".")
    if node.get("refdomain") != "py" or package != "skmetric" or not name[:1].isupper():
        return None
    public = ".".join(part for part in getattr(skmetric, name).__module__.split(".") if part[0] != "_")
    target = ".".join(filter(None, [public, name, method]))
    return env.domains["py"].resolve_xref(
        env, node["refdoc"], app.builder, node["reftype"], target, node, contnode
    )


def setup(app):
    """Register the hooks."""
    app.connect("missing-reference", resolve_short)
    app.connect("autodoc-skip-member", skip_foreign)
    app.connect("autodoc-process-docstring", keep_underscores, priority=400)  # before numpydoc
