"""The loss of kernel regression as a function of the map."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skmetric.linear._descent._centred import Centred
from skmetric.linear._descent._multiples import first_multiple

from ._soft_neighbors import SquaredError, block_width, product_factors, softmax_rows, value_and_gradient

_SCALED_ON = 512  # rows on which multiples of the first map are compared
_REFUSED = 1e30  # loss of a map whose embeddings overflow: a line search steps back from it


@dataclass(frozen=True)
class MLKRLoss:
    """Mean squared error of predicting each target by the others."""

    rows: Centred
    targets: NDArray[np.float32]  # of variance about 1

    def __call__(self, components: NDArray[np.floating]) -> tuple[float, NDArray[np.floating]]:
        """Loss of a map and its gradient, (n_components, n_features)."""
        value, gradient = value_and_gradient(self.rows.embed(components), SquaredError(self.targets))
        if not np.isfinite(value):
            return _REFUSED, np.zeros_like(components)
        return value / len(self.rows), self.rows.pull(gradient) / len(self.rows)


def best_multiple(loss: MLKRLoss, components: NDArray[np.float64], rng: np.random.RandomState) -> float:
    """Factor of the first map with the least error on some rows."""
    some = rng.permutation(len(loss.rows))[:_SCALED_ON]
    part = MLKRLoss(loss.rows.take(some), loss.targets[some])
    return first_multiple(lambda scaled: part(scaled)[0], components, part.rows)


def predict_from_others(embeddings: NDArray[np.float64], targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of the targets of the other rows with weights exp(-d^2), (n_samples,)."""
    n, k = embeddings.shape
    factors = product_factors(embeddings - embeddings.mean(axis=0))
    predicted = np.empty(n)
    width = block_width(n)
    for start in range(0, n, width):
        rows = slice(start, min(start + width, n))
        logits = factors[rows, :k] @ factors[:, :k].T + factors[:, k]
        logits[np.arange(len(logits)), np.arange(start, rows.stop)] = -np.inf
        sums = softmax_rows(logits)
        predicted[rows] = logits @ targets / sums[:, 0]
    return predicted
