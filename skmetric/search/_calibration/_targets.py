"""Thresholds for targets: a rate and its value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from skmetric.search._columns._types import text_fault

from ._gathering._evidence import Evidence
from ._rates import CLOSED, OPEN, at_most

_LEVELS = 101
_SHRINKING = 0.98 ** np.arange(1, 400)


def check_rates(protocol: str, metric: str, targets: object, extra_metrics: Iterable[str] | None) -> None:
    """Refuse rates that the protocol does not have, and targets that are not a rate and its value."""
    known = OPEN if protocol == "open" else CLOSED
    if targets is not None and not isinstance(targets, Mapping):
        raise ValueError(
            f"targets must be a dict of names to rates and values, as {{'strict': ('precision', 0.9)}}; got "
            f"{targets!r}"
        )
    if isinstance(extra_metrics, str):
        raise ValueError(f"extra_metrics must be a list of rates; got {extra_metrics!r}, give it in a list")
    if metric in known and at_most(metric):
        raise ValueError(f"metric={metric!r} is a rate to keep low, and 'optimal' maximises: use targets")
    targets = dict(targets or {})
    for name, target in targets.items():
        if not isinstance(name, str):
            raise ValueError(f"targets: the name of a cutpoint is text, as 'strict'; got {name!r}")
        if fault := text_fault(name):
            raise ValueError(f"targets: the name {name[:40]!r} of a cutpoint has {fault}: take it out")
        if name == "optimal":
            raise ValueError("targets: 'optimal' is the name of the cutpoint of metric; choose another")
        if not isinstance(target, tuple | list) or len(target) != 2:
            raise ValueError(
                f"targets[{name!r}] must be a rate and its value, as ('precision', 0.9); got {target!r}"
            )
    asked = [metric, *(extra_metrics or ()), *(rate for rate, _ in targets.values())]
    for rate in asked:
        if rate not in known:
            raise ValueError(f"{rate!r} is not a rate of this protocol, which has {', '.join(known)}")
    for name, (rate, value) in targets.items():
        _check_value(name, rate, value)


def _check_value(name, rate, value):
    """Refuse values that everyone or nobody meets: 1 is often meant as 1 %."""
    if isinstance(value, Real) and not isinstance(value, bool) and 0 < float(value) < 1:
        return
    meant = "0.01 means 1 %"
    if isinstance(value, Real) and 1 <= float(value) <= 100:
        meant = f"{float(value) / 100:g} means {float(value):g} %"
    raise ValueError(
        f"targets[{name!r}] must ask for a value from 0 to 1, neither 0 nor 1: {meant}; got "
        f"{rate!r} of {value!r}"
    )


def check_known(evidence: Evidence, protocol: str, targets: Mapping[str, tuple[str, float]] | None) -> None:
    """Refuse evidence without known queries, unless strangers are enough for what was asked."""
    asks_for_strangers = any(at_most(rate) for rate, _ in (targets or {}).values())
    has_strangers = bool((evidence.stranger_classes < 0).any())
    if len(evidence.known_distances) or (protocol == "open" and (asks_for_strangers or has_strangers)):
        return
    raise ValueError(
        "no query has an item of its class to find: two items of a class are needed. With one item a class, "
        "ask for false accepts, as targets={'strict': ('false_accept_rate', 0.01)}, or give strangers in X"
    )


def largest_that_meets(rates: Mapping[str, NDArray], name: str, rate: str, value: float) -> int:
    """Row of the largest distance that meets a target; recall grows with distance and takes the smallest."""
    column = rates[rate]
    if np.isnan(column).all():
        raise ValueError(
            f"targets[{name!r}] asks for {rate}, and no query has an item of its class to find: ask for "
            "'false_accept_rate', or enrol a second item of some classes"
        )
    met = np.flatnonzero(column <= value if at_most(rate) else column >= value)
    if not len(met):
        best = column.min() if at_most(rate) else column.max()
        raise ValueError(
            f"targets[{name!r}] asks for {rate} {'at most' if at_most(rate) else 'at least'} {value}; no "
            f"threshold reaches that, the best has {best:.3g}"
        )
    return int(met[0] if rate == "recall" else met[-1])


def limit_for_target(evidence: Evidence, target: float, n_classes: int) -> float:
    """The distance below which strangers are accepted, so that those of a new class keep `target`.

    The largest distance whose rate meets a target was chosen because its rate is low on these classes; on
    other classes the rate is higher, most where classes are few. So the choice is made without each class in
    turn and judged on that class (leave-one-out cross-validation of the choice), for stricter and stricter
    rules: first lower rates, then parts of the distance of the nearest stranger. The first rule that passes
    is taken.

    A class that is left out must be missing from the gallery too. Two classes that look alike are each the
    match of the other's strangers: if one stayed in the gallery, the choice would know of the other, and a
    real stranger has no such look-alike there. So strangers whose match is left out take their second one.
    """
    distances, classes = evidence.stranger_distances, evidence.stranger_classes
    ascending = np.argsort(distances, kind="stable")
    levels = target * np.linspace(1, 0, _LEVELS)
    whole = _limits(distances[ascending], len(distances), levels, n_classes, evidence.hidden, evidence.floor)
    if evidence.second_distances is None:  # of two classes none is left to choose on
        return whole[0]
    accepted, gone = np.zeros(len(whole)), np.zeros(len(distances), dtype=bool)
    rows_of_class, rows_of_match = _rows(classes), _rows(evidence.stranger_matches)
    if len(rows_of_class) < 2:  # strangers of one class only
        return whole[0]
    for code, own in rows_of_class.items():
        bereft = rows_of_match.get(code, own[:0])  # never its own: a stranger's class is not there
        n_others = len(distances) - len(own)
        gone[own] = gone[bereft] = True
        first = ascending[: int(target * n_others) + len(own) + len(bereft) + 2]  # as many may be gone
        left = np.sort(np.concatenate([distances[first[~gone[first]]], evidence.second_distances[bereft]]))
        gone[own] = gone[bereft] = False
        limits = _limits(left, n_others, levels, n_classes - (code >= 0), evidence.hidden, evidence.floor)
        accepted += np.searchsorted(np.sort(distances[own]), limits, side="left")
    passing = np.flatnonzero(accepted <= target * len(distances) + 1e-9)
    return whole[passing[0]] if len(passing) else -np.inf


def _rows(codes):
    """Rows of each code, by code."""
    order = np.argsort(codes, kind="stable")
    unique, starts = np.unique(codes[order], return_index=True)
    return dict(zip(unique.tolist(), np.split(order, starts[1:]), strict=True))


def _limits(ascending, n, levels, n_classes, hidden, floor):
    """Distance below which to accept by each rule, from the nearest of `n` strangers on.

    None is below `floor`.
    """
    power = (n_classes - 1) / n_classes if hidden else 1.0  # hidden classes face one fewer, see `open_rates`
    allowed = np.floor((1 - (1 - levels) ** power) * n + 1e-9).astype(int)
    by_rate = np.append(ascending, np.inf)[np.minimum(allowed, len(ascending))]
    return np.concatenate([by_rate, floor + (ascending[0] - floor) * _SHRINKING])
