"""Real data, where the checkout has it: tests that need it are skipped elsewhere, and say so."""

import importlib.util
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[1] / "../shared/data"


def _import_file(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def shared_data():
    """Folder of the real data sets."""
    if not SHARED.is_dir():
        pytest.skip("the folder of real data sets, ../shared/data, is not there")
    return SHARED.resolve()


@pytest.fixture(scope="session")
def load_set(shared_data):
    """Read a real data set by name: ``load_set("grocery", split="train")``."""
    return _import_file(shared_data / "load.py").load


@pytest.fixture(scope="session")
def timm():
    """Timm, also beside a torch built for the CPU, for which torchvision's library does not load."""
    declarations = SHARED / "torchvision_cpu.py"
    if declarations.is_file():
        timm.declarations = _import_file(declarations)  # kept: they live as long as the module
    try:
        import timm as module
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"timm cannot be imported: {error}")
    return module
