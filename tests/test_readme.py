"""The code of the README runs as it stands there, on small stand-ins and without a network."""

import ast
import doctest
import re
from pathlib import Path

import draw
import numpy as np
import pytest
from torch import nn

import skmetric

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def stand_ins():
    """What the README takes for granted: images with labels, features, a gallery with names, new people."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(10), 6)
    features = rng.normal(size=(10, 8))[y] + rng.normal(size=(60, 8)) / 4
    new = features[:6] + 4  # of nobody in the gallery
    names = np.array([f"person {label}" for label in y])
    return {
        "images": rng.integers(0, 256, (60, 8, 8, 3), dtype=np.uint8),
        "features": features,
        "y": y,
        "gallery": features[:54],
        "names": names[:54],
        "queries": features[54:],
        "new": new,
        "new_names": np.repeat("somebody", 6),
    }


@pytest.fixture
def no_download(monkeypatch):
    """Build a small network where timm would be asked for one."""
    monkeypatch.setattr(
        "skmetric._backbone._build._build_timm", lambda name, pretrained, model_kwargs: nn.Conv2d(3, 4, 3)
    )


BLOCKS = re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", README, flags=re.DOTALL)


def test_the_ten_lines_are_those_of_the_documentation():
    """There they run, test_documentation.py: twice would take twice the time."""
    code, shown = BLOCKS[0]
    page = doctest.DocTestParser().get_examples((ROOT / "doc" / "index.rst").read_text("utf-8"))
    assert ast.dump(ast.parse(code)) == ast.dump(ast.parse("".join(example.source for example in page)))
    assert shown == "".join(example.want for example in page)


def test_python_runs(no_download):
    names = stand_ins()
    for block, _ in BLOCKS[1:]:
        exec(compile(block, "README.md", "exec"), names)
    assert names["knn"].predict(names["images"]).shape == (60,)
    assert names["tuned"].best_score_ > 0.5
    assert names["search"].predict(names["new"]).tolist() == ["somebody"] * 6  # enrolled in the last line


def test_the_table_lists_each_subpackage_and_names_that_exist():
    there = "".join(re.findall(r"^\| (`.*?) \|", README, flags=re.MULTILINE))
    listed = set(re.findall(r"`skmetric\.(\w+)`", there))
    named = {name for name in re.findall(r"`(\w+)`", there) if hasattr(skmetric, name)}
    subpackages = {name for name in skmetric.__all__ if name.islower()}
    assert listed | {"features", "linear"} == subpackages
    assert named >= {name for name in skmetric.__all__ if not name.islower()}


def test_files_it_names_exist():
    named = re.findall(r"(?:`| )((?:examples|benchmarks|doc)/[\w./]*|[A-Z]+\.md)", README)
    assert named
    assert [name for name in named if name != "doc/_build" and not (ROOT / name).exists()] == []


def test_the_chart_of_gains_is_drawn_from_what_was_recorded_last():
    """``python doc/draw.py`` draws it again."""
    image = pytest.importorskip("PIL.Image")
    drawn_from = image.open(ROOT / "doc" / "_static" / "gains.png").text["Comment"]
    assert drawn_from == draw.digest()
