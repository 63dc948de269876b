"""A folder that is shared: the model, and the page that says what it is and what may be expected of it."""

from __future__ import annotations

import html
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from skmetric._embedding import steps_of
from skmetric._folder._folder import CARD, replace_file

from ._save import save, versions_now


def to_hub_folder(
    obj: Any,
    path: str | os.PathLike[str],
    *,
    trained_on: str,
    scores: Any = None,
    scored_on: str | None = None,
    name: str | None = None,
    license: str | None = None,
) -> None:
    """Write a model and a page about it to a folder, ready for a model hub; nothing is uploaded.

    The page, ``README.md``, says what the model is, what it was trained on, its scores on classes that it
    never saw, with intervals, and of a calibrated search the thresholds and what each promises.

    Parameters
    ----------
    obj : estimator
        As for `save`.
    path : str or path-like
        Folder, made or replaced.
    trained_on : str
        The data and classes that it learned from, in words.
    scores : RetrievalReport or dict of str to float, default=None
        Scores on classes that it never saw: of :func:`skmetric.metrics.retrieval_report`, with intervals, or
        numbers by name. None: the page says that there are none.
    scored_on : str, default=None
        The data and classes that `scores` come from, in words; needed with `scores`.
    name : str, default=None
        Title of the page. None takes that of the folder.
    license : str, default=None
        Licence of the weights, as the hub abbreviates it, such as "bsd-3-clause".

    Raises
    ------
    ValueError
        If `scores` are given without `scored_on`, or `trained_on` is empty.
    TypeError
        If a folder cannot hold a part of the model.
    FileExistsError
        If the folder holds something else.

    See Also
    --------
    save : The folder without the page.
    skmetric.metrics.retrieval_report : Scores with intervals.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skmetric import MetricLearner, io
    >>> learner = MetricLearner(shrinkage=(0.5, 0.5)).fit([[0.0, 0], [0, 1], [5, 0], [5, 1]], list("aabb"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     io.to_hub_folder(learner, folder, trained_on="4 points of 2 classes", name="points")
    ...     print(Path(folder, "README.md").read_text().splitlines()[5])
    # points
    """
    if not trained_on.strip():
        raise ValueError("trained_on is empty: say what data and classes the model learned from")
    if scores is not None and not (scored_on or "").strip():
        raise ValueError("scores need scored_on: say what classes, never trained on, they come from")
    save(obj, path)
    title = name or Path(path).resolve().name
    replace_file(Path(path) / CARD, card(obj, title, trained_on, scores, scored_on, license).encode())


def card(
    obj: Any, title: str, trained_on: str, scores: Any, scored_on: str | None, license: str | None
) -> str:
    """The text of the page."""
    head = ["---", "library_name: skmetric", "tags: [metric-learning, retrieval, scikit-learn]"]
    head += [f"license: {_one_line(license)}"] if license else []
    inner = getattr(obj, "best_estimator_", obj)
    steps = " → ".join(type(step).__name__ for step in steps_of(inner)) or type(inner).__name__
    versions = ", ".join(f"{package} {version}" for package, version in versions_now().items())
    parts = [
        *head, "---", "", f"# {_one_line(title)}", "",
        f"A `{type(inner).__name__}` of [skmetric](https://skmetric.readthedocs.io).",
        f"Embeddings are made by: {steps}.",
        "", "```python", "from skmetric import io", "", 'model = io.load("path/to/this/folder", verify=True)',
        "```", "", "## Trained on", "", trained_on.strip(), "",
        "## Scores on classes never trained on", "",
        *_scores(scores, scored_on),
        "", *_thresholds(inner),
        "## Made with", "", f"{versions}.", "",
        "Loading runs nothing that is in this folder. A model can still be wrong, or made to be: measure it "
        "on your own data before you rely on it.", "",
    ]  # fmt: skip
    return "\n".join(parts)


def _scores(scores: Any, scored_on: str | None) -> list[str]:
    if scores is None:
        return ["None were given: measure them before you use the model."]
    rows = [_row(name, value) for name, value in _named(scores)]
    return [(scored_on or "").strip(), "", "| score | value | interval |", "| --- | --- | --- |", *rows]


def _named(scores: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(scores, Mapping):
        return scores.items()
    intervals = getattr(scores, "intervals", {})
    return [(name, (value, *intervals[name])) for name, value in scores.scores.items() if name in intervals]


def _row(name: str, value: Any) -> str:
    numbers = value if isinstance(value, tuple) else (value,)
    interval = f"[{numbers[1]:.3f}, {numbers[2]:.3f}]" if len(numbers) == 3 else ""
    return f"| {_one_line(name)} | {numbers[0]:.3f} | {interval} |"


def _thresholds(inner: Any) -> list[str]:
    calibration = getattr(inner, "calibration_", None)
    if calibration is None:
        return []
    lines = [
        "## Thresholds",
        "",
        "| cutpoint | distance | what it promises | in use |",
        "| --- | --- | --- | --- |",
    ]
    for name, rates in calibration.cutpoints.items():
        told = {key: value for key, value in dict(rates).items() if key not in ("distance", "n_matches")}
        intervals = calibration.intervals.get(name, {})
        promised = ", ".join(_promise(key, value, intervals.get(key)) for key, value in told.items())
        used = "yes" if name == getattr(inner, "cutpoint_", None) else ""
        lines.append(f"| {_one_line(name)} | {rates['distance']:.4g} | {promised} | {used} |")
    return [*lines, "", "The rates are those of the calibration's queries, for the gallery of that time.", ""]


def _promise(name: str, value: Any, interval: Any) -> str:
    between = "" if interval is None else f" [{interval[0]:.3f}, {interval[1]:.3f}]"
    return f"{_one_line(name)} {value:.3f}{between}"


def _one_line(text: Any) -> str:
    """Text that stays within its line and its cell, and is no markup."""
    return html.escape(" ".join(str(text).split()), quote=False).replace("|", "\\|")
