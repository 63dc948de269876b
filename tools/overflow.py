"""Find what does not fit on the screen: ``python tools/overflow.py doc/_build`` (extra ``test``, Chromium).

It opens the built pages in a headless browser at the widths of a notebook and of a phone. A page fails if it
can be scrolled sideways, if something sticks out that no box scrolls, if an image did not load, or if the
browser complains. ``--every N`` looks at each N-th page of the reference, of which there are hundreds;
``--shots DIR`` keeps pictures of the pages.
"""

import argparse
import shutil
import sys
from pathlib import Path

WIDTHS = {"notebook": (1280, 800), "phone": (390, 844)}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--enable-unsafe-swiftshader"]
OF_THE_THEME = "#pst-skip-link, .pst-navbar-icon, [class*=sidebar-primary]"  # out of sight until called

FAULTS = """theme => {
    const width = document.documentElement.clientWidth, found = [];
    const extra = document.documentElement.scrollWidth - width;
    if (extra > 1) found.push(`${extra} px wider than the screen`);
    const scrolled = (element) => {
        for (let box = element; box; box = box.parentElement)
            if (["auto", "scroll", "hidden"].includes(getComputedStyle(box).overflowX)) return true;
        return false;
    };
    for (const element of document.querySelectorAll("main *")) {
        const box = element.getBoundingClientRect();
        if (box.width && box.right > width + 1 && !element.closest(theme) && !scrolled(element)) {
            found.push(`<${element.tagName.toLowerCase()} class="${element.className}"> sticks out by `
                + `${Math.round(box.right - width)} px: ${(element.textContent || "").trim().slice(0, 60)}`);
            break;  // what is inside it sticks out too
        }
    }
    for (const image of document.images)
        if (image.complete && !image.naturalWidth)
            found.push(`image ${image.getAttribute("src")} is not there`);
    return found;
}"""


def main():
    """Open the pages, print the faults; the exit status tells whether there are any."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("site", type=Path, help="folder of the built pages")
    parser.add_argument("pages", nargs="*", help="such as index.html; all by default")
    parser.add_argument("--every", type=int, default=1, help="of the pages in generated/ (default: all)")
    parser.add_argument("--shots", type=Path, help="folder for pictures of the pages")
    options = parser.parse_args()
    names = options.pages or pages_of(options.site, options.every)
    if not names:
        sys.exit(f"{options.site} has no pages: build them with sphinx-build first")
    faults = look(options.site.resolve(), names, options.shots)
    for name, width, fault in faults:
        print(f"{name} at {width} px: {fault}")
    widths = " and ".join(str(width) for width, _ in WIDTHS.values())
    print(f"{len(names)} pages at {widths} px: {len(faults)} faults")
    return 1 if faults else 0


def pages_of(site, every):
    """Paths of the pages from the root of the site."""
    names = sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))
    names = [name for name in names if not name.startswith("_")]
    reference = [name for name in names if name.startswith("generated/")]
    return [name for name in names if name not in set(reference)] + reference[::every]


def look(site, names, shots=None):
    """Faults of the pages: (name, width, fault)."""
    from playwright.sync_api import sync_playwright

    found = []
    with sync_playwright() as playwright:
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        page = browser.new_page()
        page.on("pageerror", lambda error: found.append((name, width, f"an error in a script: {error}")))
        for name in names:
            for look_of, (width, height) in WIDTHS.items():
                page.set_viewport_size({"width": width, "height": height})
                if look_of == "notebook":
                    page.goto((site / name).as_uri(), wait_until="load")
                found += [(name, width, fault) for fault in page.evaluate(FAULTS, OF_THE_THEME)]
                if shots:
                    file = shots / f"{name.replace('/', '-').removesuffix('.html')}-{width}.png"
                    page.screenshot(path=file, full_page=True)
        browser.close()
    return found


if __name__ == "__main__":
    sys.exit(main())
