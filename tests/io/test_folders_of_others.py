"""Folders that hold something else beside a model, and what would become of it."""

import json
import os

import numpy as np
import pytest

from skmetric import io
from skmetric._folder._folder import read_folder, write_folder
from skmetric._folder._manifest import sealed

from .conftest import X, Y, metric


def written(path):
    io.save(metric().fit(X, Y), path)
    return path


@pytest.mark.parametrize(
    "content",
    [
        {"name": "page", "manifest_version": 3, "version": "1.0"},
        {"format": "dataset", "version": 2, "data": "data.bin"},
    ],
)
def test_the_manifest_of_another_program_is_not_replaced(tmp_path, content):
    """Web pages and extensions of browsers have a manifest.json."""
    text = json.dumps(content)
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(FileExistsError, match="was not written by save: choose another folder"):
        written(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["manifest.json"]
    assert (tmp_path / "manifest.json").read_text() == text


def test_a_damaged_manifest_of_ours_is_replaced(tmp_path):
    written(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    assert io.load(written(tmp_path)).n_features_in_ == 6


def test_files_that_lie_beside_the_manifest_stay(tmp_path):
    written(tmp_path)
    (tmp_path / "data-of-mine.csv").write_text("1,2")
    (tmp_path / "data-raw").mkdir()
    written(tmp_path)
    assert (tmp_path / "data-of-mine.csv").read_text() == "1,2"
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes, as POSIX has them")
def test_a_pipe_and_a_link_in_the_folder_do_not_hold_up_a_save(tmp_path):
    written(tmp_path / "model")
    os.mkfifo(tmp_path / "model" / f"data-{'0' * 32}")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("mine")
    (tmp_path / "model" / f"data-{'1' * 32}").symlink_to(tmp_path / "kept")
    assert io.load(written(tmp_path / "model")).n_features_in_ == 6
    assert (tmp_path / "kept" / "file").read_text() == "mine"


def test_a_file_in_the_place_of_the_arrays_is_named(tmp_path):
    written(tmp_path)
    data = next(entry for entry in tmp_path.iterdir() if entry.is_dir())
    data.rename(tmp_path / "away")
    data.write_text("no folder")
    with pytest.raises(ValueError, match=r"data-\w+ is damaged \(it is a link, or no folder"):
        io.load(tmp_path)


def test_a_name_that_comes_twice_in_a_manifest_is_named(tmp_path):
    written(tmp_path)
    manifest = tmp_path / "manifest.json"
    text = json.loads(manifest.read_text())
    del text["digest"]
    raw = sealed(text).replace(b'"format":', b'"format": "skmetric.io",\n "format":', 1)
    manifest.write_bytes(raw)
    with pytest.raises(ValueError, match=r"manifest\.json is damaged \(a name comes twice"):
        io.load(tmp_path)


def test_names_that_are_one_file_where_case_does_not_count_are_refused(tmp_path):
    with pytest.raises(ValueError, match="would be one file where case or accents do not count"):
        write_folder(tmp_path, "kind", {}, dict.fromkeys(["rows", "Rows"], np.zeros(2)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dtype", [">f8", ">i2", ">c16", ">M8[us]", ">U3"])
def test_arrays_in_the_order_of_another_machine_come_back(dtype, tmp_path):
    array = np.array([1, 2, 300]).astype(dtype)
    write_folder(tmp_path, "kind", {}, {"values": array})
    np.testing.assert_array_equal(read_folder(tmp_path, "kind")[1]["values"], array)


def test_a_width_that_would_fill_the_memory_is_not_taken(tmp_path):
    write_folder(tmp_path, "kind", {}, {"names": np.array(["ant", "bee"])})
    manifest = tmp_path / "manifest.json"
    content = json.loads(manifest.read_text())
    del content["digest"]
    content["types"]["names"] = f"<U{2**28}"
    manifest.write_bytes(sealed(content))
    assert read_folder(tmp_path, "kind")[1]["names"].tolist() == ["ant", "bee"]


def test_a_disk_that_fails_is_named_at_each_sync(tmp_path, monkeypatch):
    """`fsync` itself says "Input/output error", and not of what."""
    n_features, sync = io.load(written(tmp_path)).n_features_in_, os.fsync
    for failing in range(4):  # the arrays, their folder, the manifest, its folder
        calls = iter(range(failing))

        def fails(handle, calls=calls):
            if next(calls, None) is None:
                raise OSError(5, "Input/output error")
            sync(handle)

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fails)
            with pytest.raises(OSError, match=str(tmp_path)):
                written(tmp_path)
        assert io.load(tmp_path, verify=True).n_features_in_ == n_features
