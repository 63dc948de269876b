"""The embedder of a search: used as it is if it is fitted, otherwise a fitted copy; known again later."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skmetric._embedding import check_embeds, check_euclidean, check_steps_fitted

from ._fingerprint import Fingerprint, difference, fingerprint_of, stamp_of


def fitted_embedder(embedder: Any, X: Any = None, y: Any = None, context: Any = None) -> Any:
    """Return the embedder if it is fitted, otherwise a clone that is fitted on samples.

    NotFittedError without samples, where a gallery is there already; an error too if nothing in it transforms
    or its distance is not Euclidean. Callbacks of a `context` are told of its fit.
    """
    try:
        check_steps_fitted(embedder)
    except NotFittedError:
        if X is None:
            raise NotFittedError(
                f"embedder={type(embedder).__name__} is not fitted: give the one that made the "
                "embeddings of the gallery, the search's embedder_"
            ) from None
        fitted = clone(embedder)
        takes_callbacks = context is not None and hasattr(fitted, "set_callbacks")
        with context.propagate_callback_context(fitted) if takes_callbacks else nullcontext():
            fitted = fitted.fit(X) if y is None else fitted.fit(X, y)
    else:
        fitted = embedder
    name = f"embedder={type(fitted).__name__}"
    check_embeds(fitted, name)
    check_euclidean(fitted, "a search", name)
    return fitted


class KnownEmbedder:
    """The embedder that made the embeddings of a gallery, known by its fingerprint.

    `check` reads all arrays of an embedder once; after that, and as long as its stamp is the same, the stamp
    is all that is compared.
    """

    def __init__(self, fingerprint: Fingerprint, stamp: tuple[Any, ...] | None = None) -> None:
        self.fingerprint = fingerprint
        self._stamp = stamp  # of the embedder that was last found to be the same

    @classmethod
    def of(cls, embedder: Any) -> KnownEmbedder | None:
        """Know an embedder as it is now; None where there is none."""
        if embedder is None:
            return None
        stamp = stamp_of(embedder)
        return cls(fingerprint_of(embedder), stamp)

    @classmethod
    def of_json(cls, described: Any) -> KnownEmbedder | None:
        """The one whose `fingerprint` JSON holds; None where it holds none."""
        try:
            parts = [(str(name), dict(digests)) for name, digests in described or ()]
        except (TypeError, ValueError):  # edited by hand, on a server
            return None
        if not parts:
            return None
        return cls([(name, {str(k): str(v) for k, v in digests.items()}) for name, digests in parts])

    def check(self, embedder: Any, where: str = "the gallery") -> None:
        """Raise a ValueError if an embedder differs from this one."""
        stamp = stamp_of(embedder)
        if stamp == self._stamp:
            return
        said = difference(self.fingerprint, fingerprint_of(embedder))
        if said is not None:
            raise ValueError(
                f"the embedder is not the one that made the embeddings of {where}: {said}. Distances between "
                "embeddings of two embedders mean nothing. Use the embedder of the gallery, or give the "
                "gallery embeddings of this one: reembed(X) with the samples of all items, or fit again. "
                "check_embedder=False goes on without this check"
            )
        self._stamp = stamp

    def __getstate__(self) -> dict[str, Any]:
        return {"fingerprint": self.fingerprint, "_stamp": None}  # it holds in one process
