"""Code in the documentation runs, and prints what stands there."""

import doctest
import re
import tomllib
from pathlib import Path

import pytest

DOC = Path(__file__).parents[1] / "doc"
FOLDERS = (".", "guide", "migration")  # the others are generated
PAGES = sorted(path.relative_to(DOC) for folder in FOLDERS for path in (DOC / folder).glob("*.rst"))


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_page_runs(page):
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    result = doctest.testfile(str(DOC / page), module_relative=False, optionflags=flags, encoding="utf-8")
    assert result.failed == 0


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
    assert (
        sorted(re.findall(r"^\| `python benchmarks/(\w+)\.py`", overview, flags=re.MULTILINE)) == benchmarks
    )
