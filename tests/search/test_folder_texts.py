"""Text of a folder: bytes and ends as Python's own codec gives them, text by text."""

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from skmetric._folder import _arrays, _safetensors
from skmetric._folder._texts import as_texts, decoded, encoded

# one to four bytes a character, at each edge; a pair of surrogates that are two texts; NUL; nothing
PIECES = [
    "",
    "a",
    "é",
    "\x00",
    "\ud83d",
    "\ude00",
    "😀",
    "漢",
    "x" * 50,
    "\x7f",
    "\x80",
    "\u07ff",
    "\u0800",
    "\uffff",
]


@pytest.mark.parametrize("n", [0, 1, 7, 70_000])
@pytest.mark.parametrize("pieces", [PIECES, ["", "ids-", "7"]], ids=["any", "ascii"])
def test_text_is_encoded_as_text_by_text(pieces, n):
    texts = np.random.default_rng(0).choice(np.array(pieces, dtype=object), n).tolist()
    one_by_one = [text.encode("utf-8", "surrogatepass") for text in texts]
    data, ends = encoded(texts)
    assert data.tobytes() == b"".join(one_by_one)
    assert ends.tolist() == np.cumsum([len(text) for text in one_by_one]).tolist()
    assert decoded(data, ends, "objects").tolist() == texts


def test_objects_are_told_by_their_types():
    kind, texts = as_texts("shop", np.array(["a", None, 1, True, 0.5], dtype=object))
    assert (kind, texts) == ("values", ['"a"', "null", "1", "true", "0.5"])
    with pytest.raises(TypeError, match=r"shop holds Python objects, as \[1\], which need pickle"):
        as_texts("shop", np.array(["a", [1], None], dtype=object))


@pytest.mark.parametrize("ended", [False, True], ids=["by another thread", "without threads"])
def test_views_with_gaps_are_written_and_summed_up_as_copies_are(ended, monkeypatch):
    monkeypatch.setattr(_safetensors, "_BLOCK", 2**20)
    monkeypatch.setattr(_arrays, "_APART", 2**10)
    rows = np.random.default_rng(0).normal(size=(5000, 130)).astype(np.float32)
    files = []
    for array in (rows[:, :-2], rows[:, :-2].copy()):
        stream = io.BytesIO()
        with ThreadPoolExecutor(1) as other, monkeypatch.context() as patch:
            if ended:
                other.shutdown()
            patch.setattr(_arrays, "ThreadPoolExecutor", lambda n, other=other: other)
            files.append((stream, _arrays.write(stream, {"vectors": array})))
    (first, written), (second, again) = files
    assert first.getvalue() == second.getvalue()
    assert written == again
    assert written.digest == hashlib.sha256(first.getvalue()).hexdigest()
