"""Classes held out while training, and the retrieval scores of their samples."""

import math
from functools import partial

import numpy as np
from sklearn.base import BaseEstimator

from skmetric.metrics import RetrievalScorer
from skmetric.model_selection import ClassDisjointShuffleSplit
from skmetric.retrieval import iter_rankings

_DEFAULT = 0.2  # share of classes that early stopping holds out where nothing else is said


def split_classes(codes, fraction, early_stopping, seed):
    """Rows to train on and rows of other classes to score.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,)
        Classes from 0.
    fraction : float or None
        Share of the classes to score on, at least two; None is 0.2 with early stopping, else 0.
    early_stopping : bool
        Whether training stops by the score.
    seed : int
        Draws the classes.

    Returns
    -------
    ndarray
        Row numbers; the second is empty where nothing is held out.
    """
    if fraction is None:
        fraction = _DEFAULT if early_stopping else 0.0
    if fraction == 0:
        if early_stopping:
            raise ValueError("early_stopping=True needs classes to score on: validation_fraction is 0")
        return np.arange(len(codes)), np.empty(0, dtype=int)
    n_classes = codes.max() + 1
    if n_classes < 4:
        raise ValueError(
            f"y has {n_classes} classes; validation_fraction={fraction:g} needs two to train on and two to "
            "score on: use validation_fraction=0 and early_stopping=False"
        )
    n_held_out = min(max(2, math.ceil(fraction * n_classes)), n_classes - 2)
    splitter = ClassDisjointShuffleSplit(1, test_size=n_held_out, random_state=seed)
    return next(splitter.split(codes, codes))


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
