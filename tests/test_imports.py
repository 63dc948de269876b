"""What an import must not cost, seen from a fresh interpreter."""

import subprocess
import sys

HEAVY = [
    "torch",
    "matplotlib",
    "timm",
    "torchvision",
    "PIL",
    "pandas",
    "polars",
    "faiss",
    "psycopg",
    "pymilvus",
]


def loaded_by(imports, names):
    """Which of the modules `names` are loaded in a fresh process after ``import <imports>``."""
    code = f"import sys, {imports}; print(*sorted(set({names!r}) & set(sys.modules)))"
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()


def test_nobody_waits_for_torch_or_an_optional_package():
    packages = "skmetric, skmetric.linear, skmetric.metrics, skmetric.search, skmetric.model_selection"
    packages += ", skmetric.inspection, skmetric.weak"
    # scikit-learn itself imports pandas where it is installed (sklearn/utils/fixes.py, 1.9)
    assert loaded_by(packages, HEAVY) == loaded_by("sklearn.model_selection", HEAVY)


def test_the_root_loads_nothing():
    assert loaded_by("skmetric", [*HEAVY, "numpy", "scipy", "sklearn"]) == []


def test_the_check_can_see():
    assert loaded_by("torch", ["torch", "faiss"]) == ["torch"]
