"""A folder from somebody one does not trust: every byte counts, and what was made up is named."""

import json
import os
import shutil
import struct

import numpy as np
import pytest
from safetensors.numpy import load_file

from skmetric import io
from skmetric._folder._folder import write_folder
from skmetric._folder._manifest import sealed
from skmetric.io._save import KIND, described

from .conftest import X, Y, made, metric

REFUSED = r"(damaged|edited|holds|version|tells|is missing)"


@pytest.fixture(scope="module", params=["metric", "deep", "classifier"])
def folder(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "folder"
    io.save(made(request.param), path)
    return path


def files_of(folder):
    return sorted(file for file in folder.rglob("*") if file.is_file())


def test_arrays_are_safetensors(folder):
    for file in files_of(folder):
        if file.name != "manifest.json":
            assert load_file(file)


def test_a_flipped_bit_anywhere_is_named(folder):
    rng, files = np.random.default_rng(0), files_of(folder)
    sizes = np.array([file.stat().st_size for file in files])
    for _ in range(34):
        file = files[rng.choice(len(files), p=(sizes > 0) / len(files))]
        whole = bytearray(file.read_bytes())
        whole[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        kept, _ = file.read_bytes(), file.write_bytes(whole)
        with pytest.raises(ValueError, match=rf"folder.* {REFUSED}"):
            io.load(folder)
        file.write_bytes(kept)


def test_a_file_that_is_cut_missing_or_a_link_is_named(folder, tmp_path):
    for file in files_of(folder)[:4]:
        kept = file.read_bytes()
        file.write_bytes(kept[: len(kept) // 2])
        with pytest.raises(ValueError, match=f"{file.name} (is damaged|was edited)"):
            io.load(folder)
        file.unlink()
        with pytest.raises(FileNotFoundError, match=r"is missing|has no manifest"):
            io.load(folder)
        (tmp_path / file.name).write_bytes(kept)
        file.symlink_to(tmp_path / file.name)
        with pytest.raises(ValueError, match=rf"{file.name} is damaged \(it is a link"):
            io.load(folder)
        file.unlink()
        file.write_bytes(kept)
    io.load(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes, as POSIX has them")
def test_a_pipe_does_not_hang(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "folder")
    file = next(file for file in files_of(tmp_path / "folder") if file.suffix == ".safetensors")
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(ValueError, match="no regular file"):
        io.load(tmp_path / "folder")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (struct.pack("<Q", 2**21) + b" " * 2**21, "its header would have 2097152 bytes; at most 1048576"),
        (struct.pack("<Q", 2**63), "its header would have"),
        (struct.pack("<Q", 4) + b"[1] ", "no JSON object"),
        (struct.pack("<Q", 8) + b'{"a": 1}', "lacks something"),
        (struct.pack("<Q", 14) + b'{"a":1,"a":2} ', "a name comes twice"),
        (b"\0\0", "too short"),
    ],
)
def test_a_lying_header_is_named(header, message, tmp_path):
    io.save(metric().fit(X, Y), tmp_path)
    file = next(file for file in files_of(tmp_path) if file.suffix == ".safetensors")
    file.write_bytes(header)
    with pytest.raises(ValueError, match=rf"model\.safetensors is damaged \(.*{message}"):
        io.load(tmp_path)


# Manifests that were made up, with digests that fit


def made_up(model, change, path):
    kind, content, arrays = described(model)
    change(content["model"]["state"], arrays)
    write_folder(path, kind, content, arrays)


def change(arrays, name, function):
    arrays[f"model/{name}"] = function(arrays[f"model/{name}"])


POPEN = {"estimator": "subprocess.Popen", "state": {}}
EVAL = {"partial": {"class": "builtins.eval"}, "args": {"tuple": []}, "keywords": {"dict": []}}
STATE = {"random_state": ["MT19937", {"array": "model/mean_"}, 0, 0, 0]}


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda s, a: s.update(components_={"array": "model/absent"}), "names the array 'model/absent'"),
        (lambda s, a: s.update(run={"class": "os.system"}), r"run: the class 'os\.system' is none that"),
        (lambda s, a: s.update(run=POPEN), r"run: the class 'subprocess\.Popen' is none"),
        (lambda s, a: s.update(run=EVAL), r"run\.partial: the class 'builtins\.eval'"),
        (lambda s, a: s.update(run={"class": "skmetric.search.PgVectorIndex"}), "PgVectorIndex' is none"),
        (lambda s, a: s.update(run={"py/object": "os.system"}), "run is of no kind that this version knows"),
        (lambda s, a: s.update(transform=3), "transform would replace a method of MetricLearner"),
        (lambda s, a: s.update(__class__=3), "__class__ is no attribute"),
        (lambda s, a: s.update(cache="/home/someone"), "cache names a folder to write into"),
        (lambda s, a: s.update(weights="../../etc/passwd"), "weights is the path"),
        (lambda s, a: s.update(shrinkage="much"), "'shrinkage' parameter"),
        (lambda s, a: change(a, "mean_", lambda m: m[1:]), r"mean_ of shape \(5,\), where \(6\) is needed"),
        (lambda s, a: change(a, "components_", lambda c: c.astype(int)), "components_ of the dtype int64"),
        (lambda s, a: change(a, "components_", lambda c: c * np.nan), "values that are not finite"),
        (lambda s, a: s.update(scatter_={"dict": [[[1], 2]]}), "has a key that is no text"),
        (lambda s, a: s.update(n_components_={"slice": [1]}), "n_components_ is no slice"),
        (lambda s, a: s.update(n_steps_=STATE), "n_steps_ is no state of a RandomState"),
    ],
)  # fmt: skip
def test_what_was_made_up_is_named(edit, message, tmp_path):
    made_up(metric().fit(X, Y), edit, tmp_path)
    with pytest.raises(ValueError, match=message):
        io.load(tmp_path)


WEIGHT = "_plain_network.arrays.0.1.weight"
READS = {"dict": [["checkpoint_path", "evil.pth"]]}


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda s, a: s["_made_of"]["dict"].append(["module", "hf-hub:someone/net"]), "of another hub"),
        (lambda s, a: s.update(module="hf-hub:someone/net"), "module is the network 'hf-hub:someone/net'"),
        (lambda s, a: s.update(model_kwargs=READS), "model_kwargs has 'checkpoint_path'"),
        (lambda s, a: s.update(input_shape_={"tuple": [10**6, 10**6, 10**6]}), "input_shape_"),
        (lambda s, a: s.update(n_components_=10**9), r"proxies is float32 \[4, 10{9}\] there"),
        (lambda s, a: change(a, WEIGHT, lambda w: w[1:]), "do not fit the network mlp"),
    ],
)  # fmt: skip
def test_a_network_that_was_made_up_is_named(edit, message, tmp_path):
    made_up(made("deep"), edit, tmp_path)
    with pytest.raises(ValueError, match=message):
        io.load(tmp_path)


@pytest.mark.parametrize("name", ["../model", "/etc/passwd", "data-0", "a/../b"])
def test_names_outside_the_folder_are_refused(name, tmp_path):
    io.save(metric().fit(X, Y), tmp_path)
    manifest = tmp_path / "manifest.json"
    whole = json.loads(manifest.read_text())
    del whole["digest"]
    for key, value in {"data": name, "files": {name: whole["files"]["model.safetensors"]}}.items():
        manifest.write_bytes(sealed(whole | {key: value}))
        with pytest.raises(ValueError, match=r"manifest\.json is damaged .*no name of a"):
            io.load(tmp_path)


def test_a_compressed_archive_of_skops_is_refused(tmp_path):
    skops = pytest.importorskip("skops.io")
    packed = np.frombuffer(skops.dumps(metric(), compression=8), dtype=np.uint8)
    content = {"model": {"skops": {"array": "model/skops"}}}
    write_folder(tmp_path, KIND, content, {"model/skops": packed})
    with pytest.raises(ValueError, match="compressed, and could grow without bound"):
        io.load(tmp_path)


def test_a_tree_that_is_too_deep_is_named(tmp_path):
    deep = {"tuple": []}
    for _ in range(200):
        deep = {"tuple": [deep]}
    write_folder(
        tmp_path, KIND, {"model": {"estimator": "skmetric.linear.MetricLearner", "state": {"n": deep}}}, {}
    )
    with pytest.raises(ValueError, match=r"n.* is nested more than 100 deep"):
        io.load(tmp_path)
