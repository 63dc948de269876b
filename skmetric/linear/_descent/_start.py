"""The first map of a learner that descends: its last one, the one that is given, or one by name."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, svds

from skmetric.linear._statistics._moments import scatter_of

from ._centred import Centred
from ._initial import check_init, initial_map

_WIDE = 5000  # features of which a square map takes gigabytes, with what L-BFGS keeps of it
_EQUAL = 1e-6  # of float32, relative


def given_map(learner: Any, n_features: int) -> NDArray[np.float64] | None:
    """Return the last map with ``warm_start``, or `init` if it is an array; for rows in the unit of `X`."""
    given = check_init(learner.init, learner.n_components, n_features)
    if not (learner.warm_start and hasattr(learner, "components_")):
        return given
    last = learner.components_.astype(np.float64)
    wanted = (learner.n_components or len(last), n_features)
    if last.shape != wanted:
        raise ValueError(
            f"warm_start=True goes on from a map of shape {last.shape}, and X and n_components ask for "
            f"{wanted}: use the same, or warm_start=False"
        )
    return last


def named_map(
    learner: Any, rows: Centred, codes: NDArray[np.intp], rng: np.random.RandomState
) -> NDArray[np.float64]:
    """First map by the name in `init`, for rows in their own unit."""
    n_features = rows.rows.shape[1]
    n_components = learner.n_components or n_features
    if learner.n_components is None and n_features > _WIDE:
        raise ValueError(
            f"n_components=None learns a map of {n_features} x {n_features} numbers: set n_components, such "
            "as 50, or give init"
        )
    if n_features > _WIDE and learner.init in ("auto", "pca") and n_components < n_features:
        return leading_directions(rows, n_components, rng)
    if n_features > _WIDE and learner.init == "lda":
        raise ValueError(
            f"init='lda' needs matrices of {n_features} x {n_features} numbers: use init='pca', or reduce "
            "the features first, for example with sklearn.decomposition.TruncatedSVD in a pipeline"
        )

    def scatter() -> Any:
        return scatter_of(rows.rows, codes, int(codes.max()) + 1)

    return initial_map(learner.init, scatter, n_features, n_components, rng)


def leading_directions(rows: Centred, n_components: int, rng: np.random.RandomState) -> NDArray[np.float64]:
    """Directions in which rows vary most, (n_components, n_features), without a square matrix.

    Of fewer rows than directions, the directions that are left over are zeros: rows do not vary along them.
    """
    shape = rows.rows.shape
    products = LinearOperator(
        shape,
        dtype=np.float32,
        matvec=lambda direction: rows.embed(direction.reshape(1, -1))[:, 0],
        rmatvec=lambda along: rows.pull(along.reshape(-1, 1))[0],
    )
    along = rows.rows @ rng.standard_normal(shape[1]).astype(np.float32)
    if np.ptp(along) <= _EQUAL * np.abs(along).max():
        return np.eye(n_components, shape[1])  # rows are equal: no direction is better than another
    n_found = min(n_components, min(shape) - 1)
    start = rng.standard_normal(min(shape)).astype(np.float32)
    directions = np.zeros((n_components, shape[1]))
    directions[:n_found] = svds(products, n_found, v0=start, return_singular_vectors="vh")[2][::-1]
    return directions
