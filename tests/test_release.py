"""The release script: versions, links of the README, and what the declared lowest versions are."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest
import release


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("![A](doc/a.png)", "![A](https://x.example/blob/doc/a.png)"),
        ("[b](SECURITY.md)", "[b](https://x.example/blob/SECURITY.md)"),
        ("[c](https://scikit-learn.org)", "[c](https://scikit-learn.org)"),
        ("[d](#install)", "[d](#install)"),
    ],
)
def test_links_of_a_readme_are_absolute_on_a_package_index(text, expected):
    assert release.absolute(text, "https://x.example/blob/") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("![A chart](doc/a.png)", "*A chart*"),
        ("see [b](SECURITY.md).", "see b."),
        ("[c](https://scikit-learn.org)", "[c](https://scikit-learn.org)"),
    ],
)
def test_no_link_of_a_readme_is_dead_where_the_project_has_no_address(text, expected):
    assert release.without_links(text) == expected


def test_a_readme_on_a_package_index_speaks_to_those_who_install_it(tmp_path):
    packed = tmp_path / "README.md"
    packed.write_text((Path(__file__).parents[1] / "README.md").read_text("utf-8"), "utf-8")
    release.pack_readme(packed, None)
    text = packed.read_text("utf-8")
    assert [
        word for word in ("clone", "pip install -e", ".rst", "main_job", "](doc", "`doc/") if word in text
    ] == []
    assert text.count('pip install "skmetric[vision,plot]"') == 1


def test_the_environment_of_a_wheel_finds_the_packages_of_this_one(tmp_path):
    """From a virtual environment too, whose packages ``--system-site-packages`` does not show."""
    venv.create(tmp_path, symlinks=True)
    python = tmp_path / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    release.use_packages_at_hand(python)
    subprocess.run([str(python), "-I", "-c", "import sklearn, torch.version"], check=True)


def test_the_version_is_written_in_both_places(monkeypatch, tmp_path):
    (tmp_path / "skmetric").mkdir()
    (tmp_path / "skmetric" / "__init__.py").write_text('"""Doc."""\n\n__version__ = "0.1.0"\n', "utf-8")
    (tmp_path / "CITATION.cff").write_text("cff-version: 1.2.0\nversion: 0.1.0\n", "utf-8")
    monkeypatch.setattr(release, "ROOT", tmp_path)
    release.write_version("0.2.0")
    assert (tmp_path / "skmetric" / "__init__.py").read_text("utf-8").endswith('__version__ = "0.2.0"\n')
    assert (tmp_path / "CITATION.cff").read_text("utf-8") == "cff-version: 1.2.0\nversion: 0.2.0\n"
