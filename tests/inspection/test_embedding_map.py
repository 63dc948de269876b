"""The map in a real browser: it draws, explores, keeps to itself, and takes no text for markup."""

import json
import os
import shutil
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.utils import Bunch

from skmetric.inspection import embedding_map
from skmetric.inspection._embedding import project
from skmetric.inspection._map import _advice
from skmetric.retrieval import nearest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
FLAGS += ["--no-first-run", "--disable-component-update", "--disable-sync", "--enable-unsafe-swiftshader"]
EVIL = "<script>window.evil = 1</script><img src=x onerror='window.evil = 1'>"

# CI has a browser: there a missing one is a failure
needs_browser = pytest.mark.skipif(
    CHROMIUM is None and "CI" not in os.environ, reason="no Chromium here: apt-get install chromium"
)


@pytest.fixture(scope="module")
def digits():
    digits = load_digits()
    return Bunch(**{name: digits[name][:600] for name in ("data", "images", "target")})


@pytest.fixture(scope="module")
def names(digits):
    return np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", EVIL, "nine"])[
        digits.target
    ]


@pytest.fixture(scope="module")
def written(tmp_path_factory, digits, names):
    return embedding_map(
        digits.data, names, images=digits.images, texts=[EVIL] * len(names),
        metadata={"sum <b>": digits.data.sum(axis=1)}, ids=[f"d{i}" for i in range(len(names))],
        path=tmp_path_factory.mktemp("map") / "map.html", title=f"Digits {EVIL}", n_neighbors=5,
    )  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, written):
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    page.asked, page.complaints = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on(
        "console", lambda message: page.complaints.append(message.text) if message.type == "error" else None
    )
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.goto(written.as_uri())
    page.wait_for_selector("body[data-ready]")
    yield page
    page.close()


def place_of(page, row):
    """Where on the screen a sample is drawn."""
    return page.evaluate(
        """row => {
            const plot = document.getElementById("plot"), box = plot.getBoundingClientRect();
            const { xaxis: right, yaxis: down } = plot._fullLayout;
            const trace = plot.data.find((trace) => trace.customdata && trace.customdata.includes(row));
            const place = trace.customdata.indexOf(row);
            return [
                box.left + right._offset + right.l2p(trace.x[place]),
                box.top + down._offset + down.l2p(trace.y[place]),
            ];
        }""",
        row,
    )


def samples_of(page, what):
    """Rows of the samples in each trace that `what`, an expression of the trace, picks; sorted."""
    picked = page.evaluate(
        f"""() => document.getElementById("plot").data.filter((trace) => trace.customdata)
            .flatMap((trace) => ({what}).map((place) => trace.customdata[place]))"""
    )
    return sorted(picked)


@pytest.fixture(scope="module")
def alone(digits):
    """A sample that lies by itself on the map, so that the pointer meets no other."""
    from sklearn.decomposition import PCA

    points = PCA(2, random_state=0).fit_transform(digits.data)
    return int(nearest(points, k=1).distances[:, 0].argmax())


@needs_browser
def test_it_draws_every_sample(page, digits):
    assert samples_of(page, "[...trace.x.keys()]") == list(range(len(digits.data)))
    shot = np.asarray(Image.open(BytesIO(page.locator("#plot").screenshot())).convert("RGB")).reshape(-1, 3)
    blue = np.abs(shot.astype(int) - (0x00, 0x72, 0xB2)).sum(axis=1) < 120  # the first class, a little pale
    assert blue.sum() > 500  # pixels
    assert page.complaints == []


@needs_browser
def test_hover_shows_the_thumbnail(page, alone, names):
    page.mouse.move(*place_of(page, alone))
    page.wait_for_selector("#tip:not([hidden])")
    assert names[alone] in page.inner_text("#tip")
    assert f"id d{alone}" in page.inner_text("#tip")
    drawn = page.evaluate(
        """() => {
            const canvas = document.querySelector("#tip canvas");
            return new Set(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data).size;
        }"""
    )
    assert drawn > 5  # shades: a picture, no blank


@needs_browser
def test_click_shows_the_neighbors_in_the_embedding_space(page, alone, digits):
    page.mouse.click(*place_of(page, alone))
    page.wait_for_selector("#panel .sample")
    shown = [text.split("id d")[1].split()[0] for text in page.locator("#panel .sample").all_inner_texts()]
    expected = nearest(digits.data, k=5).indices[alone]
    assert [int(row) for row in shown] == [alone, *expected]


@needs_browser
def test_the_legend_has_the_color_and_the_mark_of_each_class(page):
    looks = page.evaluate(
        """() => [...document.querySelectorAll("#legend .swatch")].map(
            (swatch) => [swatch.textContent, getComputedStyle(swatch).color])"""
    )
    assert len({tuple(look) for look in looks}) == 10  # eight colours, two marks
    assert looks[0] == ["\N{BLACK CIRCLE}", "rgb(0, 114, 178)"]
    assert looks[8] == ["\N{BLACK SQUARE}", "rgb(0, 114, 178)"]


@needs_browser
def test_search_finds_a_label(page, names):
    page.fill("#search", "ThRe")
    expected = np.flatnonzero(names == "three").tolist()
    assert samples_of(page, "trace.selectedpoints") == expected
    assert page.inner_text("#found") == f"{len(expected)} samples in 1 class"


@needs_browser
def test_the_selection_is_exported(page, names):
    page.fill("#search", "four")
    with page.expect_download() as download:
        page.click("#export")
    ids = json.loads(download.value.path().read_text(encoding="utf-8"))
    assert ids == [f"d{row}" for row in np.flatnonzero(names == "four")]


@needs_browser
@pytest.mark.parametrize(("words", "rows"), [("d12", [12, *range(120, 130)]), ("sum", [])])
def test_search_finds_ids_and_metadata(page, words, rows):
    """Values are searched, names of columns are not."""
    page.fill("#search", words)
    assert samples_of(page, "trace.selectedpoints") == rows


@needs_browser
def test_search_finds_metadata_by_value(browser, tmp_path):
    path = embedding_map([[0, 0], [1, 1], [2, 2]], ["1", "2", "2"], path=tmp_path / "m.html",
                         metadata={"city": ["Bern", "Basel", "Genf"]})  # fmt: skip
    with browser.new_page() as page:
        page.goto(path.as_uri())
        page.wait_for_selector("body[data-ready]")
        page.fill("#search", "be")
        assert page.inner_text("#found") == "1 sample in 1 class"
        page.fill("#search", "0")  # a row number, which is no id of the user's
        assert page.inner_text("#found").startswith("0 samples")


@needs_browser
def test_classes_are_chosen_and_given_up_in_the_legend(page, names):
    """A second click on a class takes it out again (TensorBoard's projector: reload the page)."""
    buttons = page.locator("#legend button")
    labels = [text.split(" (")[0] for text in buttons.all_inner_texts()]
    nine, one = (labels.index(next(t for t in labels if t.endswith(name))) for name in ("nine", "one"))
    for clicked, expected in [(nine, ["nine"]), (one, ["nine", "one"]), (nine, ["one"])]:
        buttons.nth(clicked).click()
        assert samples_of(page, "trace.selectedpoints") == np.flatnonzero(np.isin(names, expected)).tolist()
    buttons.nth(one).click()
    assert page.evaluate("document.getElementById('plot').data[0].selectedpoints") is None  # nothing is pale
    assert page.is_disabled("#export")


@needs_browser
def test_a_neighbor_is_a_button_to_go_on_from(page, alone, digits):
    page.mouse.click(*place_of(page, alone))
    page.locator("#panel button.sample").nth(1).click()
    found = nearest(digits.data, k=5).indices
    shown = [text.split("id d")[1].split()[0] for text in page.locator("#panel .sample").all_inner_texts()]
    on = found[alone][1]
    assert [int(row) for row in shown] == [on, *found[on]]


@needs_browser
@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
def test_the_page_fits_the_screen(browser, written, size):
    """100 of a phone's 390 pixels were left to the plot."""
    width, height = size
    page = browser.new_page(viewport={"width": width, "height": height}, has_touch=True)
    page.goto(written.as_uri())
    page.wait_for_selector("body[data-ready]")
    plot = page.locator("#plot").bounding_box()
    assert plot["width"] >= min(width, 900)
    assert plot["height"] >= 0.4 * height
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("#legend button").last.scroll_into_view_if_needed()
    page.locator("#legend button").last.tap()
    assert page.inner_text("#found").endswith("in 1 class")
    page.close()


@needs_browser
def test_tapping_a_sample_on_a_phone_shows_its_neighbors(browser, written, alone):
    page = browser.new_page(viewport={"width": 390, "height": 844}, has_touch=True)
    page.goto(written.as_uri())
    page.wait_for_selector("body[data-ready]")
    page.touchscreen.tap(*place_of(page, alone))
    page.wait_for_selector("#panel .sample.large")
    assert f"id d{alone}" in page.inner_text("#panel .sample.large")
    page.close()


def test_the_page_says_where_two_axes_show_too_little():
    """Of digits they hold 29 % of the variance."""
    rng = np.random.RandomState(0)
    flat = np.hstack([rng.randn(30, 2) * 10, rng.randn(30, 3)])
    assert _advice((0.15, 0.14)).startswith("The two axes hold 29% of the variance")
    assert _advice(project(flat, "pca", 0)[1]) == _advice(None) == ""


@needs_browser
def test_the_lasso_selects_what_it_encloses(page):
    page.click("text=Draw around")
    box = page.locator("#plot .nsewdrag").first.bounding_box()
    corners = [(0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99), (0.01, 0.02)]
    places = [(box["x"] + fx * box["width"], box["y"] + fy * box["height"]) for fx, fy in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=8)
    page.mouse.up()
    page.wait_for_function("document.getElementById('found').textContent.includes('selected')")
    assert int(page.inner_text("#found").split()[0]) > 550  # of 600: the corners of the box stay outside
    page.locator("#legend button").first.click()  # what is chosen later counts
    assert page.inner_text("#found").endswith("samples in 1 class")
    page.click("text=Clear selection")
    assert page.inner_text("#found") == ""


@needs_browser
def test_text_is_never_markup(page, alone):
    page.mouse.click(*place_of(page, alone))
    page.wait_for_selector("#panel .sample")
    assert page.evaluate("window.evil") is None
    assert EVIL in page.inner_text("#panel")
    assert EVIL in page.inner_text("#legend")
    assert EVIL in page.inner_text("h1")
    assert page.locator("#panel img, #legend img, aside script").count() == 0


@needs_browser
def test_no_request_leaves_the_page(page, alone):
    page.mouse.click(*place_of(page, alone))
    page.fill("#search", "one")
    page.evaluate("fetch('https://example.org/').catch(() => null)")
    assert page.locator("[data-title*='Share'], [data-title*='cloud']").count() == 0
    assert [url for url in page.asked if not url.startswith(("file:", "data:", "blob:"))] == []


@needs_browser
@pytest.mark.slow
def test_fifty_thousand_samples_stay_fluid(browser, tmp_path):
    rng = np.random.RandomState(0)
    X = rng.randn(50_000, 2)
    labels = rng.randint(500, size=len(X))
    path = embedding_map(X, labels, path=tmp_path / "large.html")
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    page.goto(path.as_uri())
    page.wait_for_selector("body[data-ready]", timeout=120_000)
    page.fill("#search", "77")
    page.wait_for_function("document.getElementById('found').textContent.length > 0", timeout=60_000)
    expected = np.char.find(labels.astype(str), "77") >= 0
    assert page.inner_text("#found").split()[0] == str(expected.sum())
    page.close()


def test_nothing_is_asked_of_the_network(written):
    page = written.read_text(encoding="utf-8")
    head = page[: page.index('<script type="application/json"')]
    assert "connect-src 'none'" in head
    assert 'src="' not in head
    assert 'href="' not in head


def test_bad_input(tmp_path, digits):
    X = digits.data[:5]
    for name, value in {"labels": [1], "texts": ["a"], "images": digits.images[:2], "ids": [1, 2]}.items():
        with pytest.raises(ValueError, match=f"{name} must be one for each of the 5"):
            embedding_map(X, **{name: value}, path=tmp_path / "map.html")
    with pytest.raises(ValueError, match="color must be one for each"):
        embedding_map(X, metadata={"color": ["red"]}, path=tmp_path / "map.html")
    with pytest.raises(ValueError, match="two or more"):
        embedding_map(X[:1], path=tmp_path / "map.html")
    with pytest.raises(ValueError, match="NaN"):
        embedding_map(X * np.nan, path=tmp_path / "map.html")
    assert list(tmp_path.iterdir()) == []


def test_files_that_cannot_be_read_are_listed_at_once(tmp_path):  # torchvision #864: one run for each
    image = pytest.importorskip("PIL.Image")
    paths = [tmp_path / f"{i}.png" for i in range(4)]
    for path in paths:
        image.fromarray(np.arange(4096, dtype=np.uint8).reshape(64, 64)).save(path)
    os.truncate(paths[1], 90)
    os.truncate(paths[3], 90)
    for images in (paths, np.array(list(map(str, paths)))):
        with pytest.raises(ValueError, match=r"^2 of 4 images cannot be read: .*1\.png' \(row 1\).*3\.png'"):
            embedding_map(np.eye(4), images=images, path=tmp_path / "map.html")


def test_large_ids_are_text_and_samples_without_a_label_a_class(tmp_path):  # scikit-learn #25073
    ids = [2**60 + 1, 2**60, -5]  # JavaScript has one number for the first two
    page = embedding_map(np.eye(3), ["a", None, 1], ids=ids, path=tmp_path / "map.html").read_text("utf-8")
    assert f'"ids":["{2**60 + 1}","{2**60}","-5"]' in page
    assert '"labels":["1","a","no label"]' in page
