"""The loss of large margin nearest neighbours as a function of the map."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from skmetric.linear._descent._batches import grouped_batches
from skmetric.linear._descent._centred import Centred
from skmetric.linear._descent._multiples import first_multiple

from ._impostors import ImpostorSearch, Pairs
from ._targets import target_neighbors

_SCALED_ON = 512  # rows on which multiples of the first map are compared
_FLUSH = 1 << 20  # pairs whose weights are collected before they are multiplied
_REFUSED = 1e30  # mean loss of a map whose embeddings overflow: a line search steps back from it
Hinge = Literal["hinge", "squared_hinge"]


class LMNNLoss:
    """``r sum_ij d_ij^2 + (1 - r) sum_ijl [margin + d_ij^2 - d_il^2]_+``, divided by the number of rows.

    i is a row, j one of its target neighbours, l a row of another class (equation 13 of Weinberger and Saul,
    with mu = 1 - r). The squared hinge squares the last bracket.

    Parameters
    ----------
    rows : Centred
        Samples, sorted by class.
    codes : ndarray of shape (n,)
        Class of each.
    targets : ndarray of shape (n, n_neighbors)
        Numbers of the target neighbours, -1 for none.
    margin : float
        On squared distances.
    hinge : {"hinge", "squared_hinge"}
        Of a triplet.
    pull : float
        r.
    """

    def __init__(
        self,
        rows: Centred,
        codes: NDArray[np.intp],
        targets: NDArray[np.intp],
        margin: float,
        hinge: Hinge,
        pull: float,
    ) -> None:
        self.rows, self.targets, self.margin, self.hinge, self.pull = rows, targets, margin, hinge, pull
        self.search = ImpostorSearch(codes)
        self.has_target = targets >= 0

    def __call__(self, components: NDArray[np.floating]) -> tuple[float, NDArray[np.floating]]:
        """Mean loss of a map and its gradient, (n_components, n_features)."""
        embeddings = self.rows.embed(components)
        value, gradient = self.of_embeddings(embeddings)
        if not np.isfinite(value):
            return _REFUSED, np.zeros_like(components)
        return value / len(embeddings), self.rows.pull(gradient) / len(embeddings)

    def of_embeddings(self, embeddings: NDArray[np.floating]) -> tuple[float, NDArray[np.floating]]:
        """Loss of the embeddings, and its gradient of shape (n, n_components)."""
        squares = self._target_squares(embeddings)  # (n, n_neighbors), -inf where there is none
        value = self.pull * float(squares[self.has_target].sum(dtype=np.float64))
        weights = self.pull * self.has_target.astype(embeddings.dtype)
        forces = _Forces(embeddings)
        for pairs in self.search(embeddings, self.margin + squares.max(axis=1)):
            value += self._push(pairs, squares, weights, forces)
        own, neighbor = np.nonzero(self.has_target)
        forces.add(own, self.targets[own, neighbor], weights[own, neighbor])
        return value, forces.gradient()

    def _target_squares(self, embeddings: NDArray[np.floating]) -> NDArray[np.floating]:
        squares = np.full(self.targets.shape, -np.inf, embeddings.dtype)
        for column, (targets, exists) in enumerate(zip(self.targets.T, self.has_target.T, strict=True)):
            difference = embeddings[exists] - embeddings[targets[exists]]
            squares[exists, column] = np.einsum("ij,ij->i", difference, difference)
        return squares

    def _push(
        self,
        pairs: Pairs,
        squares: NDArray[np.floating],
        weights: NDArray[np.floating],
        forces: "_Forces",
    ) -> float:
        """Loss of the triplets of some pairs; adds to the `weights` of targets and to the `forces`."""
        value, push = 0.0, 1 - self.pull
        forces_of_pairs = np.zeros(len(pairs.rows), weights.dtype)
        for column in range(squares.shape[1]):
            violation = np.maximum(self.margin + squares[pairs.rows, column] - pairs.squares, 0)
            if self.hinge == "hinge":
                value += push * float(violation.sum(dtype=np.float64))
                slope = push * (violation > 0).astype(weights.dtype)
            else:
                value += push * float(np.square(violation, dtype=np.float64).sum())
                slope = 2 * push * violation
            forces_of_pairs -= slope
            weights[:, column] += np.bincount(pairs.rows, slope, minlength=len(weights))
        forces.add(pairs.rows, pairs.impostors, forces_of_pairs)
        return value


def best_multiple(
    loss: LMNNLoss, components: NDArray[np.float64], codes: NDArray[np.intp], rng: np.random.RandomState
) -> float:
    """Factor of the first map with the least loss on some rows, with target neighbours among them."""
    some = next(grouped_batches(codes, min(_SCALED_ON, len(codes)), rng))
    rows, codes = loss.rows.take(some), codes[some]
    targets = target_neighbors(rows, codes, loss.targets.shape[1])
    part = LMNNLoss(rows, codes, targets, loss.margin, loss.hinge, loss.pull)
    return first_multiple(lambda scaled: part(scaled)[0], components, rows)


class _Forces:
    """Sum over weighted pairs of the gradient of ``w |e_i - e_l|^2``, few pairs in memory at a time."""

    def __init__(self, embeddings: NDArray[np.floating]) -> None:
        self.embeddings, self.total = embeddings, np.zeros_like(embeddings)
        self.pairs: list[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.floating]]] = []
        self.n_pairs = 0

    def add(self, first: NDArray[np.intp], second: NDArray[np.intp], weights: NDArray[np.floating]) -> None:
        self.pairs.append((first, second, weights))
        self.n_pairs += len(first)
        if self.n_pairs > _FLUSH:
            self._flush()

    def gradient(self) -> NDArray[np.floating]:
        self._flush()
        return self.total

    def _flush(self) -> None:
        """Of a symmetric matrix W of weights the gradient is ``2 (diag(W 1) - W) e``."""
        if not self.pairs:
            return
        n = len(self.embeddings)
        first, second, weights = (np.concatenate(side) for side in zip(*self.pairs, strict=True))
        half = csr_array((weights, (first, second)), shape=(n, n))
        degrees = np.bincount(first, weights, n) + np.bincount(second, weights, n)
        pulled = half @ self.embeddings + half.T @ self.embeddings
        self.total += 2 * (degrees.astype(pulled.dtype)[:, None] * self.embeddings - pulled)
        self.pairs, self.n_pairs = [], 0
