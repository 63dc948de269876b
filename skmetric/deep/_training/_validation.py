"""Retrieval scores of samples held out, while training goes on."""

from functools import partial

from sklearn.base import BaseEstimator

from skmetric.metrics import RetrievalScorer
from skmetric.retrieval import iter_rankings


def make_scorer(scoring):
    """Scorer ``(estimator, X, y) -> dict`` from names of retrieval scores or from a scorer."""
    if callable(scoring):
        return partial(_as_dict, scoring, "score")
    names = [scoring] if isinstance(scoring, str) else list(scoring)
    return partial(_as_dict, RetrievalScorer(*names), names[0])


def _as_dict(scorer, name, estimator, X, y):
    scores = scorer(estimator, X, y)
    scores = scores if isinstance(scores, dict) else {name: scores}
    return {f"validation_{name}": float(score) for name, score in scores.items()}


class Embedder(BaseEstimator):
    """What a scorer sees while training goes on: a transformer around the network as it is now."""

    def __init__(self, embed, rankings=iter_rankings):
        self.embed = embed
        self.rankings = rankings

    def _iter_rankings(self, *sides, **settings):
        """How embeddings are ranked."""
        return self.rankings(*sides, **settings)

    def transform(self, X):
        """Embeddings of samples."""
        return self.embed(X)
