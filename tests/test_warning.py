"""Warnings point to the user's line."""

import warnings
from contextlib import contextmanager

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import make_pipeline

from skmetric import _warning
from skmetric._warning import warn


def caught(function):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        function()
    return found


class Warns(TransformerMixin, BaseEstimator):
    """As a class of the package: its file is counted as one."""

    def fit(self, X, y=None):
        warn("look here", RuntimeWarning)
        return self

    def transform(self, X):
        return X


def test_the_line_that_calls_is_named():
    (found,) = caught(lambda: warn("look here"))
    assert (found.filename, found.category) == (__file__, UserWarning)


def test_a_pipeline_of_scikit_learn_is_passed_over():
    (found,) = caught(lambda: make_pipeline(Warns()).fit(np.zeros((2, 1))))
    assert found.filename == __file__


def test_frames_of_the_package_and_of_context_managers_are_passed_over(monkeypatch):
    monkeypatch.setattr(_warning, "_OURS", __file__)

    @contextmanager
    def managed():
        warn("look here")
        yield

    def use():
        with managed():
            pass

    (found,) = caught(use)
    assert found.filename != __file__  # all frames here count as ours


def test_each_warning_is_counted_for_its_own_line():
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("default")
        for _ in range(2):
            warn("look here")
        warn("look here")
    assert len(found) == 2
