"""Links from estimators to their pages: what a notebook shows of one leads to its documentation."""

from functools import cache

__all__ = ["DocumentedMixin", "documentation_address"]


class DocumentedMixin:
    """An estimator with a page in the documentation, to which scikit-learn's HTML representation links.

    It stands left of ``BaseEstimator``. A class of another package that derives from one of ours has no link.
    """

    _doc_link_module = "skmetric"

    @property
    def _doc_link_template(self):
        """Where autosummary puts the page; empty, and so no link, where no address is known."""
        address = documentation_address()
        return address and address + "generated/{estimator_module}.{estimator_name}.html"


@cache
def documentation_address():
    """Address of the published documentation, as the metadata of the installed package has it.

    Returns
    -------
    str
        With a slash at its end; empty if the package is not installed, or its metadata name none.
    """
    from importlib.metadata import PackageNotFoundError, metadata  # read when a notebook first asks

    try:
        urls = metadata("skmetric").get_all("Project-URL") or []
    except PackageNotFoundError:
        return ""
    named = dict(url.split(", ", 1) for url in urls)
    address = named.get("Documentation", "").rstrip("/")
    return address and address + "/"
