"""Types: every public signature says them, and a type checker reads a user's script by them."""

import inspect
import re
from pathlib import Path

import pytest
from mypy import api

from .test_public import NAMES, is_ours, load

ROOT = Path(__file__).parents[1]


def functions_of(path):
    """Public functions under a name: itself, or constructor, public methods and properties of a class."""
    thing = load(path)
    if not inspect.isclass(thing):
        return {path: thing}
    found = {}
    for name, member in inspect.getmembers_static(thing):
        if name.startswith("_") and name != "__init__":
            continue
        member = member.fget if isinstance(member, property) else getattr(thing, name)
        member = inspect.unwrap(member) if callable(member) else None
        if inspect.isroutine(member) and is_ours(member):
            found[f"{path}.{name}"] = member
    return found


def without_types(function):
    signature = inspect.signature(function)
    parameters = [p for name, p in signature.parameters.items() if name not in ("self", "cls")]
    missing = [p.name for p in parameters if p.annotation is p.empty]
    constructs = function.__name__ == "__init__"
    return missing + ["return"] * (signature.return_annotation is signature.empty and not constructs)


@pytest.mark.parametrize("path", NAMES)
def test_a_public_signature_says_its_types(path):
    assert {name: gone for name, f in functions_of(path).items() if (gone := without_types(f))} == {}


GOOD = """
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from skmetric import DeepMetricLearner, FrozenFeatures, MetricLearner, SimilaritySearch
from skmetric.metrics import RetrievalScorer, recall_at_k, retrieval_report
from skmetric.model_selection import ClassDisjointKFold
from skmetric.search import Calibration, FaissIndex, LookupTable

X: NDArray[np.float64] = np.zeros((4, 2))
y: Sequence[str] = ["a", "a", "b", "b"]
learner: MetricLearner = MetricLearner(margin=0.1, random_state=0).fit(X, y)
embeddings: NDArray[np.floating] = learner.transform(X)
search: SimilaritySearch = SimilaritySearch(learner, FaissIndex("Flat"), n_neighbors=3).fit(X, y)
calibration: Calibration = search.calibrate(targets={"strict": ("false_accept_rate", 0.01)})
threshold: float = calibration.cutpoints["strict"]["distance"]
table: LookupTable = search.lookup(X, 2, where={"shop": "A"})
share: float = recall_at_k(embeddings, y, k=1)
deep = DeepMetricLearner("mlp", max_epochs=2).fit(X, y)
scorer = RetrievalScorer("recall_at_1", "map_at_r")
folds = ClassDisjointKFold(5)
print(retrieval_report(deep.transform(X), y), FrozenFeatures("mobilenetv2_100"), threshold, share, table)
"""

BAD = {
    "from skmetric import MetricLearnr": "MetricLearnr",
    "from skmetric import MetricLearner\nMetricLearner(marign=0.1)": "marign",
    "from skmetric import SimilaritySearch\nSimilaritySearch().fit([[0.0]]).calibrat()": "calibrat",
    "from skmetric.metrics import recall_at_k\nname: str = recall_at_k([[0.0]], [1])": "str",
    "from skmetric import DeepMetricLearner\nDeepMetricLearner(max_epochs='ten')": "max_epochs",
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What mypy finds in each script; one run reads all.

    The settings are those of the project, so that its cache serves; they change nothing outside functions.
    """
    folder = tmp_path_factory.mktemp("scripts")
    paths = {script: folder / f"script_{n}.py" for n, script in enumerate([GOOD, *BAD])}
    for script, path in paths.items():
        path.write_text(script, "utf-8")
    settings = [f"--config-file={ROOT / 'pyproject.toml'}", f"--cache-dir={ROOT / '.mypy_cache'}"]
    report, trouble, _ = api.run([*settings, *map(str, paths.values())])
    assert trouble == ""
    return {script: re.findall(rf"{path.name}:\d+: error: (.*)", report) for script, path in paths.items()}


@pytest.mark.slow
def test_a_type_checker_passes_a_right_script(found):
    assert found[GOOD] == []


@pytest.mark.slow
@pytest.mark.parametrize("script", BAD)
def test_a_type_checker_finds_a_mistake(found, script):
    (message,) = found[script]
    assert BAD[script] in message
