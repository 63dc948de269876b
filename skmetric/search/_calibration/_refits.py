"""Evidence where the metric was fitted to the gallery: each query under a metric that has not seen it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from skmetric.search._gallery._side import Side

from ._gathering._copies import own_items
from ._gathering._evidence import Evidence, folds_of_groups, gather, item_folds
from ._matchers import Matcher

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FOLDS = 5


class Refits(NamedTuple):
    """Items to which a metric was fitted, and the metric without some of them."""

    gallery: Side  # embeddings of the metric in use
    samples: NDArray[Any]  # (n_items, n_features): what the metric embeds
    is_fitted: NDArray[np.bool_]  # (n_items,): whether the metric was fitted to an item
    without: Callable[[NDArray[np.bool_]], Any]  # from a mask of items to a transformer

    def side_without(self, items: NDArray[np.bool_]) -> tuple[Side, Any]:
        """The whole gallery under the metric that was not fitted to some items; None if it is that in use."""
        items = items & self.is_fitted
        if not items.any():
            return self.gallery, None
        metric = self.without(items)
        return self.gallery._replace(embeddings=metric.transform(self.samples)), metric


class Queries(NamedTuple):
    """Queries under the metric in use, what it embeds, and the items that they are, -1 for others."""

    side: Side
    samples: NDArray[Any]
    rows: NDArray[np.intp]

    @classmethod
    def of(cls, side: Side, samples: NDArray[Any], refits: Refits) -> Queries:
        """Find the items that queries are."""
        rows = own_items(Side(samples, side.codes), Side(refits.samples, refits.gallery.codes))[0]
        return cls(side, samples, rows)


def gather_refitted(
    matcher: Matcher,
    n_neighbors: int,
    refits: Refits,
    queries: Queries | None = None,
    second: bool = False,
    runners_up: bool = False,
) -> Evidence:
    """As :func:`gather`: as itself each query has a metric without it, as a stranger one without its class.

    An item is nearer to its class than a new query is, since the metric was fitted to both; and a stranger of
    a class that the metric was fitted to is farther from the others than a real one. So items are left out of
    the metric in folds of each class, and then classes in folds. The gallery to search stays whole.
    """
    gallery = refits.gallery
    asked = queries or Queries(gallery, refits.samples, np.arange(len(gallery.codes)))
    by_item, by_class = item_folds(gallery.codes), _class_folds(gallery.codes)
    of_items = np.where(asked.rows >= 0, by_item[asked.rows], -1)
    if gallery.groups is not None and asked.side.groups is not None:
        by_item, of_items, _ = folds_of_groups(gallery, asked.side, asked.rows)
    is_known = np.isin(asked.side.codes, gallery.codes)
    of_classes = np.where(is_known, by_class[np.where(is_known, asked.side.codes, 0)], -1)
    rest = matcher, n_neighbors, second, runners_up
    known = _known(_parts(refits, asked, of_items, by_item, *rest))
    strangers = _strangers(_parts(refits, asked, of_classes, by_class[gallery.codes], *rest))
    doubts = gather(matcher, n_neighbors, gallery, None if queries is None else queries.side).doubts
    hidden = bool((asked.side.codes >= 0).any())
    return Evidence(**known, **strangers, hidden=hidden, doubts=doubts)


Part = tuple["NDArray[np.intp]", Evidence]  # rows of queries, and the evidence of these


def _parts(
    refits: Refits,
    asked: Queries,
    folds: NDArray[np.intp],
    folds_of_items: NDArray[np.intp],
    matcher: Matcher,
    n_neighbors: int,
    second: bool,
    runners_up: bool,
) -> list[Part]:
    """Evidence of the queries of each fold, under the metric without the items of the fold; -1 has all."""
    parts = []
    for fold in np.unique(folds):
        at = np.flatnonzero(folds == fold)
        side, metric = refits.side_without((folds_of_items == fold) & (fold >= 0))
        embeddings = asked.side.embeddings[at] if metric is None else metric.transform(asked.samples[at])
        is_item = asked.rows[at] >= 0
        embeddings[is_item] = side.embeddings[asked.rows[at][is_item]]  # bit by bit, to be known again
        groups = None if asked.side.groups is None else asked.side.groups[at]
        own = Side(embeddings, asked.side.codes[at], groups)
        parts.append((at, gather(matcher, n_neighbors, side, own, second, runners_up)))
    return parts


def _known(parts: list[Part]) -> dict[str, Any]:
    """What parts say of known queries; `known_rows` are those of all queries."""
    rows = np.concatenate([at[part.known_rows] for at, part in parts])
    order = np.argsort(rows)
    names = ["known_distances", "known_right", "known_classes", "known_matches"]
    out = {name: np.concatenate([getattr(part, name) for _, part in parts])[order] for name in names}
    runners_up = [part.known_runners_up for _, part in parts if part.known_runners_up is not None]
    return out | {
        "known_rows": rows[order],
        "known_runners_up": np.concatenate(runners_up)[order] if runners_up else None,
        "all_distances": np.concatenate([part.all_distances for _, part in parts]),
    }


def _strangers(parts: list[Part]) -> dict[str, Any]:
    """What parts say of strangers, in the order of all queries."""
    order = np.argsort(np.concatenate([at for at, _ in parts]))
    out = {}
    for name in ("stranger_distances", "stranger_classes", "stranger_matches",
                 "second_distances", "second_matches", "second_runners_up"):  # fmt: skip
        values = [getattr(part, name) for _, part in parts]
        out[name] = None if values[0] is None else np.concatenate(values)[order]
    return out


def _class_folds(codes: NDArray[np.integer[Any]]) -> NDArray[np.intp]:
    """Fold of each class code, drawn: neighbouring codes may be alike."""
    folds = np.full(codes.max() + 1, -1)
    present = np.unique(codes)
    folds[np.random.RandomState(0).permutation(present)] = np.arange(len(present)) % _FOLDS
    return folds
