"""Write into the pages what their code prints: ``python doc/record.py [PAGE ...]``.

A test runs the same code and compares: text must agree, numbers with decimals within a tolerance.
"""

import sys
import warnings
from pathlib import Path

DOC = Path(__file__).parent
sys.path.insert(0, str(DOC / "_ext"))

from pages import recorded

warnings.simplefilter("error")
for page in map(
    Path, sys.argv[1:] or sorted(map(str, DOC.glob("[a-z]*/*.rst"))) + sorted(map(str, DOC.glob("*.rst")))
):
    if page.resolve().is_relative_to(DOC / "gallery") or page.resolve().is_relative_to(DOC / "generated"):
        continue
    text = page.read_text("utf-8")
    now = recorded(text, str(page))
    if now != text:
        page.write_text(now, "utf-8")
        print(f"recorded {page}")
