"""What each place of an image gives to its embedding, through a network and the steps after it."""

import warnings

import numpy as np
from sklearn.preprocessing import Normalizer

from skmetric._embedding import steps_of
from skmetric.base import MahalanobisMixin

_SLACK = 1e-4  # of the largest value: far above what float32 rounds, far below what one would see
_LENGTHS = {"l1": 1, "l2": 2, "max": np.inf}


def image_parts(estimator, image):
    """What places give to the embedding of an image.

    Parameters
    ----------
    estimator : transformer, pipeline or SimilaritySearch
        Fitted; its first step makes embeddings of images.
    image : array, path or PIL image
        One.

    Returns
    -------
    picture : ndarray of shape (H, W) or (H, W, 3)
        The image as the network is fed it.
    parts : ndarray of shape (n_rows, n_columns, n_components), float64
        They add up to the embedding.
    """
    network, *others = steps_of(estimator) or [estimator]
    picture, rows, grid = _rows_of(network, image)
    for step in others:
        rows = through(step, rows)
    n_places = len(rows) - 1
    parts = rows[:-1] / n_places
    parts += (rows[-1] - parts.sum(axis=0)) / n_places  # what was rounded on the way
    return picture, parts.reshape(*grid, -1)


def _rows_of(network, image):
    """Picture, rows (n_places + 1, n) and grid of the step that holds the network."""
    if not hasattr(network, "_rows_of_places"):
        raise TypeError(
            "SimilarityMapDisplay needs a network on images first, as in FrozenFeatures or "
            f"DeepMetricLearner, and got {type(network).__name__}, whose input has no places: for a linear "
            "learner distance_contributions gives the share of each feature"
        )
    return network._rows_of_places(image)


def through(step, rows):
    """Take rows through a step that is affine, or that scales a row to unit length.

    Parameters
    ----------
    step : transformer
        Fitted.
    rows : ndarray of shape (n_places + 1, n)
        One for each place, then their mean, which is the row of the image.

    Returns
    -------
    ndarray of shape (n_places + 1, n_outputs)
        The like. Lengths are those of the last row for all: of one image they are a number. So is what a
        power makes of a feature: each place gets its share of that.

    Raises
    ------
    ValueError
        If the step does not keep means.
    """
    if isinstance(step, Normalizer):
        return rows / np.linalg.norm(rows[-1], ord=_LENGTHS[step.norm])
    if isinstance(step, MahalanobisMixin):
        rows = rows * _factors(rows[-1], getattr(step, "power_", 1.0))
        rows = _unit(rows) if getattr(step, "normalize_", False) else rows
        rows = rows if getattr(step, "mean_", None) is None else rows - step.mean_
        rows = rows @ step.components_.T
        return _unit(rows) if getattr(step, "normalize_", False) else rows
    if hasattr(step, "_rows_after"):
        return step._rows_after(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of names: rows of a table are an array by now
        outputs = np.asarray(step.transform(rows), dtype=float)
    if np.abs(outputs[:-1].mean(axis=0) - outputs[-1]).max() > _SLACK * np.abs(outputs).max():
        raise ValueError(
            f"{type(step).__name__} is not affine: what it gives for the whole image is not what it gives "
            "for the places together, so the distance does not divide among them; steps after the network "
            "may centre, scale and rotate (StandardScaler, PCA, linear learners) or bring rows to unit "
            "length (Normalizer)"
        )
    return outputs


def _unit(rows):
    return rows / (np.linalg.norm(rows[-1]) or 1)


def _factors(row, power):
    """By what a signed power multiplies each number of a row."""
    return np.power(np.abs(row), power - 1, out=np.zeros_like(row), where=row != 0) if power != 1 else 1.0
