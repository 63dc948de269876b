"""Made-up images; real data where the checkout has it: tests that need it are skipped elsewhere, and say."""

import gc
import importlib.util
import os
import sys
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # one thread a worker: threads of several would wait for each other
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(variable, "1")  # before the first import of NumPy, in child processes too

import numpy as np
import pytest

gc.disable()  # until everything is imported and collected: nothing of it is garbage

SHARED = Path(__file__).parents[1] / "../shared/data"
WITHOUT_TORCH = ("numpy", "joblib", "scipy.stats", "sklearn.pipeline")  # imported in processes that fork


def pytest_collection_finish():
    """Garbage is looked for among what tests make, not each time among modules and thousands of tests too."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def seeded_weights():
    """Networks that a test makes have the same first weights in each run."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


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
def torchvision_cpu():
    """File to import before timm beside a torch built for the CPU, or None where the checkout has none."""
    path = SHARED.resolve() / "torchvision_cpu.py"
    return path if path.is_file() else None


@pytest.fixture(scope="session")
def timm(torchvision_cpu):
    """Timm, also beside a torch built for the CPU, for which torchvision's library does not load."""
    declarations = torchvision_cpu and _import_file(torchvision_cpu)
    try:
        import timm
    except (ImportError, RuntimeError) as error:
        if declarations:  # what it lacks elsewhere is there: then this is a failure
            raise
        pytest.skip(f"timm cannot be imported: {error}")
    yield timm
    del declarations  # they lived as long as this object


@pytest.fixture(scope="session")
def another_process():
    """Run ``python -c`` without the seconds that imports take: ``another_process.run(code, argument)``."""
    yield from _processes(*WITHOUT_TORCH, "safetensors.torch", "torch.distributed", "torch._dynamo")


@pytest.fixture(scope="session")
def process_without_torch():
    """The same where torch is not imported, or must not be."""
    yield from _processes(*WITHOUT_TORCH)


def _processes(*imported):
    started = _import_file(Path(__file__).with_name("another_process.py")).AnotherProcess(*imported)
    yield started
    started.close()


@pytest.fixture
def colour():
    """Six colour images (6, 20, 16, 3), uint8."""
    return np.random.default_rng(0).integers(0, 256, (6, 20, 16, 3), dtype=np.uint8)


@pytest.fixture
def grey(colour):
    """Six grey images (6, 20, 16), uint8."""
    return colour[..., 0]


@pytest.fixture
def save(tmp_path):
    """Write pixels to a file without loss: ``save("a.png", pixels) -> path``."""
    image = pytest.importorskip("PIL.Image")

    def write(name, pixels):
        path = tmp_path / name
        image.fromarray(pixels).save(path)
        return str(path)

    return write


@pytest.fixture
def paths(save, colour):
    return [save(f"{i}.png", pixels) for i, pixels in enumerate(colour)]
