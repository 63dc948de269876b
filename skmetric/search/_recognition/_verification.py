"""Verification: distances of pairs, a threshold for them, and whether they are of one class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skmetric._warning import warn
from skmetric.metrics import verification_report
from skmetric.search._base import SearchBase
from skmetric.search._calibration._calibration import Calibration
from skmetric.search._calibration._gathering._copies import pairs_to_keep, samples_and_themselves
from skmetric.search._calibration._gathering._pairs import calibration_of_pairs

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class Verification(SearchBase):
    """Verification of pairs by :class:`SimilaritySearch`."""

    def pair_distance(self, A: ArrayLike, B: ArrayLike) -> NDArray[np.float64]:
        """Measure the distances of pairs under the learned metric.

        Parameters
        ----------
        A, B : array-like of shape (n_pairs, ...)
            What the embedder takes: row i of `A` goes with row i of `B`.

        Returns
        -------
        ndarray of shape (n_pairs,), float64
            Euclidean distances of embeddings.

        Raises
        ------
        ValueError
            If `A` and `B` differ in their number of rows.
        """
        check_is_fitted(self)
        left, right = self._embed(A), self._embed(B)
        if len(left) != len(right):
            raise ValueError(f"A has {len(left)} rows and B has {len(right)}: a pair takes one of each")
        return np.linalg.norm(left.astype(np.float64) - right, axis=1)

    def calibrate_pairs(
        self,
        A: ArrayLike,
        B: ArrayLike,
        y: ArrayLike,
        *,
        far: Sequence[float] | None = None,
        confidence_level: float = 0.95,
        n_resamples: int = 1000,
        random_state: int | np.random.RandomState | None = 0,
    ) -> Calibration:
        """Choose the largest distance to accept from pairs, for verification of one class or two.

        Parameters
        ----------
        A, B : array-like of shape (n_pairs, ...)
            What the embedder takes.
        y : array-like of shape (n_pairs,)
            Whether each pair is of one class: booleans, 1 and 0, or 1 and -1. Pairs of one class at distance
            0 are a sample and itself, and are left out; more than 5 % of them give a warning.
        far : sequence of float, default=None
            False accept rates, each of which gets a cutpoint, as
            :func:`~skmetric.metrics.verification_report` takes them.
        confidence_level : float, default=0.95
            Of the intervals, in (0, 1).
        n_resamples : int, default=1000
            Bootstrap samples of pairs.
        random_state : int, RandomState instance or None, default=0
            Of the bootstrap.

        Returns
        -------
        Calibration
            Also kept as ``calibration_``. The cutpoint ``"optimal"``, at the equal error rate, is in use;
            `set_cutpoint` chooses another, such as ``"far_0.01"``.

        Raises
        ------
        ValueError
            As :func:`~skmetric.metrics.verification_report`; or if all pairs of one class are at distance 0.

        Notes
        -----
        The rates are those of one pair. `predict` compares each query with the whole gallery: with n items a
        rate of p may become n * p. Use `verify` with this, and `calibrate` before `predict`.
        """
        distances = self.pair_distance(A, B)
        same = np.asarray(y).ravel()
        kept = np.ones(len(distances), dtype=bool)
        if same.shape == kept.shape and same.dtype.kind in "biuf":  # the report refuses others
            kept, said = pairs_to_keep(distances, same > 0)
            for message in said:
                warn(message)
            distances, same = distances[kept], same[kept]
        report = verification_report(
            distances, same, far=far, confidence_level=confidence_level, n_resamples=n_resamples,
            random_state=random_state,
        )  # fmt: skip
        return self._use(
            calibration_of_pairs(report, distances, same > 0, self._gallery.sizes(), confidence_level)
        )

    def verify(self, A: ArrayLike, B: ArrayLike) -> NDArray[np.bool_]:
        """Whether the two samples of each pair are accepted as one class.

        A pair at distance 0, such as a sample and itself, is accepted; of twenty pairs or more, there is a
        warning if more than 5 % are, for the share of pairs accepted then says little about new ones.

        Parameters
        ----------
        A, B : array-like of shape (n_pairs, ...)
            What the embedder takes.

        Returns
        -------
        ndarray of shape (n_pairs,), bool
            Whether their distance is at most that of the cutpoint in use.

        Raises
        ------
        ValueError
            If no cutpoint is in use.
        """
        distances = self.pair_distance(A, B)
        if self.cutpoint_ is None:
            raise ValueError("verify needs a threshold: call calibrate_pairs first")
        if said := samples_and_themselves(distances):
            warn(said)
        return distances <= self._threshold()
