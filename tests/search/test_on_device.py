"""ExactIndex on a device: torch finds what NumPy finds, on the CPU and on an accelerator if there is one."""

import pickle

import numpy as np
import pytest
import torch

from skmetric.retrieval import nearest
from skmetric.search import ExactIndex, SimilaritySearch
from skmetric.search._index import _on_device

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
on_each_device = pytest.mark.parametrize("device", DEVICES)
RNG = np.random.default_rng(0)
ROWS, QUERIES = RNG.normal(size=(300, 8)).astype(np.float32), RNG.normal(size=(7, 8)).astype(np.float32)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Blocks of 70 rows and one query, so that tiny data has several."""
    monkeypatch.setattr(_on_device, "_BYTES", {"cpu": 4 * 8 * 70})
    monkeypatch.setattr(_on_device, "_ACCELERATOR_BYTES", 4 * 8 * 70)


def assert_as_numpy(index, queries=QUERIES, k=80, **options):
    """Same ids in the same order, and the same distances but for the last digits of float64."""
    plain = ExactIndex().add(index._held.ids.values, index.vectors())
    found, expected = index.query(queries, k, **options), plain.query(queries, k, **options)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.distances, expected.distances, rtol=1e-12)


@on_each_device
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(("shift", "scale"), [(0, 1), (100, 1), (0, 2.0**-12), (0, 2.0**12)])
def test_finds_what_numpy_finds(device, dtype, shift, scale):
    rows = ((ROWS + shift) * (scale if dtype != np.float16 else 1)).astype(dtype)
    index = ExactIndex(device=device).add(np.arange(300) + 5, rows)
    assert_as_numpy(index, (QUERIES + shift) * scale)
    assert_as_numpy(index, QUERIES * 1e30, k=3)
    assert_as_numpy(index, among=[7, 300, 9, 200], k=4)


@on_each_device
@pytest.mark.parametrize("mapped", [True, False])
def test_ties_are_in_the_order_of_the_rows(device, mapped, tmp_path):
    codes = RNG.integers(0, 2, size=(300, 8)).astype(np.float32)  # squared distances from 0 to 8, all tied
    codes[::2] /= np.float32(3)
    np.save(tmp_path / "codes.npy", codes)
    rows = np.load(tmp_path / "codes.npy", mmap_mode="r") if mapped else codes
    index = ExactIndex(device=device).add(np.arange(300), rows)
    assert_as_numpy(index, codes[:20], k=300)
    assert_as_numpy(
        ExactIndex(device=device).add(np.arange(300), codes / np.sqrt(8)), codes[:20] / np.sqrt(8)
    )


@on_each_device
def test_float32_decides_nothing(device):
    # squared distances 1 and 1 + 2e-9, which float32 cannot tell apart; the nearer row comes last
    rows = np.array([[1 + 1e-9, 0]] * 200 + [[1, 0]])
    index = ExactIndex(device=device).add(np.arange(201), rows)
    assert index.query([[0.0, 0.0]], 2).indices.tolist() == [[200, 0]]


@on_each_device
def test_changes_are_seen_and_full_blocks_stay(device):
    index = ExactIndex(device=device).add(np.arange(200), ROWS[:200])
    index.query(QUERIES, 1)
    before = index._held.stored._on_device
    index.add(np.arange(200, 300), ROWS[200:])
    assert_as_numpy(index)
    assert index._held.stored._on_device._blocks[0] is before._blocks[0]
    assert_as_numpy(index.remove([0, 150]).update([7], QUERIES[:1]))
    assert index.query(QUERIES[:1], 1).indices.tolist() == [[7]]


@on_each_device
def test_less_precise_products_change_nothing(device):
    index = ExactIndex(device=device).add(np.arange(300), ROWS)
    torch.set_float32_matmul_precision("medium")
    try:
        assert_as_numpy(index)
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_gallery_of_another_machine_loads_and_is_refused_by_name(tmp_path):
    search = SimilaritySearch(index=ExactIndex(device="cpu")).fit(ROWS, np.arange(300) % 5)
    search.index_.set_params(device="cuda:1")  # as it would be on a machine that has one
    search.save(tmp_path / "gallery")
    for loaded in (pickle.loads(pickle.dumps(search)), SimilaritySearch.load(tmp_path / "gallery")):
        with pytest.raises(
            ValueError, match=r"device='cuda:1', but torch sees 0 CUDA devices: use 'auto' or"
        ):
            loaded.predict(QUERIES)
        for device in ("auto", "cpu", None):
            loaded.index_.set_params(device=device)
            np.testing.assert_array_equal(loaded.kneighbors(QUERIES)[1], nearest(QUERIES, ROWS, 5).indices)


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("gpu", "device='gpu' is no device of torch"),
        (3, "The 'device' parameter of ExactIndex must be an instance of 'str' or None"),
        ("mps", "device='mps'.*use device="),
    ],
)
def test_bad_devices_are_refused_before_anything_is_added(device, message):
    index = ExactIndex(device=device)
    with pytest.raises(ValueError, match=message):
        index.add(np.arange(300), ROWS)
    assert len(index) == 0


def test_a_folder_with_another_type_of_device_is_refused():
    content, arrays = ExactIndex(device="cpu").add(np.arange(300), ROWS).to_arrays()
    with pytest.raises(TypeError, match="'device' parameter of ExactIndex"):
        ExactIndex.of_arrays(content | {"device": 3}, arrays)
    assert ExactIndex.of_arrays({}, arrays).device is None  # as earlier versions wrote it


def test_torch_is_imported_only_for_a_device(process_without_torch, tmp_path):
    ExactIndex(device="cpu").add(np.arange(300), ROWS).save(tmp_path / "index")
    code = f"""
import sys, pickle, numpy as np
from skmetric.search import ExactIndex, SimilaritySearch
search = SimilaritySearch(index=ExactIndex()).fit(np.eye(4), [0, 0, 1, 1])
pickle.loads(pickle.dumps(search)).predict(np.eye(4))
assert len(ExactIndex.load({str(tmp_path / "index")!r})) == 300
print("torch" in sys.modules)
"""
    assert process_without_torch.run(code).split() == ["False"]
