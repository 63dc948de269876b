"""The cache of FrozenFeatures: the network runs once for each image (scikit-learn #23788)."""

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from torch import nn

from skmetric.features import FrozenFeatures, _cache, _claims
from skmetric.features._claims import Claims

from .conftest import small_network

pytest.importorskip("PIL.Image")


class Counted(nn.Module):
    """Average colour, scaled; counts the images that pass."""

    seen = 0

    def __init__(self, scale=1.0):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, x):
        Counted.seen += len(x)
        return self.scale * x.mean((2, 3))


@pytest.fixture(autouse=True)
def none_seen():
    Counted.seen = 0


@pytest.fixture
def frozen(tmp_path):
    return FrozenFeatures(Counted(), cache=tmp_path / "cache")


def entries(frozen):
    return [file for file in Path(frozen.cache).rglob("*") if file.is_file()]


def test_a_grid_search_runs_each_image_once(frozen):
    X = np.random.default_rng(0).integers(0, 256, (30, 4, 4), dtype=np.uint8)
    pipe = make_pipeline(frozen, KNeighborsClassifier())
    grid = GridSearchCV(pipe, {"kneighborsclassifier__n_neighbors": [1, 2, 3, 4]}, cv=3).fit(
        X, np.arange(30) % 2
    )
    assert Counted.seen == 30  # 4 candidates, 3 folds and the refit
    grid.predict(X)
    assert Counted.seen == 30


def test_features_are_those_without_a_cache(frozen, colour):
    expected = FrozenFeatures(Counted()).fit_transform(colour)
    for _ in range(2):
        np.testing.assert_array_equal(frozen.fit_transform(colour), expected)


@pytest.mark.parametrize(
    "again",
    [
        lambda frozen, X: clone(frozen).fit(X[::-1]).transform(X),
        lambda frozen, X: clone(frozen).set_params(batch_size=2, n_jobs=3).fit_transform(X),
        lambda frozen, X: clone(frozen).set_params(normalize=True).fit(X, np.arange(6)).transform(X[[5, 2]]),
        lambda frozen, X: FrozenFeatures(Counted(), cache=str(frozen.cache)).fit_transform(X),
    ],
)
def test_order_batches_labels_and_clones_run_nothing_anew(frozen, colour, again):
    frozen.fit_transform(colour)
    again(frozen, colour)
    assert Counted.seen == 6


def test_files_are_known_by_content(frozen, paths, tmp_path, monkeypatch):
    frozen.fit_transform(paths)
    monkeypatch.chdir(tmp_path)
    frozen.transform([os.path.relpath(path) for path in paths])
    (tmp_path / "moved").mkdir()
    frozen.transform([shutil.copy(path, tmp_path / "moved") for path in paths])
    assert Counted.seen == 6
    shutil.copy(paths[0], paths[1])
    np.testing.assert_array_equal(*frozen.transform(paths[:2]))
    assert Counted.seen == 6


def test_one_image_in_many_rows_runs_once(frozen, colour):
    assert frozen.fit_transform(colour[[0, 1, 0, 0]]).shape == (4, 3)
    assert Counted.seen == 2


@pytest.mark.parametrize(
    "changed",
    [{"mean": 0.1}, {"image_size": 8}, {"pooling": "max"}, {"model": Counted(2.0)}, {"background": "black"}],
    ids=str,
)
def test_what_changes_features_runs_the_network_anew(tmp_path, colour, changed):
    network = nn.Sequential(nn.Identity(), Counted()) if "pooling" not in changed else small_network()
    frozen = FrozenFeatures(network, cache=tmp_path / "cache").fit(colour)
    kept = len(entries(frozen))
    frozen.set_params(**changed).fit(colour)
    assert len(entries(frozen)) == 2 * kept


def test_weights_that_change_in_place_are_seen(frozen, colour):
    before = frozen.fit_transform(colour)
    with torch.no_grad():
        frozen.module_.scale *= 2
    np.testing.assert_array_equal(frozen.transform(colour), 2 * before)


@pytest.mark.parametrize("damage", [b"", b"\0\0\0\0", b"abc", b"\1\2\3\4" * 4])
def test_damaged_entries_are_computed_again(frozen, colour, damage):
    expected = frozen.fit_transform(colour)
    for file in entries(frozen):
        file.write_bytes(damage)
    np.testing.assert_array_equal(frozen.transform(colour), expected)
    assert Counted.seen == 12
    frozen.transform(colour)
    assert Counted.seen == 12


def test_threads_share_a_cache(frozen, colour):
    expected = FrozenFeatures(Counted()).fit_transform(colour)
    frozen.fit(colour)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(frozen.transform, [colour] * 8):
            np.testing.assert_array_equal(found, expected)
    assert len(entries(frozen)) == 6
    assert not [file for file in entries(frozen) if file.suffix == ".part"]


class Slow(Counted):
    """Gives the other threads time to miss the same images."""

    def forward(self, x):
        time.sleep(0.05)
        return super().forward(x)


def test_an_image_that_another_thread_runs_is_waited_for(tmp_path, colour):
    frozen = FrozenFeatures(Slow(), cache=tmp_path / "cache", batch_size=1).fit(colour)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(frozen.transform, [colour, colour[::-1], colour, colour[2:]]))
    assert Counted.seen == 6
    assert len(entries(frozen)) == 6  # no claim is left


def test_threads_divide_what_is_missing(tmp_path, colour, monkeypatch):
    """While one runs a block, another runs the next."""
    monkeypatch.setattr(_cache, "BLOCK", 2)
    expected = FrozenFeatures(Counted()).fit_transform(colour)
    Counted.seen = 0
    frozen = FrozenFeatures(Slow(), cache=tmp_path / "cache").fit(colour)
    with ThreadPoolExecutor(3) as pool:
        for found in pool.map(frozen.transform, [colour] * 3):
            np.testing.assert_array_equal(found, expected)
    assert Counted.seen == 6


def test_a_claim_of_a_process_that_died_counts_no_longer(tmp_path, colour):
    owner, entry = tmp_path / "running" / "dead", tmp_path / "ab" / "cdef"
    with Claims(tmp_path) as claims:
        assert claims.take(entry)
        claim = next((tmp_path / "ab").iterdir())
        with Claims(tmp_path) as others:
            assert not others.take(entry)
        claim.write_text("dead")
        owner.touch()
        os.utime(owner, (0, 0))
        with Claims(tmp_path) as others:
            assert others.take(entry)


def test_a_clock_that_was_set_back_keeps_nobody_waiting(tmp_path, monkeypatch):
    """The last sign of the dead process is an hour ahead; without a new one it counts for `_DEAD` seconds."""
    monkeypatch.setattr(_claims, "_DEAD", 0.2)
    entry = tmp_path / "ab" / "cd"
    with Claims(tmp_path) as claims:
        assert claims.take(entry)
        claim, dead = next((tmp_path / "ab").iterdir()), tmp_path / "running" / "dead"
        dead.touch()
        os.utime(dead, (time.time() + 3600,) * 2)
        claim.write_text("dead")
        assert not claims.take(entry)
        time.sleep(0.3)
        assert claims.take(entry)


def test_a_claim_that_cannot_be_deleted_keeps_nobody_waiting(tmp_path):
    """The claim is a folder, which cannot be deleted as a file, like the file of another user."""
    entry = tmp_path / "ab" / "cd"
    _claims._claim_on(entry).mkdir(parents=True)
    with Claims(tmp_path) as claims:
        assert claims.take(entry)


def test_an_error_of_the_network_leaves_no_claim(tmp_path, colour, monkeypatch):
    frozen = FrozenFeatures(Slow(), cache=tmp_path / "cache").fit(colour)
    monkeypatch.setattr(Slow, "forward", lambda self, x: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        frozen.transform(colour)
    assert not [file for file in entries(frozen) if file.suffix == ".claim"]


def test_a_folder_that_cannot_be_written_to_is_named(colour, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cache='.*file' cannot be written to"):
        FrozenFeatures(Counted(), cache=tmp_path / "file").fit(colour)
    assert Counted.seen == 0


def test_features_are_given_although_they_cannot_be_kept(frozen, colour, monkeypatch):
    frozen.fit(colour)
    shutil.rmtree(frozen.cache)
    Path(frozen.cache).touch()
    with pytest.warns(
        UserWarning, match=r"cache='.*' cannot be written to \(.*\): features are not kept"
    ) as caught:
        assert frozen.transform(colour).shape == (6, 3)
    assert caught[0].filename == __file__


def test_damaged_images_are_named_with_their_rows(frozen, paths):
    frozen.fit_transform(paths[:3])
    os.truncate(paths[4], 300)
    with pytest.raises(ValueError, match=r"1 of 6 images cannot be read: cannot decode '.*4\.png' \(row 4\)"):
        frozen.transform(paths)
