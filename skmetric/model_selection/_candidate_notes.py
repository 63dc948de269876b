"""The candidate of a search in the error that ended it."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

_EVALUATION = "candidate-split-evaluation"  # scikit-learn's name of the fit of a candidate on a fold
_FITTED, _SCORED = "being fitted", "fitted, and perhaps being scored"


class CandidateNotes:
    """Name the candidates that were running when an error ended a search over parameters.

    A callback of scikit-learn's ``GridSearchCV``, ``RandomizedSearchCV`` and their halving kinds. When a
    worker process is lost, killed by the system for its memory for example, joblib raises an error that does
    not tell what the process was doing. With this callback the error gets a note, which a traceback shows,
    with the parameters and the fold of each candidate that was being fitted or scored.

    Parameters
    ----------
    folder : str or path-like, default=None
        Where the worker processes write what they are doing, in a temporary folder in it. None is the folder
        for temporary files, which all processes of one machine share. For a cluster name a folder that all
        machines share.

    See Also
    --------
    sklearn.model_selection.GridSearchCV : The search that takes callbacks.

    Notes
    -----
    joblib ends the other worker processes too when it has lost one, so as many candidates are named as there
    are workers. Parameters are known of a Pipeline and of the estimators of this package, which support
    callbacks. For other estimators the note has the number of the candidate and of the fold.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skmetric import MetricLearner
    >>> from skmetric.model_selection import CandidateNotes
    >>> grid = {"shrinkage": [(0.3, 0.1), (2.0, 0.1)]}
    >>> search = GridSearchCV(MetricLearner(), grid, error_score="raise").set_callbacks(CandidateNotes())
    >>> try:
    ...     search.fit(*load_digits(return_X_y=True))
    ... except ValueError as error:
    ...     print(error.__notes__[0])
    When the search ended, these candidates were being fitted: shrinkage=(2.0, 0.1), fold 1 of 5
    """

    max_propagation_depth = 1  # of scikit-learn: the estimator inside the search, and nothing inside it

    def __init__(self, folder: str | os.PathLike | None = None) -> None:
        self.folder = folder
        self._names: list[str] = []
        self._written: str | None = None

    def setup(self, estimator: Any, context: Any) -> None:
        """Begin a search: make the folder.

        Parameters
        ----------
        estimator : estimator
            The search.
        context : sklearn.callback.CallbackContext
            Its task.
        """
        self._names = sorted(_names_of(estimator))
        self._written = tempfile.mkdtemp(prefix="candidates-", dir=self.folder)

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Write down that a candidate begins, and its parameters once they are seen.

        Parameters
        ----------
        estimator : estimator
            The search, or the candidate.
        context : sklearn.callback.CallbackContext
            The task that begins.
        """
        if not _is_evaluation(context):
            return
        known = {} if context.task_name == _EVALUATION else estimator.get_params()
        named = [f"{name}={known[name]!r}" for name in self._names if name in known]
        self._write({"parameters": ", ".join(named), "number": context.task_id, "stage": _FITTED})

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        """Forget a candidate that ended, or write down that its scores are computed now.

        Parameters
        ----------
        estimator : estimator
            The search, or the candidate.
        context : sklearn.callback.CallbackContext
            The task that ends.
        """
        if context.task_name == _EVALUATION:
            self._file().unlink(missing_ok=True)
        elif _is_evaluation(context):
            self._write(self._read(self._file()) | {"stage": _SCORED})

    def teardown(self, estimator: Any, context: Any) -> None:
        """End a search: add the note to the error that ends it, if one does.

        Parameters
        ----------
        estimator : estimator
            The search.
        context : sklearn.callback.CallbackContext
            Its task.
        """
        assert self._written is not None, "setup comes before teardown"
        error = sys.exception()
        found = [self._read(path) for path in sorted(Path(self._written).glob("*.json"))]
        for stage in (_FITTED, _SCORED):
            told = [_told(entry, estimator.n_splits_) for entry in found if entry["stage"] == stage]
            if error is not None and told:
                error.add_note(f"When the search ended, these candidates were {stage}: {'; '.join(told)}")
        shutil.rmtree(self._written, ignore_errors=True)

    def _file(self) -> Path:
        """What this thread of this process does."""
        worker = f"{platform.node()}-{os.getpid()}-{threading.get_ident()}.json"
        return Path(self._written or "", worker)

    def _write(self, entry: dict[str, Any]) -> None:
        path = self._file()
        part = path.with_suffix(".part")
        part.write_text(json.dumps(entry), encoding="utf-8")
        part.replace(path)  # a process may be killed while it writes

    @staticmethod
    def _read(path: Path) -> dict[str, Any]:
        return json.loads(path.read_text(encoding="utf-8"))


def _names_of(search: Any) -> set[str]:
    """Names of the parameters that a search tries."""
    grids = getattr(search, "param_grid", getattr(search, "param_distributions", []))
    return set().union(*([grids] if isinstance(grids, dict) else grids))


def _is_evaluation(context: Any) -> bool:
    """Whether a task is the fit of a candidate on a fold, announced by the search or by the candidate."""
    return _EVALUATION in (context.task_name, getattr(context, "source_task_name", None))


def _told(entry: dict[str, Any], n_folds: int) -> str:
    """A candidate and its fold, as one reads them."""
    candidate, fold = divmod(entry["number"], n_folds)
    return f"{entry['parameters'] or f'candidate number {candidate + 1}'}, fold {fold + 1} of {n_folds}"
