"""The check of built pages finds what does not fit, and nothing else."""

import os
import shutil

import overflow
import pytest

pytestmark = pytest.mark.skipif(
    not (shutil.which("chromium") or shutil.which("chromium-browser")) and "CI" not in os.environ,
    reason="no Chromium here: apt-get install chromium",
)


def test_faults_are_found_at_the_width_where_they_are(tmp_path):
    pages = {
        "wide.html": "<div style='width: 600px'>a table</div>",  # fits 1280 px, not 390
        "scrolls.html": "<div style='overflow-x: auto'><p style='width: 2000px'>code</p></div>",
        "cut.html": "<img src='nothing.png'>",
        "script.html": "<script>throw new Error('broken')</script>",
    }
    for name, body in pages.items():
        head = "<!doctype html><meta name='viewport' content='width=device-width'>"
        (tmp_path / name).write_text(f"{head}<main>{body}</main>", "utf-8")
    found = overflow.look(tmp_path, sorted(pages))
    assert {(name, width) for name, width, _ in found if name != "cut.html"} == {
        ("wide.html", 390),
        ("script.html", 1280),
    }
    assert {fault for name, _, fault in found if name == "cut.html"} == {"image nothing.png is not there"}


def test_some_pages_of_the_reference_and_all_others(tmp_path):
    for name in ("index.html", "guide/a.html", "generated/a.html", "generated/b.html", "_static/maps/m.html"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert overflow.pages_of(tmp_path, every=2) == ["guide/a.html", "index.html", "generated/a.html"]
