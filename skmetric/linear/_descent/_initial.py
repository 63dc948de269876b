"""Where descent starts: a linear map without labels, from labels, at random, or given."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from skmetric.linear._closed_form._scatter import ClassScatter
from skmetric.linear._closed_form._whitening import components, principal, whiten

Init = Literal["auto", "pca", "lda", "identity", "random"]
NAMES: frozenset[str] = frozenset({"auto", "pca", "lda", "identity", "random"})
_SHRINKAGE = 0.1  # of the covariance inside classes, so that it has an inverse


def check_init(init: Any, n_components: int | None, n_features: int) -> NDArray[np.float64] | None:
    """Return the map that `init` gives as an array, or None if it is a name; say what is wrong with it."""
    if isinstance(init, str):
        return None
    given = np.array(init, dtype=np.float64)
    if given.ndim != 2 or given.shape[1] != n_features or (n_components or len(given)) != len(given):
        needed = (n_components or "n_components", n_features)
        raise ValueError(
            f"init has shape {given.shape}, and must be ({needed[0]}, {needed[1]}): n_components by the "
            "number of features of X"
        )
    if len(given) > n_features:
        raise ValueError(f"init has {len(given)} rows, more than the {n_features} features of X")
    if not np.isfinite(given).all():
        raise ValueError("init contains NaN or infinity")
    return given


def initial_map(
    init: str,
    make_scatter: Callable[[], ClassScatter],
    n_features: int,
    n_components: int,
    rng: np.random.RandomState,
) -> NDArray[np.float64]:
    """First map by name, (n_components, n_features).

    "auto" is the identity if all directions are kept, else the principal directions. Statistics of the
    samples are made where they are needed.
    """
    if init == "auto":
        init = "identity" if n_components == n_features else "pca"
    if init == "identity":
        return np.eye(n_components, n_features)
    if init == "random":
        return rng.standard_normal((n_components, n_features))
    scatter = make_scatter()
    n_classes = len(scatter.means)
    if init == "pca":
        return eigh(scatter.covariance())[1].T[::-1][:n_components]  # type: ignore[no-any-return]
    if n_components > n_classes - 1:
        raise ValueError(
            f"init='lda' gives at most n_classes - 1 = {n_classes - 1} directions, and the map has "
            f"{n_components}: set n_components to {n_classes - 1} or less, or use init='pca'"
        )
    return principal(components(whiten(scatter, _SHRINKAGE), 0.0, "lda"), scatter.covariance(), n_components)
