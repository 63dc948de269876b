import copy
import pickle

import joblib
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from torch import nn

from skmetric.features import FrozenFeatures

from .conftest import small_network

Image = pytest.importorskip("PIL.Image")


class Counting(nn.Module):
    """Average colour; counts the images that pass."""

    seen = 0

    def forward(self, x):
        Counting.seen += len(x)
        return x.mean((2, 3))


@pytest.fixture
def frozen(network):
    return FrozenFeatures(network)


# Features


def test_features_by_hand():
    X = np.full((2, 4, 4), 255, np.uint8)
    X[1] = 0
    # white is (1 - 0.5) / 0.25 = 2, black -2
    features = FrozenFeatures(nn.Identity(), mean=0.5, std=0.25).fit_transform(X)
    np.testing.assert_array_equal(features, [[2], [-2]])


@pytest.mark.parametrize("image_size", [None, 12, (12, 8)])
def test_the_same_pixels_give_the_same_features(frozen, colour, paths, image_size):
    frozen.set_params(image_size=image_size)
    expected = frozen.fit_transform(colour)
    for X in (
        paths,
        list(colour),
        np.moveaxis(colour, -1, 1),
        [Image.open(path) for path in paths],
        [Image.fromarray(row) for row in colour],
    ):
        np.testing.assert_array_equal(frozen.transform(X), expected)


def test_sizes_may_vary_where_one_is_named(frozen, colour):
    X = [colour[0], colour[1, :9], colour[2, :, :13]]
    features = frozen.set_params(image_size=12).fit_transform(X)
    assert features.shape == (3, 5)
    np.testing.assert_allclose(features[1:2], frozen.transform([X[1]]), atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 4, 100])
@pytest.mark.parametrize("n_jobs", [1, 3, None])
def test_batches_and_threads_change_nothing(frozen, colour, batch_size, n_jobs):
    expected = frozen.fit_transform(colour)
    features = frozen.set_params(batch_size=batch_size, n_jobs=n_jobs).transform(list(colour))
    np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-6)


def test_grey_images_pass_a_colour_network(frozen, grey):
    np.testing.assert_array_equal(frozen.fit_transform(grey), frozen.transform(np.stack([grey] * 3, axis=-1)))


def test_a_grey_network_takes_grey_and_colour(grey, colour):
    frozen = FrozenFeatures(small_network(1)).fit(grey)
    assert frozen.transform(colour).shape == frozen.transform(grey).shape == (6, 5)


def test_a_network_without_convolutions_takes_the_channels_of_fit(colour, grey):
    frozen = FrozenFeatures(nn.Flatten()).fit(grey)
    assert frozen.n_features_out_ == 20 * 16
    assert frozen.transform(colour).shape == (6, 20 * 16)


@pytest.mark.parametrize("pooling", ["auto", "avg", "max", "gem"])
def test_layer_and_pooling(frozen, colour, pooling):
    assert frozen.set_params(layer="1", pooling=pooling).fit_transform(colour).shape == (6, 4)


def test_normalize(frozen, colour):
    features = frozen.set_params(normalize=True).fit_transform(colour)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_is_near_and_comes_back_as_float32(frozen, colour, precision):
    expected = frozen.fit_transform(colour)
    features = frozen.set_params(precision=precision).transform(colour)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, expected, atol=0.02)
    assert not np.array_equal(features, expected)


# Frozen


def test_nothing_is_trained(network, colour):
    before = copy.deepcopy(network.state_dict())
    network.train()
    FrozenFeatures(network).fit(colour).transform(colour)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert all(part.training for part in network.modules())


def test_evaluation_mode_whatever_mode_the_network_is_in(network, colour):
    expected = FrozenFeatures(network.eval()).fit_transform(colour)
    np.testing.assert_array_equal(FrozenFeatures(network.train()).fit_transform(colour), expected)


def test_fit_runs_one_image(colour):
    Counting.seen = 0
    FrozenFeatures(Counting()).fit(colour)
    assert Counting.seen == 1


def test_the_global_state_of_torch_is_left_alone(colour):
    def state():
        return torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()

    before, seed = state(), torch.get_rng_state()
    FrozenFeatures(small_network).fit_transform(colour)
    assert state() == before
    assert torch.equal(torch.get_rng_state(), seed)


# scikit-learn


def test_names_and_frames(frozen, grey):
    pandas = pytest.importorskip("pandas")
    frame = frozen.set_output(transform="pandas").fit_transform(grey)
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame) == list(frozen.get_feature_names_out()) == [f"frozenfeatures{i}" for i in range(5)]


def test_unfitted(frozen, grey):
    with pytest.raises(NotFittedError):
        frozen.transform(grey)


def test_clone_gives_the_same_features(frozen, grey):
    other = clone(frozen)
    assert not hasattr(other, "module_")
    np.testing.assert_array_equal(other.fit_transform(grey), frozen.fit_transform(grey))


def test_parameters_are_checked(network, grey):
    with pytest.raises(ValueError, match="The 'pooling' parameter of FrozenFeatures must be"):
        FrozenFeatures(network, pooling="mean").fit(grey)


def test_the_network_runs_once_over_a_grid(tmp_path):
    X = np.random.default_rng(0).integers(0, 256, (20, 4, 4), dtype=np.uint8)
    y = np.arange(20) % 2
    steps = [("features", FrozenFeatures(Counting())), ("knn", KNeighborsClassifier())]
    pipe = Pipeline(steps, memory=joblib.Memory(tmp_path, verbose=0))
    Counting.seen = 0
    GridSearchCV(pipe, {"knn__n_neighbors": [1, 2, 3]}, cv=2, refit=False).fit(X, y)
    # each fold: one image in fit, its 10 training images once; its 10 test images for each of 3 candidates
    assert Counting.seen == 2 * (1 + 10 + 3 * 10)


# Pickles and hashes


def size(estimator):
    return len(pickle.dumps(estimator))


def big():
    return nn.Sequential(nn.Flatten(), nn.Linear(20 * 16, 1000))


BIG = 321_000 * 4  # bytes of its weights


def test_a_given_network_is_pickled_once(grey):
    frozen = FrozenFeatures(big()).fit(grey)
    assert BIG < size(frozen) < 1.02 * BIG
    back = pickle.loads(pickle.dumps(frozen))
    assert back.module_ is back.model
    np.testing.assert_array_equal(back.transform(grey), frozen.transform(grey))


def test_a_given_network_with_weights_of_a_file_is_pickled_once(grey, tmp_path):
    network = big()
    save_file({name: tensor + 1 for name, tensor in network.state_dict().items()}, tmp_path / "w.safetensors")
    frozen = FrozenFeatures(network, weights=str(tmp_path / "w.safetensors")).fit(grey)
    assert BIG < size(frozen) < 1.02 * BIG
    back = pickle.loads(pickle.dumps(frozen))
    np.testing.assert_array_equal(back.transform(grey), frozen.transform(grey))
    np.testing.assert_array_equal(back.fit_transform(grey), frozen.transform(grey))
    assert frozen.model is network


def test_a_network_that_was_built_is_pickled_once(grey):
    frozen = FrozenFeatures(big).fit(grey)
    assert BIG < size(frozen) < 1.02 * BIG
    back = pickle.loads(pickle.dumps(frozen))
    assert back.model is big
    np.testing.assert_array_equal(back.transform(grey), frozen.transform(grey))


def test_deepcopy_and_joblib(frozen, grey, tmp_path):
    expected = frozen.fit_transform(grey)
    joblib.dump(frozen, tmp_path / "frozen.joblib")
    for back in (copy.deepcopy(frozen), joblib.load(tmp_path / "frozen.joblib")):
        np.testing.assert_array_equal(back.transform(grey), expected)


def test_hash_depends_on_weights_and_parameters(frozen):
    same, other = clone(frozen), clone(frozen)
    with torch.no_grad():
        other.model[0].weight[0] += 1
    hashes = [joblib.hash(e) for e in (frozen, same, other, clone(frozen).set_params(pooling="max"))]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


def test_hash_depends_on_the_content_of_the_file(network, tmp_path):
    path = tmp_path / "w.safetensors"
    frozen = FrozenFeatures(small_network, weights=path)
    hashes = []
    for shift in (0, 0, 1):
        save_file({name: tensor + shift for name, tensor in network.state_dict().items()}, path)
        hashes.append(joblib.hash(frozen))
    assert hashes[0] == hashes[1] != hashes[2]
    assert not hasattr(pickle.loads(pickle.dumps(frozen)), "_weights_digest")


HASH = """
import joblib
from torch import nn
from skmetric._torch import seeded
from skmetric.features import FrozenFeatures
with seeded(0):
    print(joblib.hash(FrozenFeatures(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))))
"""


@pytest.mark.slow
def test_hash_is_the_same_in_another_process(another_process, capsys):
    exec(HASH, {})
    assert another_process.run(HASH) == capsys.readouterr().out != ""


LOAD = """
import sys
if sys.argv[1]:
    sys.path.insert(0, sys.argv[1])
    import torchvision_cpu
import joblib, numpy as np, socket, timm
socket.socket = None  # no download
frozen, X, expected = joblib.load(sys.argv[2])
np.testing.assert_allclose(frozen.transform(X), expected, rtol=1e-5, atol=1e-6)
"""


@pytest.mark.slow
def test_a_timm_network_loads_in_another_process_without_a_download(
    another_process, timm, torchvision_cpu, colour, tmp_path
):
    frozen = FrozenFeatures("test_resnet", weights=None, image_size=32).fit(colour)
    weights = sum(p.numel() * p.element_size() for p in frozen.module_.state_dict().values())
    assert weights < size(frozen) < weights + 60_000  # a skeleton of 50 layers, beside the weights
    joblib.dump((frozen, colour, frozen.transform(colour)), tmp_path / "frozen.joblib")
    declared = str(torchvision_cpu.parent) if torchvision_cpu else ""
    another_process.run(LOAD, declared, tmp_path / "frozen.joblib")


# Bad input: the rest is in test_images, test_network and test_pooling


def test_no_image_passes_the_network_when_one_is_damaged(paths, tmp_path):
    frozen = FrozenFeatures(Counting(), batch_size=1).fit(paths)
    (tmp_path / "text.jpg").write_text("no image")
    Counting.seen = 0
    with pytest.raises(ValueError, match=r"1 of 7 images cannot be read: .*text\.jpg"):
        frozen.transform([*paths, str(tmp_path / "text.jpg")])
    assert Counting.seen == 0


def test_another_size_than_in_fit(frozen, grey):
    with pytest.raises(
        ValueError, match=r"row 0 is 10x16, the images in `fit` began with 20x16: pass image_size="
    ):
        frozen.fit(grey).transform(grey[:, :10])


def test_no_cuda(frozen, grey, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="device='cuda', but torch sees 0 CUDA devices"):
        frozen.set_params(device="cuda").fit(grey)


def test_class_token_of_a_convolutional_network(frozen, grey):
    with pytest.raises(ValueError, match="pooling='cls' needs a class token"):
        frozen.set_params(pooling="cls").fit(grey)


def test_unknown_layer(frozen, grey):
    with pytest.raises(ValueError, match="the network has no layer '7'"):
        frozen.set_params(layer="7").fit(grey)


def test_features_that_overflow(grey):
    network = small_network(1)
    with torch.no_grad():
        network[4].bias[0] = torch.inf
    with pytest.raises(
        ValueError, match=r"NaN or infinity for 1 images, first row 0: if precision is 'fp16'"
    ):
        FrozenFeatures(network).fit(grey)


def test_tables_are_refused(frozen):
    with pytest.raises(ValueError, match=r"X has shape \(5, 64\)"):
        frozen.fit(np.zeros((5, 64)))
