"""The loss of neighbourhood components analysis as a function of the map."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from skmetric.linear._descent._batches import grouped_batches
from skmetric.linear._descent._centred import Centred
from skmetric.linear._descent._multiples import first_multiple

from ._soft_neighbors import ExpectedAccuracy, LogLikelihood, value_and_gradient

_SCALED_ON = 512  # rows on which multiples of the first map are compared
_REFUSED = 1e30  # loss of a map whose embeddings overflow: a line search steps back from it

LOSSES: dict[str, type[ExpectedAccuracy] | type[LogLikelihood]] = {
    "sum": ExpectedAccuracy,
    "log": LogLikelihood,
}


@dataclass(frozen=True)
class NCALoss:
    """Minus the mean objective, of one of `LOSSES`, on the sphere or not."""

    objective: str
    temperature: float
    normalize: bool

    def __call__(
        self, components: NDArray[np.floating], rows: Centred, codes: NDArray[np.intp]
    ) -> tuple[float, NDArray[np.floating]]:
        """Loss of a map and its gradient, (n_components, n_features); `codes` must be sorted."""
        objective = LOSSES[self.objective](codes)
        embeddings, back = self._prepare(rows.embed(components))
        value, gradient = value_and_gradient(embeddings, objective)
        if not np.isfinite(value):
            return _REFUSED, np.zeros_like(components)
        scale = 1 / max(objective.n_counted, 1)
        return value * scale, rows.pull(back(gradient)) * scale

    def _prepare(
        self, embeddings: NDArray[np.floating]
    ) -> tuple[NDArray[np.floating], Callable[[NDArray[np.floating]], NDArray[np.floating]]]:
        """Embeddings as the objective takes them, and the way back of the gradient."""
        root = embeddings.dtype.type(1 / np.sqrt(self.temperature))
        if not self.normalize:
            return embeddings * root, lambda gradient: gradient * root
        lengths = np.sqrt(np.einsum("ij,ij->i", embeddings, embeddings))[:, None]
        unit = embeddings / np.maximum(lengths, np.finfo(embeddings.dtype).tiny)

        def back(gradient: NDArray[np.floating]) -> NDArray[np.floating]:
            along = np.einsum("ij,ij->i", gradient, unit)[:, None]
            return root * (gradient - along * unit) / np.where(lengths > 0, lengths, np.inf)

        return unit * root, back


def best_multiple(
    loss: NCALoss,
    components: NDArray[np.float64],
    rows: Centred,
    codes: NDArray[np.intp],
    rng: np.random.RandomState,
) -> float:
    """Factor of the first map under which some rows are likeliest; on the sphere none matters.

    By their logarithms, since the sum of probabilities is often best where each row draws its nearest
    neighbour for sure, and there its gradient is 0.
    """
    if loss.normalize:
        return 1.0
    some = next(grouped_batches(codes, min(_SCALED_ON, len(codes)), rng))
    part, likelihood = rows.take(some), replace(loss, objective="log")
    root = float(np.sqrt(loss.temperature))
    return root * first_multiple(
        lambda scaled: likelihood(root * scaled, part, codes[some])[0], components, part
    )
