"""Thresholds of classes in :class:`SimilaritySearch`: chosen, used, and given up with their class."""

from dataclasses import replace

import numpy as np

from ._calibration._class_factors import class_factors, scaled


class ByClassMixin:
    """Thresholds of classes of :class:`SimilaritySearch`."""

    def _with_factors(self, evidence, labels):
        """Evidence over the factors of classes, and the factors by label."""
        if evidence.second_distances is None:
            raise ValueError("per_class=True compares classes: the gallery must have three or more")
        if min(evidence.known_distances.min(), evidence.stranger_distances.min()) < 0:
            raise ValueError(f"per_class=True scales distances: matcher={self.matcher!r} gives some below 0")
        factors = class_factors(evidence)
        names = labels.decode(np.fromiter(factors.by_class, dtype=int)).tolist()
        return scaled(evidence, factors), dict(zip(names, factors.by_class.values(), strict=True))

    def _over_factors(self, distances, names):
        """Distances of matches to classes `names`, as the common threshold takes them."""
        factors = self._factors()
        if not factors:
            return distances
        return distances / np.array([factors.get(name, 1.0) for name in names.tolist()])

    def _drop_factors_of_absent_classes(self):
        """A class that has left takes its threshold with it: under its name others may come."""
        factors = self._factors()
        gone = factors.keys() - set(self.classes_.tolist()) if factors else ()
        if gone:
            kept = {name: factor for name, factor in factors.items() if name not in gone}
            self.calibration_ = replace(self.calibration_, class_factors=kept)

    def _factors(self):
        return self.calibration_.class_factors if hasattr(self, "calibration_") else {}
