"""Code in the documentation runs, and prints what stands there."""

import doctest
from pathlib import Path

import pytest

DOC = Path(__file__).parents[1] / "doc"
PAGES = [path.relative_to(DOC) for path in sorted([*DOC.glob("*.rst"), *DOC.glob("guide/*.rst")])]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_page_runs(page):
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    result = doctest.testfile(str(DOC / page), module_relative=False, optionflags=flags, encoding="utf-8")
    assert result.failed == 0


def test_there_are_pages_that_run():
    assert any(doctest.DocTestParser().get_examples((DOC / page).read_text("utf-8")) for page in PAGES)
