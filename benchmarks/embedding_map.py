"""How fluid the page of `embedding_map` is in a headless Chromium.

    python benchmarks/embedding_map.py [--samples 50000] [--thumbnails 2000] [--shots DIR]

Writes a page of made embeddings, opens it, and drags, zooms, points and searches as a user does. A frame is
the time from one `requestAnimationFrame` to the next while the mouse moves; 60 frames a second are 17 ms.
"Redraw" waits until all pixels are there. Without a GPU Chromium draws in software, which takes most of it.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from skmetric.inspection import embedding_map

FLAGS = ["--no-sandbox", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
STEPS = 40  # of a movement
WATCH = """() => {
    window.frames_ = [];
    let last = performance.now();
    window.watching = true;
    const tick = (now) => {
        window.frames_.push(now - last);
        last = now;
        if (window.watching) requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
}"""
STOP = "() => { window.watching = false; return window.frames_.slice(1); }"


def write(folder, n_samples, n_thumbnails):
    """Pages with and without pictures."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 500, n_samples)
    X = (rng.normal(size=(500, 16))[codes] + rng.normal(size=(n_samples, 16)) / 3).astype(np.float32)
    labels = [f"class {code}" for code in codes]
    start = time.perf_counter()
    page = embedding_map(X, labels, path=folder / "map.html")
    report("write", [1000 * (time.perf_counter() - start)], f"{page.stat().st_size / 1e6:.1f} MB")
    some = slice(n_thumbnails)
    images = rng.integers(0, 256, (n_thumbnails, 32, 32, 3), dtype=np.uint8)
    start = time.perf_counter()
    pictures = embedding_map(X[some], labels[some], images=images, path=folder / "pictures.html")
    size = f"{pictures.stat().st_size / 1e6:.1f} MB, {n_thumbnails} thumbnails"
    report("write with pictures", [1000 * (time.perf_counter() - start)], size)
    return page


def report(name, milliseconds, note=""):
    """One line of the table."""
    times = np.asarray(milliseconds)
    spread = f"{np.quantile(times, 0.95):8.0f} {times.max():8.0f}" if len(times) > 1 else " " * 17
    print(f"{name:24s}{np.median(times):10.0f} {spread}  {note}", flush=True)


def redraws(page):
    """Milliseconds of moving the axes and drawing every point anew, to the last pixel."""
    return page.evaluate(
        """async () => {
            const plot = document.getElementById("plot"), times = [];
            const canvases = [...document.querySelectorAll("canvas.gl-canvas")];
            const finish = () => canvases.map((canvas) => canvas.getContext("webgl")).filter(Boolean).forEach(
                (gl) => gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4)));
            finish();
            for (let step = 0; step < 20; step++) {
                const start = performance.now();
                await Plotly.relayout(plot, { "xaxis.range": [-3 - step / 10, 3 + step / 10] });
                finish();
                times.push(performance.now() - start);
            }
            return times;
        }"""
    )


def frames(page, act):
    """Milliseconds between frames while something is done."""
    page.evaluate(WATCH)
    act()
    return page.evaluate(STOP)


def explore(page):
    """What a user does, each line its frame times."""
    box = page.locator("#plot .nsewdrag").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def pan():
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 200, y + 80, steps=STEPS)
        page.mouse.move(x - 50, y - 30, steps=STEPS)
        page.mouse.up()

    def zoom():
        page.mouse.move(x, y)
        for step in range(STEPS):
            page.mouse.wheel(0, -60 if step < STEPS // 2 else 60)
            page.wait_for_timeout(16)

    def point():
        page.mouse.move(x - 200, y - 100)
        page.mouse.move(x + 200, y + 100, steps=2 * STEPS)

    report("redraw", redraws(page))
    report("pan, a frame", frames(page, pan))
    report("zoom, a frame", frames(page, zoom))
    report("point, a frame", frames(page, point))
    start = time.perf_counter()
    page.fill("#search", "class 77")
    page.wait_for_function("document.getElementById('found').textContent.length > 0")
    report("search", [1000 * (time.perf_counter() - start)], page.inner_text("#found"))
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    report("pan what was found", frames(page, pan))
    page.fill("#search", "")


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--thumbnails", type=int, default=2_000)
    parser.add_argument("--shots", type=Path, help="folder for screenshots")
    arguments = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        print(f"{arguments.samples} samples, 500 classes, 10 neighbours of each; milliseconds")
        print(f"{'':24s}{'median':>10s} {'95%':>8s} {'longest':>8s}")
        path = write(Path(folder), arguments.samples, arguments.thumbnails)
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1200, "height": 800})
        start = time.perf_counter()
        page.goto(path.as_uri())
        page.wait_for_selector("body[data-ready]", timeout=300_000)
        drawn = page.evaluate("document.body.dataset.ready")
        report("open", [1000 * (time.perf_counter() - start)], f"drawn by {drawn}")
        explore(page)
        if arguments.shots:
            page.screenshot(path=arguments.shots / "embedding_map.png")
        browser.close()


if __name__ == "__main__":
    main()
