import sys

import numpy as np
import pytest

from skmetric.datasets import _characters, make_glyphs

pytest.importorskip("matplotlib")
pytest.importorskip("PIL")


@pytest.fixture(scope="module")
def glyphs():
    return make_glyphs(n_classes=12, samples_per_class=14, image_size=20, random_state=0)


def test_shapes_and_types(glyphs):
    assert glyphs.images.shape == (12 * 14, 20, 20)
    assert glyphs.images.dtype == np.uint8
    assert glyphs.target.tolist() == [code for code in range(12) for _ in range(14)]
    assert glyphs.target_names.shape == glyphs.scripts.shape == (12,)
    assert "168 grey images of 12 characters, 20 by 20 pixels" in glyphs.DESCR


def test_the_same_seed_draws_the_same_and_another_draws_others(glyphs):
    again = make_glyphs(12, 14, image_size=20, random_state=0)
    other = make_glyphs(12, 14, image_size=20, random_state=1)
    np.testing.assert_array_equal(again.images, glyphs.images)
    assert other.target_names.tolist() != glyphs.target_names.tolist()


def test_a_smaller_set_is_part_of_a_larger_one(glyphs):
    small = make_glyphs(5, 3, image_size=20, random_state=0)
    assert small.target_names.tolist() == glyphs.target_names[:5].tolist()
    within = glyphs.images.reshape(12, 14, 20, 20)[:5, :3]
    np.testing.assert_array_equal(small.images.reshape(within.shape), within)


def test_each_image_holds_a_whole_character(glyphs):
    ink = glyphs.images.reshape(len(glyphs.images), -1).astype(float)
    assert (ink.max(axis=1) > 150).all()
    rows, columns = glyphs.images[:, [0, -1]], glyphs.images[:, :, [0, -1]]
    assert (np.maximum(rows.max(axis=(1, 2)), columns.max(axis=(1, 2))) > 0).mean() < 0.05  # none is cut off
    assert len(np.unique(ink, axis=0)) == len(ink)


def test_no_two_characters_look_alike():
    """A, Alpha and the Cyrillic A are one picture: the Latin letter comes first by code point."""
    names = set(_characters.distinct_characters().names)
    assert {"A", "O", "Ж", "Γ", "Ա", "ა", "7", "€"} <= names
    assert names.isdisjoint("\N{GREEK CAPITAL LETTER ALPHA}\N{CYRILLIC CAPITAL LETTER A}")
    assert names.isdisjoint("\N{GREEK CAPITAL LETTER OMICRON}\N{CYRILLIC CAPITAL LETTER O}")
    assert names.isdisjoint("ÀÉñ.,\N{NO-BREAK SPACE}│█")  # accents, what has no shape, pieces of frames


def test_scripts_by_hand():
    found = _characters.distinct_characters()
    script = dict(zip(found.names, found.scripts, strict=True))
    expected = {"A": "Latin", "Ж": "Cyrillic", "Γ": "Greek", "Ա": "Armenian", "ა": "Georgian", "7": "Digit"}
    assert {name: script[name] for name in expected} == expected
    assert script["€"] == script["→"] == "Symbol"
    assert set(found.scripts) == set(_characters.SCRIPTS)


def test_every_face_has_every_character():
    """A character that a face lacks would be drawn as an empty box, another class for the eye."""
    from matplotlib.ft2font import FT2Font

    wanted = set(map(ord, _characters.distinct_characters().names))
    for name in _characters.FACES:
        assert wanted <= set(FT2Font(str(_characters._file(name))).get_charmap())


def test_too_many_classes_are_refused_with_their_number():
    available = len(_characters.distinct_characters().names)
    assert 600 < available < 1000
    with pytest.raises(ValueError, match=f"n_classes=5000, but only {available} characters"):
        make_glyphs(5000)


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_classes", 0), ("n_classes", 2.5), ("samples_per_class", 0), ("image_size", 4), ("image_size", 1000)],
)
def test_numbers_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of make_glyphs"):
        make_glyphs(**{name: value})


def test_without_the_fonts(monkeypatch):
    """Distributions pack matplotlib without its fonts."""
    monkeypatch.setattr(_characters, "FACES", ("DejaVuMissing.ttf",))
    _characters.distinct_characters.cache_clear()
    with pytest.raises(FileNotFoundError, match=r"DejaVuMissing.ttf.*install matplotlib anew"):
        make_glyphs(3)


@pytest.mark.parametrize(
    ("package", "module", "remedy"),
    [
        ("PIL", "PIL.ImageFont", "pip install pillow"),
        ("matplotlib", "matplotlib.ft2font", r"pip install 'skmetric\[plot\]'"),
    ],
)
def test_without_a_package_the_error_names_the_installation(monkeypatch, package, module, remedy):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, package, None)
    _characters.distinct_characters.cache_clear()
    with pytest.raises(ImportError, match=f"make_glyphs needs the package '{package}': .*{remedy}"):
        make_glyphs(3)
