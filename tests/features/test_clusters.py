"""A search over processes runs each image through the network once, whatever starts the processes."""

import textwrap
from contextlib import contextmanager

import joblib
import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from skmetric.features import FrozenFeatures

NETWORK = """
    import time
    from torch import nn

    class Written(nn.Module):
        def __init__(self, path):
            super().__init__()
            self.path = path

        def forward(self, x):
            with open(self.path, "ab") as stream:
                stream.write(b"." * len(x))
            time.sleep(0.2)
            return x.flatten(1)
"""


@contextmanager
def loky():
    get_reusable_executor(kill_workers=True).shutdown(wait=True)  # workers of before know no new modules
    with joblib.parallel_config("loky", n_jobs=2):
        yield
    get_reusable_executor().shutdown(wait=True, kill_workers=True)


@contextmanager
def dask():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config("dask"),
    ):
        yield


@contextmanager
def ray():
    cluster = pytest.importorskip("ray")
    from ray.util.joblib import register_ray

    cluster.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=80 << 20)
    try:
        register_ray()
        with joblib.parallel_config("ray", n_jobs=2):
            yield
    finally:
        cluster.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the clusters themselves
@pytest.mark.parametrize("backend", [loky, dask, ray], ids=lambda backend: backend.__name__)
def test_each_image_goes_through_the_network_once(backend, tmp_path, monkeypatch):
    (tmp_path / "written_network.py").write_text(textwrap.dedent(NETWORK))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    from written_network import Written

    X, y = np.random.default_rng(0).integers(0, 256, (24, 4, 4), dtype=np.uint8), np.arange(24) % 2
    frozen = FrozenFeatures(Written(tmp_path / "seen"), cache=tmp_path / "cache")
    pipe = make_pipeline(frozen, KNeighborsClassifier(1))
    grid = {"kneighborsclassifier__n_neighbors": [1, 2, 3, 4]}
    with backend():
        search = GridSearchCV(pipe, grid, cv=4, error_score="raise").fit(X, y)
        if backend is not ray:  # which takes seconds to hand each round out
            HalvingGridSearchCV(pipe, grid, cv=2, error_score="raise", random_state=0).fit(X, y)
    assert (tmp_path / "seen").stat().st_size == 24
    alone = GridSearchCV(pipe, grid, cv=4).fit(X, y)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])
