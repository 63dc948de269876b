"""Each example runs in its small form, draws, and says what is so: what its text claims, a check holds to."""

import re
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

matplotlib = pytest.importorskip("matplotlib")
plt = pytest.importorskip("matplotlib.pyplot")

EXAMPLES = Path(__file__).parents[1] / "examples"
FILES = {path.stem: path for path in sorted(EXAMPLES.rglob("*.py"))}
SLOW = {"cifar10_tutorial", "faces_never_seen", "omniglot_one_shot"}  # more than a few seconds
WITHOUT_PICTURE = {"main_job"}  # it writes a file


@pytest.fixture
def in_the_gallery(monkeypatch, tmp_path):
    """Run an example as the documentation does: no arguments, another directory, no window."""
    monkeypatch.chdir(tmp_path)
    backend = matplotlib.get_backend()
    plt.switch_backend("agg")

    def run(path):
        monkeypatch.setattr(sys, "argv", [str(path)])
        return runpy.run_path(str(path), run_name="__main__")

    yield run
    plt.close("all")
    plt.switch_backend(backend)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in FILES]
)
def test_example(name, in_the_gallery, tmp_path, capsys):
    if name == "main_job":
        with pytest.raises(SystemExit, match=r"^0$"):  # the second process agreed
            in_the_gallery(FILES[name])
        names = {}
    else:
        names = in_the_gallery(FILES[name])
        assert plt.get_fignums()
        assert not list(tmp_path.iterdir())
    printed = capsys.readouterr().out
    assert printed
    if check := globals().get(f"check_{name}"):
        check(SimpleNamespace(**names), printed)


def test_every_check_has_an_example():
    checks = {name.removeprefix("check_") for name in globals() if name.startswith("check_")}
    assert checks - {*FILES} == set()


def test_files_named_elsewhere_exist():
    root = EXAMPLES.parent
    pages = [
        *root.glob("*.md"),
        *root.glob("changes/*.md"),
        *root.glob("doc/*.rst"),
        *root.glob("doc/guide/*.rst"),
    ]
    pages += [*root.glob("benchmarks/*"), *root.glob("skmetric/**/*.py"), EXAMPLES / "README.rst"]
    named = {
        name: page.name
        for page in pages
        if page.is_file()
        for name in re.findall(r"examples/[\w/]+\.py", page.read_text("utf-8"))
    }
    assert {name: page for name, page in named.items() if not (root / name).exists()} == {}


# What the texts claim


def numbers(line):
    return [float(number) for number in re.findall(r"\d*\.\d+|\d+(?=%)", line)]
