"""Code in the documentation runs, and prints what stands there."""

import doctest
import pkgutil
import re
import tomllib
from pathlib import Path

import charts
import pages
import pytest
import readings
import release_notes

import skmetric

DOC = Path(__file__).parents[1] / "doc"
FOLDERS = (".", "guide", "migration")  # the others are generated
PAGES = sorted(path.relative_to(DOC) for folder in FOLDERS for path in (DOC / folder).glob("*.rst"))


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_page_runs(page):
    if "fastapi" in (text := (DOC / page).read_text("utf-8")):
        pytest.importorskip("fastapi")
    assert pages.run(text, str(page)) == 0


@pytest.mark.parametrize(
    ("want", "got", "right"),
    [
        ("recall 0.93  [0.90, 0.95]\n", "recall 0.94 [0.91, 0.96]\n", True),
        ("recall 0.93\n", "recall 0.99\n", False),
        ("recall 0.93\n", "precision 0.93\n", False),
        ("12 of 13\n", "11 of 13\n", False),  # counts are exact
        ("100.0 ms\n", "104.0 ms\n", True),  # relative above 1
        ("0.5 0.5\n", "0.5\n", False),
    ],
)
def test_numbers_may_differ_a_little_and_text_may_not(want, got, right):
    assert pages.Tolerant().check_output(want, got, pages.FLAGS) == right


def test_recording_writes_what_the_code_prints():
    text = "A page.\n\n>>> 1.5 + 1\n7\n>>> x = 2\n>>> print(x)\n>>> print('a\\n\\nb')\nold\n\nEnd.\n"
    now = pages.recorded(text, "page")
    assert now.startswith("A page.\n\n>>> 1.5 + 1\n2.5\n>>> x = 2\n>>> print(x)\n2\n>>> print(")
    assert now.endswith(")\na\n<BLANKLINE>\nb\n\nEnd.\n")


def test_no_output_is_a_bare_truth_value():
    """A reader learns nothing from it: show the number, the table, the picture."""
    files = [*(DOC / page for page in PAGES), *(DOC.parent / "skmetric").rglob("*.py")]
    bare = [
        f"{path.name}: {example.source.strip()}"
        for path in files
        for example in doctest.DocTestParser().get_examples(_code_of(path))
        if example.want.strip() in ("True", "False")
    ]
    assert bare == []


def _code_of(path):
    """A page, or the docstrings of a module one after the other."""
    text = path.read_text("utf-8")
    return text if path.suffix == ".rst" else "\n\n".join(re.findall(r'"""(.*?)"""', text, flags=re.DOTALL))


def test_every_guide_page_shows_a_result_or_a_picture():
    without = [
        str(page)
        for page in PAGES
        if page.parts[0] == "guide" and page.stem != "index"
        if not re.search(
            r"^\.\. (picture|live-map|finding|measured)::", text := (DOC / page).read_text("utf-8"), re.M
        )
        and not any(example.want for example in doctest.DocTestParser().get_examples(text))
    ]
    assert without == []


def test_every_display_is_drawn():
    from skmetric import inspection

    text = "".join((DOC / page).read_text("utf-8") for page in PAGES)
    code = text.split(".. picture::")[:-1]
    displays = [name for name in inspection.__all__ if name.endswith("Display")]
    assert [name for name in displays if not any(f"import {name}" in block for block in code)] == []
    assert ".. live-map::" in text


def test_the_reference_lists_the_names_of_every_public_module():
    walked = pkgutil.walk_packages(skmetric.__path__, "skmetric.")
    modules = [module.name for module in walked if "._" not in module.name]
    text = (DOC / "api.rst").read_text("utf-8")
    assert sorted(re.findall(r"^\.\. names:: (\S+)$", text, re.M)) == sorted(modules)
    assert sorted(re.findall(r"^   (skmetric\.\S+)$", text, re.M)) == sorted(modules)  # with a page each


def test_an_example_shows_first_what_it_gives_on_real_data():
    without = [
        path.stem
        for path in (DOC.parent / "examples").glob("*/*.py")
        if '"--full"' in (text := path.read_text("utf-8"))
        and not re.search(r"^\.\. (measured:: examples/|finding:: )", text.split('"""')[1], re.M)
    ]
    assert without == []


def test_each_recorded_example_is_of_an_example_that_shows_it():
    recorded = {path.stem for path in (DOC / "measured" / "examples").glob("*.txt")}
    pages = "".join(path.read_text("utf-8") for path in (DOC.parent / "examples").glob("*/*.py"))
    assert recorded == set(re.findall(r"^\.\. measured:: examples/(\w+)$", pages, re.M))


@pytest.mark.parametrize("name", readings.SENTENCES)
def test_a_recorded_benchmark_has_a_sentence_with_its_numbers(name):
    assert re.search(r"\d", readings.sentence(name))


@pytest.mark.parametrize("name", charts.CHARTS)
def test_a_recorded_benchmark_has_a_chart(name):
    figure = charts.CHARTS[name](readings.text_of(name))
    assert len(figure.axes[0].patches) + len(figure.axes[0].lines) >= 3


def test_a_chart_shows_no_score_that_was_not_measured():
    """A bar of 0.00 would be a score."""
    figure = charts.bars({"a": (0.5, None)}, ("x", "y"), "", "")
    assert [text.get_text() for text in figure.axes[0].texts] == ["0.50", "not run"]


def test_curves_end_below_the_upper_edge():
    for axes in charts.how_many(readings.text_of("how_many")).axes:
        assert axes.get_ylim()[1] > 1.05 * max(max(line.get_ydata()) for line in axes.lines)


def test_readings_by_hand():
    head, rows = (
        "a_set, first: 9 x 2, 3 classes",
        "  cosine  0.5 [0.4, 0.6]\n  MetricLearner()  0.6 [0.5, 0.7]",
    )
    text = f"{head}\n{rows}\n"
    assert readings.quality(text) == {"a_set": {"cosine": 0.5, "MetricLearner()": 0.6}}
    assert readings.gain(readings.quality(text)["a_set"]) == pytest.approx(0.2)
    row = "set   0.9 / 0.8 = 0.55 0.7 / 0.1 = 0.8 0.7 / 0.1 = 0.8"
    assert readings.open_set(row) == {"set": {"closed": (0.9, 0.8), "open": (0.7, 0.1)}}


def test_a_loss_is_better_where_its_interval_lies_above():
    """A gain of 0.01 within intervals of 0.1 is none."""
    start = "  cosine, untrained  0.5 [0.4, 0.6]\n  MetricLearner()  0.6 [0.5, 0.7]\n"
    text = f"a, linear, seed 0: 9\n{start}  triplet  0.61 [0.5, 0.7]\nb, linear, seed 0: 9\n{start}"
    assert "on 1 of 2 sets: b." in readings.SENTENCES["which_loss"](f"{text}  triplet  0.8 [0.71, 0.9]\n")


def test_fragments_become_release_notes(tmp_path):
    (tmp_path / "1-a.added.md").write_text("A `thing`.\n", "utf-8")
    (tmp_path / "2-b.fixed.md").write_text("A fault,\nmended.\n", "utf-8")
    shown = release_notes.unreleased(tmp_path)
    assert "**Added**\n\n- A ``thing``.\n" in shown
    assert "- A fault, mended." in shown


def test_the_citation_has_the_version_of_the_package():
    cited = (DOC.parent / "CITATION.cff").read_text("utf-8")
    assert re.search(r"(?m)^version: (.+)$", cited)[1] == skmetric.__version__


def test_the_extra_all_is_for_users():
    extras = tomllib.loads((DOC.parent / "pyproject.toml").read_text("utf-8"))["project"][
        "optional-dependencies"
    ]
    assert "skmetric[all]" in extras["test"]
    tools = re.compile(r"pytest|ruff|mypy|sphinx|numpydoc|lint|pgserver|fastapi|playwright")
    named = re.findall(r"\w+", extras["all"][0].partition("[")[2])
    assert [line for name in named for line in extras[name] if tools.match(line)] == []
    clusters = {"dask", "ray"}  # large, and imported by joblib alone
    assert set(named) == set(extras) - {"all", "test", "doc", "dev"} - clusters


def test_there_are_pages_that_run():
    assert any(doctest.DocTestParser().get_examples((DOC / page).read_text("utf-8")) for page in PAGES)


def test_the_install_page_lists_every_extra():
    project = tomllib.loads((DOC.parent / "pyproject.toml").read_text("utf-8"))["project"]
    listed = re.findall(r"^   \* - ``(\w+)``$", (DOC / "install.rst").read_text("utf-8"), flags=re.MULTILINE)
    assert sorted(listed) == sorted(project["optional-dependencies"])


def test_every_benchmark_has_a_place():
    benchmarks = sorted(path.stem for path in (DOC.parent / "benchmarks").glob("*.py"))
    page = (DOC / "benchmarks.rst").read_text("utf-8")
    assert sorted(re.findall(r"^\.\. measured:: (\w+)$", page, flags=re.MULTILINE)) == benchmarks
    overview = (DOC.parent / "benchmarks" / "README.md").read_text("utf-8")
    assert sorted(re.findall(r"^- `python benchmarks/(\w+)\.py`", overview, flags=re.MULTILINE)) == benchmarks
