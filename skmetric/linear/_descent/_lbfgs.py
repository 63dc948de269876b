"""L-BFGS over a linear map, each iteration a task of scikit-learn's callbacks."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, minimize

from skmetric._params import FitTasks

Map = NDArray[np.float64]  # (n_components, n_features)


class Descent(NamedTuple):
    """Where a descent ended."""

    components: Map
    value: float
    n_iter: int


def descend(
    value_and_gradient: Callable[[Map], tuple[float, NDArray[np.floating]]],
    start: Map,
    max_iter: int,
    tol: float,
    tasks: FitTasks | None = None,
    fitted: Callable[[Descent], dict[str, Any]] | None = None,
) -> Descent:
    """Minimise a function of a map by L-BFGS, in units of the entries of the first map.

    The path then depends neither on the unit of the features nor on that of the embedding.

    Parameters
    ----------
    value_and_gradient : callable
        From a map to the loss and its gradient of the same shape.
    start : ndarray of shape (n_components, n_features)
        First map.
    max_iter : int
        Iterations at most.
    tol : float
        Stop where an iteration lowers the loss by less than this share of it, or no entry of the gradient is
        larger, in these units.
    tasks : FitTasks, default=None
        Told of each iteration; it may ask to stop.
    fitted : callable, default=None
        From a state of the descent to the fitted attributes, for `tasks`.
    """
    best = Descent(start, np.inf, 0)
    steps, scale = _Steps(max_iter, tasks), float(np.sqrt(np.mean(np.square(start)))) or 1.0

    def flat(entries: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        nonlocal best
        components = scale * entries.reshape(start.shape)
        value, gradient = value_and_gradient(components)
        if value < best.value:  # a line search that fails may return a worse point than it has seen
            best = Descent(components, value, 0)
        return value, scale * gradient.astype(np.float64).ravel()

    def after_iteration(intermediate_result: OptimizeResult) -> None:
        if tasks is not None and fitted is not None:
            components = scale * intermediate_result.x.reshape(start.shape)
            tasks.fitted = partial(fitted, Descent(components, intermediate_result.fun, steps.done + 1))
        if steps.end():
            raise StopIteration
        steps.begin()

    steps.begin()
    result = minimize(
        flat,
        start.ravel() / scale,
        method="L-BFGS-B",
        jac=True,
        callback=after_iteration,
        options={"maxiter": max_iter, "ftol": tol, "gtol": tol, "maxcor": 10},
    )
    steps.close()
    if not np.isfinite(best.value):
        raise ValueError("the loss is not finite at the first map: divide X by a constant, or change init")
    return best._replace(n_iter=max(int(result.nit), steps.done, 1))


class _Steps:
    """Begins and ends of iterations, whose last may be begun and never done."""

    def __init__(self, n_steps: int, tasks: FitTasks | None) -> None:
        self.n_steps, self.tasks, self.done, self.is_open = n_steps, tasks, 0, False

    def begin(self) -> None:
        if self.tasks is not None and self.done < self.n_steps:
            self.tasks.begin()
            self.is_open = True

    def end(self) -> bool:
        stop = self.tasks is not None and self.is_open and self.tasks.end()
        self.done, self.is_open = self.done + 1, False
        return bool(stop)

    def close(self) -> None:
        if self.tasks is not None and self.is_open:
            self.tasks.end()
            self.is_open = False
