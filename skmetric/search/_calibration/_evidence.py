"""What calibration learns from: each query once as itself and once as a stranger, its own class hidden."""

from typing import NamedTuple

import numpy as np

from skmetric.retrieval import nearest
from skmetric.search._gallery._side import Side

from ._matchers import Match
from ._two_searches import search_twice

_FOLDS = 5


class Evidence(NamedTuple):
    """Matches of queries of known classes, and of the same queries when their class is not in the gallery."""

    known_distances: np.ndarray  # (n_known,)
    known_right: np.ndarray  # (n_known,), bool: matched to their own class
    known_classes: np.ndarray  # (n_known,), integer codes
    known_matches: np.ndarray  # (n_known,), codes of the classes that they are matched to
    known_rows: np.ndarray  # (n_known,), where the same queries stand among the strangers
    stranger_distances: np.ndarray  # (n_strangers,)
    stranger_classes: np.ndarray  # (n_strangers,), integer codes, below 0 for classes that were never there
    stranger_matches: np.ndarray  # (n_strangers,)
    second_distances: np.ndarray | None  # (n_strangers,): were the class that they are matched to hidden too
    second_matches: np.ndarray | None  # (n_strangers,)
    hidden: bool  # strangers are known classes that were hidden, not classes that were never there
    all_distances: np.ndarray  # of the known queries to all neighbours looked at


def gather(matcher, n_neighbors, gallery, queries=None, second=False):
    """Match the queries, or each item of the gallery among the others, known and as strangers.

    With `second`, also as strangers to a gallery that lacks the class which they are matched to, if it has
    three or more.
    """
    sizes = np.bincount(gallery.codes)
    n_classes = np.count_nonzero(sizes)
    if n_classes < 2:
        raise ValueError("calibration hides one class at a time, so the gallery must have two or more")
    second = second and n_classes > 2
    if hasattr(matcher, "prototypes"):
        return _by_prototypes(matcher, gallery, queries, second)
    return _by_neighbors(matcher, n_neighbors, gallery, queries, sizes, second)


def _by_neighbors(matcher, n_neighbors, gallery, queries, sizes, second):
    itself = queries is None
    side = gallery if itself else queries
    own = np.where(side.codes >= 0, sizes[side.codes], 0)  # items of the query's class in the gallery
    depth = min(matcher.depth(n_neighbors), len(gallery.codes) - max(int(sizes.max()), int(itself)))
    left = len(gallery.codes) - int(np.sort(sizes)[-2:].sum())
    found = search_twice(gallery, queries, depth, matcher.match, min(depth, left) if second else 0)
    return _assemble(
        side.codes,
        own > itself,  # there is an item of the class to find
        matcher.match(found.distances, found.codes),
        matcher.match(found.distances_hidden, found.codes_hidden),
        matcher.match(found.distances_second, found.codes_second) if second else None,
        found.distances,
    )


def _assemble(codes, asked, known, stranger, second, all_distances):
    """Evidence of queries of classes `codes`, of which those `asked` have an item of their class to find."""
    return Evidence(
        known.distances[asked],
        (known.codes == codes)[asked],
        codes[asked],
        known.codes[asked],
        np.flatnonzero(asked),
        stranger.distances,
        codes,
        stranger.codes,
        None if second is None else second.distances,
        None if second is None else second.codes,
        bool((codes >= 0).any()),
        all_distances[asked].ravel(),
    )


def class_prototypes(matcher, gallery):
    """Prototypes of all classes and their codes."""
    present = np.unique(gallery.codes)
    parts = [matcher.prototypes(gallery.embeddings[gallery.codes == code]) for code in present]
    return Side(np.concatenate(parts), np.repeat(present, [len(part) for part in parts]))


def _by_prototypes(matcher, gallery, queries, second):
    """Items of the gallery are matched to prototypes that were made without them, in folds of each class."""
    if queries is not None:
        return _stack([_match_prototypes(class_prototypes(matcher, gallery), queries)], second)
    order = np.argsort(gallery.codes, kind="stable")
    sizes = np.bincount(gallery.codes)
    place = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # in its class
    fold = np.empty(len(order), dtype=int)
    fold[order] = place % _FOLDS
    parts = []
    for held_out in np.unique(fold):
        kept, asked = fold != held_out, fold == held_out
        rest = Side(gallery.embeddings[kept], gallery.codes[kept])
        if len(np.unique(rest.codes)) > 1:
            asked = Side(gallery.embeddings[asked], gallery.codes[asked])
            parts.append(_match_prototypes(class_prototypes(matcher, rest), asked))
    if not parts:
        raise ValueError("class centres calibrate on items held out: two classes must have two items or more")
    return _stack(parts, second)


def _match_prototypes(prototypes, queries):
    """Codes of the queries, whether their class has prototypes, and matches known, as stranger, second."""
    k = min(2 * int(np.bincount(prototypes.codes).max()) + 1, len(prototypes.codes))
    found = nearest(queries.embeddings, prototypes.embeddings, k)
    codes = prototypes.codes[found.indices]
    other = codes != queries.codes[:, None]
    stranger = _first(found.distances, codes, other)
    second = _first(found.distances, codes, other & (codes != stranger.codes[:, None]))
    asked = np.isin(queries.codes, prototypes.codes)
    return queries.codes, asked, Match(codes[:, 0], found.distances[:, 0]), stranger, second


def _first(distances, codes, wanted):
    """Each row's first wanted neighbour as a match, at infinity where there is none."""
    at = wanted.argmax(axis=1)
    rows = np.arange(len(codes))
    return Match(codes[rows, at], np.where(wanted[rows, at], distances[rows, at], np.inf))


def _stack(parts, second):
    codes, asked, *matches = zip(*parts, strict=True)
    known, stranger, runner_up = (Match(*map(np.concatenate, zip(*part, strict=True))) for part in matches)
    return _assemble(
        np.concatenate(codes),
        np.concatenate(asked),
        known,
        stranger,
        runner_up if second else None,
        known.distances,
    )
