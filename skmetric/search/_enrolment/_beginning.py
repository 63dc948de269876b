"""Embeddings of a whole gallery, after fitting what has to be fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skmetric._embedding import check_euclidean, steps_of
from skmetric.search._base import SearchBase
from skmetric.search._embedder._refitted import check_refittable, refitted, samples_of
from skmetric.search._progress import silent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skmetric.search._progress import Step


class Beginning(SearchBase):
    """What starting a gallery and embedding it anew share."""

    def _embed_first(
        self, X: Any, y: Any, is_shared: bool = False, step: Step = silent
    ) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
        """Embeddings of the whole gallery, after fitting what has to be fitted; what is kept besides."""
        if not self.adapt_metric:
            with step("fit embedder") as context:
                self.embedder_ = self._fitted_embedder(X, y, context)
            return self._embed_in_steps(X, step, reset=True), {}
        if is_shared:
            raise ValueError(
                "adapt_metric=True keeps the samples of the gallery in memory, and the index is on a server: "
                "call partial_fit(X, y, choose=True) of the learner before fit, with adapt_metric=False"
            )
        check_refittable(self.embedder, y)
        check_euclidean(self.embedder, "a search")
        with step("fit embedder"):
            samples, self._refit_from = samples_of(self.embedder, X), steps_of(self.embedder)[-1].shrinkage_
            self.embedder_ = refitted(self.embedder, samples, y)
        with step("embed"):
            embeddings = self._embed(samples, reset=True, last=steps_of(self.embedder_)[-1])
        return embeddings, {"samples": samples}
