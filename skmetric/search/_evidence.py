"""What calibration learns from: each query once as itself and once as a stranger, its own class hidden."""

from typing import NamedTuple

import numpy as np

from skmetric.retrieval import nearest

from ._hidden import search_twice

_FOLDS = 5


class Evidence(NamedTuple):
    """Matches of queries of known classes, and of the same queries when their class is not in the gallery."""

    known_distances: np.ndarray  # (n_known,)
    known_right: np.ndarray  # (n_known,), bool: matched to their own class
    known_classes: np.ndarray  # (n_known,), integer codes
    stranger_distances: np.ndarray  # (n_strangers,)
    stranger_classes: np.ndarray  # (n_strangers,), integer codes
    hidden: bool  # strangers are known classes that were hidden, not classes that were never there
    all_distances: np.ndarray  # of the known queries to all neighbours looked at


class Side(NamedTuple):
    """Rows with their class codes; queries of a class that is not in the gallery have codes below 0."""

    embeddings: np.ndarray
    codes: np.ndarray


def gather(matcher, n_neighbors, gallery, queries=None):
    """Match the queries, or each item of the gallery among the others, known and as strangers."""
    sizes = np.bincount(gallery.codes)
    if np.count_nonzero(sizes) < 2:
        raise ValueError("calibration hides one class at a time, so the gallery must have two or more")
    if hasattr(matcher, "prototypes"):
        return _by_prototypes(matcher, gallery, queries)
    return _by_neighbors(matcher, n_neighbors, gallery, queries, sizes)


def _by_neighbors(matcher, n_neighbors, gallery, queries, sizes):
    itself = queries is None
    side = gallery if itself else queries
    own = np.where(side.codes >= 0, sizes[side.codes], 0)  # items of the query's class in the gallery
    depth = min(matcher.depth(n_neighbors), len(gallery.codes) - max(int(sizes.max()), int(itself)))
    found = search_twice(gallery, queries, depth)
    known = matcher.match(found.distances, found.codes)
    stranger = matcher.match(found.distances_hidden, found.codes_hidden)
    asked = own > itself  # there is an item of the class to find
    return Evidence(
        known.distances[asked],
        (known.codes == side.codes)[asked],
        side.codes[asked],
        stranger.distances,
        side.codes,
        bool((own > 0).any()),
        found.distances[asked].ravel(),
    )


def _first(distances, codes, wanted, k):
    """The first `k` wanted neighbours of each row."""
    order = np.argsort(~wanted, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, order, axis=1), np.take_along_axis(codes, order, axis=1)


def class_prototypes(matcher, gallery):
    """Prototypes of all classes and their codes."""
    present = np.unique(gallery.codes)
    parts = [matcher.prototypes(gallery.embeddings[gallery.codes == code]) for code in present]
    return Side(np.concatenate(parts), np.repeat(present, [len(part) for part in parts]))


def _by_prototypes(matcher, gallery, queries):
    """Items of the gallery are matched to prototypes that were made without them, in folds of each class."""
    if queries is not None:
        return _stack([_match_prototypes(class_prototypes(matcher, gallery), queries)], gallery)
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
    return _stack(parts, gallery)


def _match_prototypes(prototypes, queries):
    k = min(int(np.bincount(prototypes.codes).max()) + 1, len(prototypes.codes))
    found = nearest(queries.embeddings, prototypes.embeddings, k)
    codes = prototypes.codes[found.indices]
    strangers, _ = _first(found.distances, codes, codes != queries.codes[:, None], 1)
    asked = np.isin(queries.codes, prototypes.codes)
    right = (codes[:, 0] == queries.codes)[asked]
    return found.distances[asked, 0], right, queries.codes[asked], strangers[:, 0], queries.codes


def _stack(parts, gallery):
    known, right, classes, strangers, stranger_classes = map(np.concatenate, zip(*parts, strict=True))
    hidden = bool(np.isin(stranger_classes, gallery.codes).any())
    return Evidence(known, right, classes, strangers, stranger_classes, hidden, known)
