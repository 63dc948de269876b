"""Two samples: one class or two? A threshold from pairs, as face verification has it."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skmetric.metrics import verification_report

from ._calibration._calibration import Calibration


class VerifyingMixin:
    """Verification by :class:`SimilaritySearch`."""

    def pair_distance(self, A, B):
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
            If there are more rows on one side.
        """
        check_is_fitted(self)
        left, right = self._embed(A), self._embed(B)
        if len(left) != len(right):
            raise ValueError(f"A has {len(left)} rows and B has {len(right)}: a pair takes one of each")
        return np.linalg.norm(left.astype(np.float64) - right, axis=1)

    def calibrate_pairs(self, A, B, y, *, far=None, confidence_level=0.95, n_resamples=1000, random_state=0):
        """Choose the largest distance to accept from pairs, for verification of one class or two.

        Parameters
        ----------
        A, B : array-like of shape (n_pairs, ...)
            What the embedder takes.
        y : array-like of shape (n_pairs,)
            Whether each pair is of one class: booleans, 1 and 0, or 1 and -1.
        far : sequence of float, default=None
            False accept rates at which to have a cutpoint each, as
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
            Also kept as ``calibration_``, with the cutpoints ``"optimal"``, at the equal error rate and in
            use, and ``"far_0.01"`` and its like, for `set_cutpoint`.

        Raises
        ------
        ValueError
            As :func:`~skmetric.metrics.verification_report`.

        Notes
        -----
        The rates are those of one pair. `predict` holds each query against the whole gallery: with n items a
        rate of p may become n * p. Use `verify` with this, and `calibrate` before `predict`.
        """
        distances = self.pair_distance(A, B)
        report = verification_report(
            distances, y, far=far, confidence_level=confidence_level, n_resamples=n_resamples,
            random_state=random_state,
        )  # fmt: skip
        same = np.asarray(y).ravel() > 0
        at = np.unique(distances)
        at = np.concatenate([[np.nextafter(at[0], -np.inf)], at])
        rates = {
            "true_accept_rate": np.searchsorted(np.sort(distances[same]), at, side="right") / same.sum(),
            "false_accept_rate": np.searchsorted(np.sort(distances[~same]), at, side="right") / (~same).sum(),
        }
        cutpoints, intervals = {}, {}
        for score, threshold in report.thresholds.items():
            name = "optimal" if score == "eer" else score.removeprefix("tar_at_")
            row = np.searchsorted(at, threshold, side="right") - 1
            cutpoints[name] = {"distance": threshold, **{rate: float(rates[rate][row]) for rate in rates}}
            if score != "eer":
                intervals[name] = {"true_accept_rate": report.intervals[score]}
        sizes = self._gallery.sizes()
        self.calibration_ = Calibration(
            cutpoints, intervals, {"distance": at, **rates}, "pairs", "equal_error_rate", *sizes,
            report.n_same, report.n_different, confidence_level,
        )  # fmt: skip
        self._has_warned_of_growth = True  # a pair does not know the gallery
        return self.set_cutpoint("optimal").calibration_

    def verify(self, A, B):
        """Whether the two of each pair are taken for one class.

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
        return distances <= self._threshold()
