"""Exported models: the embeddings of `transform`, in a process with neither torch nor scikit-learn."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    RobustScaler,
    StandardScaler,
)
from torch import nn

from skmetric import DeepMetricLearner, FrozenFeatures, MetricLearner, SimilaritySearch, io
from skmetric.io._export._program import program_of
from skmetric.linear import RCA, Covariance

from .conftest import DEEP, IMAGES, MADE, RNG, X, Y

LABELS = np.arange(8) % 4
MORE = RNG.integers(0, 256, (3, 12, 12, 3), dtype=np.uint8)  # another batch size than that which is traced


class Maps(nn.Sequential):
    """Feature maps of colour images."""

    def __init__(self):
        super().__init__(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Conv2d(8, 6, 3))


def frozen(**settings):
    return FrozenFeatures(Maps(), **settings)


ON_ROWS = {
    "power": lambda: MetricLearner(shrinkage=(0.5, 0.5), power=0.5, normalize=True).fit(X, Y),
    "whitening": lambda: make_pipeline(PCA(4, whiten=True), Normalizer(), RCA()).fit(X, Y),
    "scalers": lambda: make_pipeline(
        RobustScaler(), MinMaxScaler(clip=True), MaxAbsScaler(), Covariance()
    ).fit(X, Y),
    "svd": lambda: make_pipeline(
        TruncatedSVD(3, random_state=0), Normalizer("l1"), FunctionTransformer(), MetricLearner((0.5, 1))
    ).fit(X, Y),
    "frozen": lambda: FrozenEstimator(
        make_pipeline(StandardScaler(), "passthrough", MetricLearner((1, 1))).fit(X, Y)
    ),
    "poincare": lambda: DeepMetricLearner("mlp", distance="poincare", **DEEP).fit(X, Y),
    **{name: MADE[name] for name in ("grid", "deep", "closed_form", "head", "siamese", "triplet")},
}
ON_IMAGES = {
    "maps": lambda: make_pipeline(frozen(pooling="gem"), MetricLearner((0.5, 1))).fit(IMAGES, LABELS),
    "layer": lambda: frozen(layer="1", normalize=True).fit(IMAGES),
    "crop": lambda: frozen(image_size=9, crop_pct=0.75, pooling="max").fit(IMAGES),  # 12 x 12 are cropped
    "frame": lambda: frozen(image_size=15, crop_pct=1.25, mean=0.5, std=0.2).fit(IMAGES),
    "network": lambda: DeepMetricLearner("conv4", **DEEP).fit(IMAGES, LABELS),
    **{name: MADE[name] for name in ("images of pairs", "images of triplets")},
    "head": lambda: make_pipeline(frozen(), DeepMetricLearner("mlp", **DEEP)).fit(IMAGES, LABELS),
}


def by_onnx(model, path, batch):
    onnxruntime = pytest.importorskip("onnxruntime")
    io.to_onnx(model, path)
    session = onnxruntime.InferenceSession(path)
    assert not isinstance(session.get_inputs()[0].shape[0], int)
    return session.run(["embeddings"], {session.get_inputs()[0].name: batch})[0]


def by_module(model, path, batch):
    """What is exported, before it is: an export of each would take a minute."""
    with torch.no_grad():
        return program_of(model).module(torch.from_numpy(batch)).numpy()


@pytest.mark.parametrize(
    ("run", "name"), [(by_module, name) for name in ON_ROWS] + [(by_onnx, name) for name in ("power",)]
)
def test_rows_are_embedded_as_by_transform(run, name, tmp_path):
    model = ON_ROWS[name]()
    found = run(model, tmp_path / "model.onnx", X[:5])
    np.testing.assert_allclose(found, model.transform(X[:5]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("run", "name"),
    [(by_module, name) for name in ON_IMAGES] + [(by_onnx, name) for name in ("layer", "frame")],
)
def test_images_are_embedded_as_by_transform(run, name, tmp_path):
    model = ON_IMAGES[name]()
    found = run(model, tmp_path / "model.onnx", MORE)
    np.testing.assert_allclose(found, model.transform(MORE), rtol=1e-5, atol=1e-5)


def test_torch_export_gives_the_same(tmp_path):
    model = ON_IMAGES["maps"]()
    io.to_torch_export(model, tmp_path / "model.pt2")
    told = {"skmetric.json": ""}
    program = torch.export.load(tmp_path / "model.pt2", extra_files=told).module()
    with torch.no_grad():
        found = program(torch.from_numpy(MORE)).numpy()
    np.testing.assert_allclose(found, model.transform(MORE), rtol=1e-5, atol=1e-5)
    assert json.loads(told["skmetric.json"])["shape"] == [12, 12, 3]


def test_a_process_without_torch_and_scikit_learn_serves_it(tmp_path):
    model = ON_IMAGES["maps"]()
    pytest.importorskip("onnxruntime")
    io.to_onnx(model, tmp_path / "model.onnx")
    np.save(tmp_path / "images.npy", MORE)
    code = (
        "import sys, json, numpy as np, onnxruntime\n"
        "session = onnxruntime.InferenceSession('model.onnx')\n"
        "about = json.loads(session.get_modelmeta().custom_metadata_map['skmetric'])\n"
        "assert about['shape'] == [12, 12, 3] and about['dtype'] == 'uint8', about\n"
        "np.save('found.npy', session.run(None, {about['input']: np.load('images.npy')})[0])\n"
        "assert not {'torch', 'sklearn', 'skmetric'} & set(sys.modules)\n"
        "try:\n"
        "    session.run(None, {'images': np.zeros((1, 12, 13, 3), np.uint8)})\n"
        "except Exception as error:\n"
        "    assert 'invalid dimensions for input: images' in str(error), error\n"
        "else:\n"
        "    raise AssertionError('images of another size')\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), model.transform(MORE), rtol=1e-5, atol=1e-5)


def resized_by_onnx(images, size):
    """Images (n, C, H, W) resized bilinearly and antialiased by the operator of ONNX, in uint8."""
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    make, uint8 = onnx.helper, onnx.TensorProto.UINT8
    sizes = make.make_tensor("sizes", onnx.TensorProto.INT64, [4], [*images.shape[:2], *size])
    how = {"mode": "linear", "antialias": 1, "exclude_outside": 1}
    node = make.make_node("Resize", ["x", "", "", "sizes"], ["y"], **how)
    ends = [make.make_tensor_value_info(name, uint8, None) for name in "xy"]
    graph = make.make_graph([node], "resize", ends[:1], ends[1:], [sizes])
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 18)], ir_version=9)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": images})[0]


def test_resizing_by_onnx_differs_which_is_why_it_is_outside():
    """As the notes of `to_onnx` say: where this fails, both are equal now, and resizing can go inside."""
    images = np.random.default_rng(0).integers(0, 256, (1, 3, 97, 131), dtype=np.uint8)
    ours = torch.nn.functional.interpolate(
        torch.from_numpy(images), size=(64, 86), mode="bilinear", antialias=True
    )
    difference = np.abs(ours.numpy().astype(int) - resized_by_onnx(images, (64, 86)))
    assert difference.max() == 1
    assert 0 < (difference > 0).mean() < 0.01


def test_the_model_itself_is_left_as_it_is(tmp_path):
    model = ON_IMAGES["network"]()
    model.module_.train()
    before = {name: value.clone() for name, value in model.module_.state_dict().items()}
    io.to_torch_export(model, tmp_path / "model.pt2")
    assert model.module_.training
    assert all(torch.equal(value, before[name]) for name, value in model.module_.state_dict().items())


def test_float_images_of_another_scale_stay_floats(tmp_path):
    images = RNG.normal(size=(8, 12, 12, 3)).astype(np.float32) * 100
    model = DeepMetricLearner("conv4", **DEEP).fit(images, LABELS)
    found = by_module(model, None, images[:3])
    np.testing.assert_allclose(found, model.transform(images[:3]), rtol=1e-5, atol=1e-5)


# What cannot be exported


@pytest.mark.parametrize("write", [io.to_onnx, io.to_torch_export])
@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (MADE["pipeline"], r"KNeighborsClassifier has no transform, .* export pipeline\[:-1\]"),
        (lambda: SimilaritySearch(MetricLearner((1, 1))).fit(X, Y), r"export .*search\.embedder_"),
        (lambda: FeatureUnion([("a", PCA(2))]).fit(X), "FeatureUnion cannot be exported: what can are"),
        (lambda: FunctionTransformer(np.log1p).fit(X), "FunctionTransformer calls .*log1p"),
        (lambda: TfidfVectorizer().fit(["a text", "b text"]), "TfidfVectorizer cannot be exported"),
        (lambda: MetricLearner, "MetricLearner is a class"),
        (lambda: KNeighborsClassifier().fit(X, Y), "KNeighborsClassifier has no transform"),
    ],
)
def test_what_cannot_be_exported_is_refused_by_name(write, make, complaint, tmp_path):
    with pytest.raises(TypeError, match=complaint):
        write(make(), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


class Branching(nn.Module):
    """Code that depends on values, which no trace has."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x):
        return self.layer(x) if x.sum().item() > 0 else x[:, :3]


def test_a_network_that_cannot_be_traced_is_named(tmp_path):
    model = DeepMetricLearner(Branching(), **DEEP).fit(X, Y)
    with pytest.raises(TypeError, match=r"DeepMetricLearner cannot be exported to torch\.export"):
        io.to_torch_export(model, tmp_path / "model.pt2")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_for_what_is_not_fitted_or_has_no_place(tmp_path):
    with pytest.raises(NotFittedError):
        io.to_onnx(make_pipeline(StandardScaler(), MetricLearner()), tmp_path / "model.onnx")
    fitted = ON_ROWS["power"]()
    with pytest.raises(FileNotFoundError, match=r"no such folder: .*nowhere"):
        io.to_torch_export(fitted, tmp_path / "nowhere" / "model.pt2")
    with pytest.raises(IsADirectoryError, match="is a folder: name a file in it"):
        io.to_torch_export(fitted, tmp_path)


def test_without_the_exporter_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ImportError, match=r"needs the package 'onnxscript': .*skmetric\[onnx\]"):
        io.to_onnx(ON_ROWS["power"](), tmp_path / "model.onnx")
