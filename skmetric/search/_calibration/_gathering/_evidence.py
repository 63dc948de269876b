"""What calibration learns from: each query once as itself and once as a stranger, its own class hidden."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmetric._kernel._hidden import Hidden
from skmetric.retrieval import nearest
from skmetric.search._calibration._matchers import Match, Matcher, PrototypeMatcher
from skmetric.search._gallery._side import Side

from ._bursts import bursts
from ._copies import Copies, own_items, twins
from ._two_searches import search_twice

_FOLDS = 5


class Evidence(NamedTuple):
    """Matches of queries of known classes, and of the same queries when their class is not in the gallery."""

    known_distances: NDArray  # (n_known,)
    known_right: NDArray  # (n_known,), bool: matched to their own class
    known_classes: NDArray  # (n_known,), integer codes
    known_matches: NDArray  # (n_known,), codes of the classes that they are matched to
    known_rows: NDArray  # (n_known,), where the same queries stand among the strangers
    stranger_distances: NDArray  # (n_strangers,)
    stranger_classes: NDArray  # (n_strangers,), integer codes, below 0 for classes that were never there
    stranger_matches: NDArray  # (n_strangers,)
    second_distances: NDArray | None  # (n_strangers,): were the class that they are matched to hidden too
    second_matches: NDArray | None  # (n_strangers,)
    hidden: bool  # strangers are known classes that were hidden, not classes that were never there
    all_distances: NDArray  # of the known queries to all neighbours looked at
    doubts: tuple[str, ...] = ()  # warnings about queries that are items, and items that are there twice
    # distances to the nearest class but the one matched to, infinite where there is none; those of strangers
    # are `second_distances`
    known_runners_up: NDArray | None = None  # (n_known,)
    second_runners_up: NDArray | None = None  # (n_strangers,)
    floor: float = 0.0  # what no distance, or score, is below


_EFFECT = "Their distances are too small, and the threshold is too strict for new queries"


def gather(
    matcher: Matcher,
    n_neighbors: int,
    gallery: Side,
    queries: Side | None = None,
    second: bool = False,
    runners_up: bool = False,
) -> Evidence:
    """Match the queries, or each item of the gallery among the others, known and as strangers.

    A query that is an item of the gallery, with the same embedding and class, is searched among the others
    too: else it would find itself. With `second`, all are also matched as strangers to a gallery that lacks
    the class which they are matched to, if it has three or more. With `runners_up` too, the nearest classes
    besides those matched to are part of the evidence. Where both sides have groups, items of the class and
    the group of a query are hidden from it.
    """
    sizes = np.bincount(gallery.codes)
    n_classes = np.count_nonzero(sizes)
    if n_classes < 2:
        raise ValueError("calibration hides one class at a time, so the gallery must have two or more")
    second = (second or runners_up) and bool(n_classes > 2)
    if isinstance(matcher, PrototypeMatcher):
        return _by_prototypes(matcher, gallery, queries, second, runners_up and second)
    return _by_neighbors(matcher, n_neighbors, gallery, queries, sizes, second, runners_up and second)


def _by_neighbors(matcher, n_neighbors, gallery, queries, sizes, second, runners_up):
    itself = queries is None
    side = gallery if itself else queries
    own = np.where(side.codes >= 0, sizes[np.maximum(side.codes, 0)], 0)  # items of its class in the gallery
    hidden = hidden_items(gallery, side)
    if hidden is not None:
        own = own - hidden.counts  # among them the query itself, if it is an item
    depth = min(matcher.depth(n_neighbors), len(gallery.codes) - max(int(sizes.max()), int(itself)))
    left = len(gallery.codes) - int(np.sort(sizes)[-2:].sum())
    found = search_twice(
        gallery, queries, depth, matcher.match, min(depth, left) if second else 0, third=runners_up
    )
    evidence = _assemble(
        side.codes,
        own > (found.is_item | (itself and hidden is None)),  # there is an item of the class to find
        matcher.match(found.distances, found.codes),
        matcher.match(found.distances_hidden, found.codes_hidden),
        matcher.match(found.distances_second, found.codes_second) if second else None,
        found.distances,
        (found.own_distances[:, 0], found.distances_third) if runners_up else None,
    )
    doubts = _doubts(itself, side.codes, own, found.is_item, found.own_distances, found.distances_hidden)
    if not doubts and hidden is None:
        said = bursts(found.own_distances[side.codes >= 0], itself)
        doubts = () if said is None else (said,)
    return evidence._replace(doubts=doubts)


def hidden_items(gallery: Side, queries: Side) -> Hidden | None:
    """What is hidden from queries: items of their class and group; None if one side has no groups."""
    if gallery.groups is None or queries.groups is None:
        return None
    return Hidden.of_class_and_group(queries.codes, gallery.codes, queries.groups, gallery.groups)


def _doubts(itself, codes, n_own, is_item, own, other):
    """Warnings, from distances to the nearest two items of the class and the nearest of another."""
    if itself:
        said = twins(own[:, 0], other[:, 0])
        return () if said is None else (said,)
    known = (codes >= 0) & (n_own > 0)
    return tuple(Copies.of(known, is_item, own[:, 0], own[:, 1], other[:, 0]).warnings(_EFFECT))


def _assemble(codes, asked, known, stranger, second, all_distances, own_and_third=None):
    """Evidence of queries of classes `codes`, of which those `asked` have an item of their class to find.

    With the distances to the own class and to the third of the others, runners-up are part of it.
    """
    runners_up = third = None
    if own_and_third is not None:
        own, third = own_and_third
        of_wrong = np.minimum(own, second.distances)  # matched to the nearest of the other classes
        runners_up = np.where(known.codes == codes, stranger.distances, of_wrong)[asked]
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
        known_runners_up=runners_up,
        second_runners_up=third,
    )


def class_prototypes(matcher: PrototypeMatcher, gallery: Side) -> Side:
    """Prototypes of all classes and their codes."""
    present = np.unique(gallery.codes)
    parts = [matcher.prototypes(gallery.embeddings[gallery.codes == code]) for code in present]
    return Side(np.concatenate(parts), np.repeat(present, [len(part) for part in parts]))


def _by_prototypes(matcher, gallery, queries, second, runners_up):
    rows = np.arange(len(gallery.codes)) if queries is None else None
    found = match_to_prototypes(matcher, gallery, queries or gallery, rows)
    evidence = _assemble(
        (queries or gallery).codes, found.can_find, found.known, found.stranger,
        found.second if second else None, found.known.distances,
        (found.own, found.third) if runners_up else None,
    )  # fmt: skip
    return evidence if queries is None else evidence._replace(doubts=tuple(found.copies.warnings(_EFFECT)))


class Matched(NamedTuple):
    """Matches of queries to prototypes that were made without them."""

    is_item: NDArray  # (n_queries,), bool: an item of the gallery, or one from which items are hidden
    can_find: NDArray  # (n_queries,), bool: there is an item of the class, the query left out
    known: Match
    stranger: Match  # with its class hidden
    second: Match  # with the class hidden too that the stranger is matched to
    third: NDArray  # (n_queries,): distance with the class of that match hidden too
    own: NDArray  # (n_queries,): distance to the own class, infinite where it is not there
    copies: Copies
    is_copy: NDArray  # (n_queries,), bool: an item of the gallery that is not hidden

    def best(self) -> tuple[Match, NDArray]:
        """The match of each query in the gallery without it, and the distance to the runner-up.

        An only item meets other classes only.
        """
        is_only = self.is_item & ~self.can_find
        pairs = zip(self.known, self.stranger, strict=True)
        match = Match(*(np.where(is_only, stranger, known) for known, stranger in pairs))
        is_stranger = match.codes == self.stranger.codes  # is matched to the nearest of the other classes
        of_stranger = np.where(is_only, self.second.distances, np.minimum(self.own, self.second.distances))
        return match, np.where(is_stranger, of_stranger, self.stranger.distances)


def match_to_prototypes(
    matcher: PrototypeMatcher,
    gallery: Side,
    queries: Side,
    rows: NDArray | None = None,
    prototypes: Side | None = None,
) -> Matched:
    """Match queries to prototypes, those that are items to prototypes made without them, in folds of classes.

    `rows` are the items that queries are, -1 for others, found by :func:`own_items` if not given; and
    `prototypes` those of all items, made if not given.
    """
    own = np.full((len(queries.codes), 2), np.inf)
    if rows is None:
        rows, own = own_items(queries, gallery)
    if gallery.groups is not None and queries.groups is not None:
        fold_of_item, fold, hidden = folds_of_groups(gallery, queries, rows)
        is_copy = (rows >= 0) & (hidden < 0)
        own[hidden >= 0] = np.inf  # the nearest items may be hidden
        rows = np.where(hidden >= 0, hidden, rows)
    else:
        fold_of_item = item_folds(gallery.codes)
        fold = np.where(rows >= 0, fold_of_item[rows], -1)
        is_copy = rows >= 0
    parts, order = [], []
    for left_out in np.unique(fold):
        asked = np.flatnonzero(fold == left_out)
        kept = fold_of_item != left_out
        if left_out >= 0:
            side = class_prototypes(matcher, Side(gallery.embeddings[kept], gallery.codes[kept]))
        else:
            side = prototypes or class_prototypes(matcher, gallery)
        parts.append(_match_prototypes(side, Side(queries.embeddings[asked], queries.codes[asked])))
        order.append(asked)
    back = np.argsort(np.concatenate(order))
    known, stranger, second, third, to_own = (
        Match(*(np.concatenate(column)[back] for column in zip(*part, strict=True)))
        for part in zip(*parts, strict=True)
    )
    in_gallery = np.isin(queries.codes, gallery.codes)
    copies = Copies.of(in_gallery, is_copy, own[:, 0], own[:, 1], stranger.distances)
    is_only = (rows >= 0) & (fold < 0)  # the only item of its class: nothing is left to find
    return Matched(
        rows >= 0,
        in_gallery & ~is_only,
        known,
        stranger,
        second,
        third.distances,
        to_own.distances,
        copies,
        is_copy,
    )


def item_folds(codes):
    """Fold in which each item is left out of the prototypes of its class; -1 for the only item."""
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes)
    fold = np.empty(len(codes), dtype=np.intp)
    fold[order] = (np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)) % _FOLDS
    return np.where(sizes[codes] > 1, fold, -1)


def folds_of_groups(gallery, queries, rows):
    """Folds of items and of queries: a query and the items of its class and group are in the same fold.

    The third value is an item that is hidden from each query, -1 where none is. `rows` are the items that
    queries are.
    """
    hidden = Hidden.of_class_and_group(queries.codes, gallery.codes, queries.groups, gallery.groups)
    first = np.full(len(rows), -1, dtype=np.intp)
    place, item = hidden.pairs(np.arange(len(rows)))
    first[place[::-1]] = item[::-1]
    _, number = np.unique(np.stack([gallery.codes, gallery.groups]), axis=1, return_inverse=True)
    number = number.ravel()  # of the class and group of each item, group after group inside a class
    present, start = np.unique(gallery.codes, return_inverse=True)
    lowest = np.full(len(present), len(number))
    np.minimum.at(lowest, start, number)
    n_groups = np.bincount(np.unique(np.stack([start, number]), axis=1)[0])
    fold_of_item = np.where(n_groups[start] > 1, (number - lowest[start]) % _FOLDS, -1)
    rows = np.where(first >= 0, first, rows)
    return fold_of_item, np.where(rows >= 0, fold_of_item[rows], -1), first


def _match_prototypes(prototypes, queries):
    """Matches of queries to prototypes: known, as stranger, without the class of that match too, and so on.

    The last is the match to the own class; where a class is not among those found, it is at infinity.
    """
    k = min(3 * int(np.bincount(prototypes.codes).max()) + 1, len(prototypes.codes))
    found = nearest(queries.embeddings, prototypes.embeddings, k)
    codes = prototypes.codes[found.indices]
    other = codes != queries.codes[:, None]
    stranger = _first(found.distances, codes, other)
    not_first = other & (codes != stranger.codes[:, None])
    second = _first(found.distances, codes, not_first)
    third = _first(found.distances, codes, not_first & (codes != second.codes[:, None]))
    own = _first(found.distances, codes, ~other)
    return Match(codes[:, 0], found.distances[:, 0]), stranger, second, third, own


def _first(distances, codes, wanted):
    """Each row's first wanted neighbour as a match, at infinity where there is none."""
    at = wanted.argmax(axis=1)
    rows = np.arange(len(codes))
    return Match(codes[rows, at], np.where(wanted[rows, at], distances[rows, at], np.inf))
