"""The threshold for a target on false accepts, so that classes which did not choose it keep the target."""

import numpy as np

_LEVELS = 101
_SHRINKING = 0.98 ** np.arange(1, 400)


def limit_for_target(evidence, target, n_classes):
    """Strangers are to be accepted below this distance, so that those of a new class keep `target`.

    The largest distance whose rate meets a target is chosen for looking good, and looks better than it is:
    most where classes are few. So the choice is made without each class in turn and judged on it
    (leave-one-out cross-validation of the choice), for stricter and stricter rules: first lower rates, then
    parts of the distance at which the first stranger comes. The first rule that passes is taken.

    A class that is left out must be missing from the gallery too. Two classes that look alike are each the
    match of the other's strangers: what is left of one there would tell the choice about the other, and no
    such friend speaks for a true stranger. So strangers whose match is left out take their second one.
    """
    distances, classes = evidence.stranger_distances, evidence.stranger_classes
    ascending = np.argsort(distances, kind="stable")
    levels = target * np.linspace(1, 0, _LEVELS)
    whole = _limits(distances[ascending], len(distances), levels, n_classes, evidence.hidden)
    if evidence.second_distances is None:  # two classes: without one of them nobody is left to choose
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
        limits = _limits(left, n_others, levels, n_classes - (code >= 0), evidence.hidden)
        accepted += np.searchsorted(np.sort(distances[own]), limits, side="left")
    passing = np.flatnonzero(accepted <= target * len(distances) + 1e-9)
    return whole[passing[0]] if len(passing) else -np.inf


def _rows(codes):
    """Rows of each code, by code."""
    order = np.argsort(codes, kind="stable")
    unique, starts = np.unique(codes[order], return_index=True)
    return dict(zip(unique.tolist(), np.split(order, starts[1:]), strict=True))


def _limits(ascending, n, levels, n_classes, hidden):
    """Distance below which to accept by each rule, from the nearest of `n` strangers."""
    power = (n_classes - 1) / n_classes if hidden else 1.0  # hidden classes face one fewer, see `open_rates`
    allowed = np.floor((1 - (1 - levels) ** power) * n + 1e-9).astype(int)
    by_rate = np.append(ascending, np.inf)[np.minimum(allowed, len(ascending))]
    return np.concatenate([by_rate, ascending[0] * _SHRINKING])
