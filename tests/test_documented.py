"""In notebooks estimators show their state and lead to their page; results are tables, labels no markup."""

import inspect
import tomllib
from importlib import import_module, metadata
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sphinx.ext.autosummary.generate import find_autosummary_in_files

from skmetric import MetricLearner, SimilaritySearch
from skmetric._documented import DocumentedMixin, documentation_address
from skmetric.deep.losses import TripletMarginLoss
from skmetric.metrics import retrieval_report, verification_report

DOC = Path(__file__).parents[1] / "doc"
EVIL = "<script>alert(1)</script>"


def documented_estimators():
    """Page, as autosummary names it, and class of each estimator that the reference lists."""
    found = {}
    for entry in find_autosummary_in_files([str(DOC / "api.rst")]):
        folder, module = Path(entry.path).relative_to(DOC).as_posix(), import_module(entry.name)
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isclass(thing) and issubclass(thing, BaseEstimator) and not inspect.isabstract(thing):
                # the page of a module lists its names in the same folder; a page is named by the full name
                found[f"{folder}/{entry.name}.{name}.html"] = thing
    return found


PAGES = documented_estimators()


def link_of(kind):
    """Link of a class: it needs no parameters."""
    return BaseEstimator._get_doc_link(object.__new__(kind))


@pytest.fixture
def address(monkeypatch):
    """An address, whatever is installed."""
    monkeypatch.setattr("skmetric._documented.documentation_address", lambda: "https://somewhere/en/")
    return "https://somewhere/en/"


def test_the_address_is_that_of_the_metadata():
    pyproject = tomllib.loads((DOC.parent / "pyproject.toml").read_text("utf-8"))
    assert documentation_address() == pyproject["project"].get("urls", {}).get("Documentation", ""), (
        "the installed metadata are older than pyproject.toml: pip install -e . once more"
    )


@pytest.mark.parametrize("page", PAGES)
def test_an_estimator_links_to_the_page_that_autosummary_makes(page, address):
    assert link_of(PAGES[page]) == address + page
    built = DOC / "_build"
    if built.exists():
        assert (built / page).exists()


def test_every_public_estimator_has_a_page():
    names = {kind.__name__ for kind in PAGES.values()}
    assert {"MetricLearner", "DeepMetricLearner", "FrozenFeatures", "SimilaritySearch", "ExactIndex"} <= names
    assert {"TripletMarginLoss", "SiameseLearner", "KReciprocal"} <= names


def test_the_html_of_an_estimator_shows_its_state_and_the_link(address):
    learner = MetricLearner()
    assert f"{address}generated/skmetric.linear.MetricLearner.html" in learner._repr_html_()
    assert "Not fitted" in learner._repr_html_()
    learner.fit(np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 4)
    assert "Not fitted" not in learner._repr_html_()
    assert "skmetric.deep.losses.TripletMarginLoss.html" in TripletMarginLoss()._repr_html_()


def test_a_class_of_someone_else_has_no_link(address):
    class Theirs(MetricLearner):
        pass

    assert link_of(Theirs) == ""


@pytest.fixture
def no_cache():
    documentation_address.cache_clear()
    yield
    documentation_address.cache_clear()


def test_without_an_address_there_is_no_link(no_cache, monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "metadata", missing)
    assert documentation_address() == ""
    assert link_of(MetricLearner) == ""


def test_the_mixin_stands_left_of_the_base():
    for kind in PAGES.values():
        assert kind.__mro__.index(DocumentedMixin) < kind.__mro__.index(BaseEstimator)


# Results


@pytest.fixture(scope="module")
def search():
    X = np.repeat(np.arange(12.0), 2)[:, None] + np.tile([0, 0.1], 12)[:, None]
    labels = np.repeat([EVIL, "plain", "other"], 8)
    search = SimilaritySearch().fit(X, labels, ids=[f"{EVIL}{i}" for i in range(24)])
    with pytest.warns(UserWarning, match="near-duplicates"):
        search.calibrate(targets={EVIL: ("false_accept_rate", 0.5)})
    return search


RESULTS = {
    "Calibration": lambda search: search.calibration_,
    "Evaluation": lambda search: search.evaluate([[0.2], [50.0]], [EVIL, "plain"]),
    "LookupTable": lambda search: search.lookup([[0.2]]),
    "Duplicates": lambda search: search.duplicates(0.2),
    "RetrievalReport": lambda search: retrieval_report(
        np.arange(8.0)[:, None], [EVIL, "plain"] * 4, per_class=True
    ),
    "VerificationReport": lambda search: verification_report([0.1, 0.3, 0.2, 0.9], [1, 1, 0, 0]),
}


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_is_a_table_as_text_and_as_html(search, name):
    result = RESULTS[name](search)
    assert type(result).__name__ == name
    lines = repr(result).splitlines()
    assert len(lines) > 2
    assert len({len(line) for line in lines[:2]}) == 1  # columns are padded
    html = result._repr_html_()
    assert html.startswith("<table><thead><tr>")
    assert html.count("<tr>") >= 2
    assert "<script>" not in html


@pytest.mark.parametrize("name", ["Calibration", "LookupTable", "Duplicates", "RetrievalReport"])
def test_labels_ids_and_names_are_shown_and_escaped(search, name):
    result = RESULTS[name](search)
    assert EVIL in repr(result)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in result._repr_html_()


def test_duplicates_print_the_nearest_pairs_and_count_the_rest(search):
    printed = repr(search.duplicates(0.2))
    assert printed.splitlines()[-1] == "12 pairs, the 10 nearest of them above, in 12 groups"
    assert repr(search.duplicates(0.0)).splitlines() == ["first  second  distance", "", "0 pairs in 0 groups"]
