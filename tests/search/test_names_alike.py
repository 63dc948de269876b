"""Names of any text: memory, FAISS, PostgreSQL and Milvus keep them as they are, or refuse them alike."""

import random

import numpy as np
import pytest

from skmetric.search import SimilaritySearch

X = np.eye(4, dtype=np.float32)
ALPHABETS = (
    "abc", "\0\x01\x7f", "\ud800\udfff", "<script>&\"'", "../\\", "\u202e\u200b\ufeff", "é😀漢", "e\u0301é",
    "{}%$`;", " \t\n\r\x85\u2028", "_%*?", "Ii\u0131\u0130", "\\x41\\u0041", "'; DROP TABLE items; --",
)  # fmt: skip


def text_of(rng):
    """A text of up to 40 characters of some of these."""
    chosen = "".join(rng.sample(ALPHABETS, rng.randrange(1, 4)))
    return "".join(rng.choice(chosen) for _ in range(rng.choice([0, 1, 3, 10, 40])))


TEXTS = [text_of(random.Random(seed)) for seed in range(40)]


@pytest.fixture
def pair(other_index):
    """A gallery in memory, and another."""
    return [
        SimilaritySearch(index=index).fit(X, list("abcd"), ids=list("wxyz"), metadata={"shop": list("abcd")})
        for index in (None, other_index)
    ]


def comes_back(search, text, where):
    """What a gallery says of an item with a text in one place, or why it refuses it."""
    item = {"label": "a", "id": "new", "shop": "s"} | {where: text}
    try:
        search.partial_fit(X[:1], [item["label"]], ids=[item["id"]], metadata={"shop": [item["shop"]]})
        table = search.lookup(
            X[:1], 9, where={"shop": item["shop"]} if where == "shop" else {"label": item["label"]}
        )
        known = sorted(
            zip(table["id"].tolist(), table["label"].tolist(), table["shop"].tolist(), strict=True)
        )
        search.remove([item["id"]])
    except (ValueError, KeyError) as error:
        return f"{type(error).__name__}: {error}"
    assert tuple(item[name] for name in ("id", "label", "shop")) in known
    return known


@pytest.mark.parametrize("where", ["label", "id", "shop"])
def test_names_of_any_text(pair, where):
    memory, other = ([comes_back(search, text, where) for text in TEXTS] for search in pair)
    assert other == memory
    assert sum(isinstance(one, list) for one in memory) > 15
    assert sum(isinstance(one, str) for one in memory) > 2
