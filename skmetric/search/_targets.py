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
    accepted = np.zeros(len(whole))
    for code in np.unique(classes):
        own = classes == code
        n_others = len(distances) - np.count_nonzero(own)
        if not n_others:  # strangers of one class only
            return whole[0]
        bereft = (evidence.stranger_matches == code) & ~own
        n_most = int(target * n_others) + np.count_nonzero(own) + np.count_nonzero(bereft) + 2
        first = ascending[:n_most]  # of the nearest, that many may go or move away
        first = first[~(own | bereft)[first]]
        left = np.sort(np.concatenate([distances[first], evidence.second_distances[bereft]]))
        limits = _limits(left, n_others, levels, n_classes - (code >= 0), evidence.hidden)
        accepted += np.searchsorted(np.sort(distances[own]), limits, side="left")
    passing = np.flatnonzero(accepted <= target * len(distances) + 1e-9)
    return whole[passing[0]] if len(passing) else -np.inf


def _limits(ascending, n, levels, n_classes, hidden):
    """Distance below which to accept by each rule, from the nearest of `n` strangers."""
    power = (n_classes - 1) / n_classes if hidden else 1.0  # hidden classes face one fewer, see `open_rates`
    allowed = np.floor((1 - (1 - levels) ** power) * n + 1e-9).astype(int)
    by_rate = np.append(ascending, np.inf)[np.minimum(allowed, len(ascending))]
    return np.concatenate([by_rate, ascending[0] * _SHRINKING])
