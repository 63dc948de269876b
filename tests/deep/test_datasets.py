"""A torch Dataset as X."""

import multiprocessing

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed
from sklearn.model_selection import GridSearchCV, KFold
from torch.utils.data import Dataset, IterableDataset, Subset, TensorDataset, get_worker_info

from skmetric.deep import DeepMetricLearner, _assembly
from skmetric.deep._data._input import labels_of
from skmetric.model_selection import ClassDisjointKFold


class Pictures(Dataset):
    """Items are what is given."""

    def __init__(self, samples, y=None, *, transform=None, targets=None):
        self.samples, self.y, self.transform, self.reads = samples, y, transform, 0
        if targets is not None:
            self.targets = targets

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, i):
        self.reads += 1
        sample = self.samples[i] if self.transform is None else self.transform(self.samples[i])
        return sample if self.y is None else (sample, self.y[i])


class Flicker:
    """Chance from torch."""

    def __call__(self, image):
        return torch.as_tensor(image) / 255 + 0.1 * torch.rand(image.shape)


@pytest.fixture
def conv(tiny):
    def make(**settings):
        return tiny("conv4", **({"max_epochs": 2, "n_components": 4, "steps_per_epoch": 3} | settings))

    return make


@pytest.fixture(autouse=True)
def several_blocks(monkeypatch):
    """Samples are transformed 20 at a time: then workers have something to do in `transform` too."""
    monkeypatch.setattr(_assembly, "_INFER_BATCH", 20)


@pytest.mark.parametrize("y_given", [True, False])
@pytest.mark.parametrize("validation_fraction", [0.0, 0.5])
@pytest.mark.parametrize("num_workers", [0, 2])
def test_the_same_bits_as_the_array(conv, pictures, y_given, validation_fraction, num_workers):
    X, y = pictures
    settings = {"validation_fraction": validation_fraction}
    expected = conv(**settings).fit(X, y)
    dataset = Pictures(torch.as_tensor(X), y)
    learner = conv(num_workers=num_workers, **settings).fit(dataset, y if y_given else None)
    np.testing.assert_array_equal(learner.transform(dataset), expected.transform(X))
    assert learner.classes_.tolist() == [0, 1, 2, 3]
    assert learner.score(dataset) == learner.score(dataset, y) == expected.score(X, y)
    distances = learner.pair_distance(Subset(dataset, [0, 1]), Subset(dataset, [2, 3]))
    np.testing.assert_array_equal(distances, expected.pair_distance(X[:2], X[2:4]))


def test_samples_without_labels_need_y(conv, pictures):
    X, y = pictures
    dataset = Pictures(X)
    expected = conv().fit(X, y).transform(X)
    np.testing.assert_array_equal(conv().fit(dataset, y).transform(dataset), expected)
    with pytest.raises(ValueError, match=r"requires y to be passed.*items are no pairs \(sample, label\)"):
        conv().fit(dataset)
    with pytest.raises(ValueError, match=r"y has 3 labels for 48 rows"):
        conv().fit(dataset, [0, 1, 0])
    learner = conv().fit(dataset, y)
    for unlabelled in (dataset, X):
        with pytest.raises(ValueError, match=r"score needs y: X carries no labels"):
            learner.score(unlabelled)


def test_y_goes_before_the_labels_of_the_dataset(conv, pictures):
    X, y = pictures
    names = np.array(list("abcd"))[y]
    assert conv().fit(Pictures(X, y), names).classes_.tolist() == list("abcd")


def test_targets_spare_the_reading(pictures):
    X, y = pictures
    dataset = Pictures(X, y, targets=torch.as_tensor(y))
    np.testing.assert_array_equal(labels_of(dataset), y)
    np.testing.assert_array_equal(labels_of(Subset(dataset, [5, 2])), y[[5, 2]])
    assert dataset.reads == 0
    dataset.target_transform = "something"  # then `targets` are not what items have
    np.testing.assert_array_equal(labels_of(dataset), y)
    assert dataset.reads == 48


def test_labels_may_be_tensors_or_text(conv, pictures, blobs, tiny):
    X, y = pictures
    assert conv().fit(Pictures(X, torch.as_tensor(y))).classes_.tolist() == [0, 1, 2, 3]
    assert conv().fit(Pictures(X, list(map(str, y)))).classes_.tolist() == list("0123")


def test_rows_of_features(tiny, blobs):
    X, y = blobs
    codes = torch.as_tensor(np.unique(y, return_inverse=True)[1])
    dataset = TensorDataset(torch.as_tensor(X), codes)
    expected, learner = tiny().fit(X, codes.numpy()), tiny().fit(dataset)
    assert learner.n_features_in_ == 5
    np.testing.assert_array_equal(learner.transform(dataset), expected.transform(X))
    np.testing.assert_array_equal(learner.transform(X), expected.transform(dataset))
    np.testing.assert_array_equal(learner.transform(TensorDataset(torch.as_tensor(X))), expected.transform(X))


def test_pil_images_of_any_size(conv, pictures):
    image = pytest.importorskip("PIL.Image")
    X, y = pictures
    samples = [image.fromarray(np.moveaxis(pixels, 0, -1)[: 8 - i % 2]) for i, pixels in enumerate(X)]
    with pytest.raises(ValueError, match=r"is 7x8, the images in `fit` began with 8x8: pass image_size="):
        conv().fit(Pictures(samples, y))
    by_dataset, by_list = (conv(image_size=10).fit(given, y) for given in (Pictures(samples), samples))
    assert by_dataset.input_shape_ == (3, 10, 10)
    np.testing.assert_array_equal(by_dataset.transform(Pictures(samples)), by_list.transform(samples))


def test_a_search_takes_a_dataset_with_labels_or_without(conv, pictures):
    X, y = pictures
    grid = GridSearchCV(conv(max_epochs=1), {"margin": [0.1]}, cv=ClassDisjointKFold(2), error_score="raise")
    given = (X, Pictures(X), Pictures(X, y), TensorDataset(torch.as_tensor(X), torch.as_tensor(y)))
    scores = [grid.fit(samples, y).cv_results_["mean_test_score"][0] for samples in given]
    assert scores == [scores[0]] * 4
    assert np.isfinite(scores[0])
    assert grid.best_estimator_.classes_.tolist() == [0, 1, 2, 3]


def test_a_search_without_y_takes_the_labels_of_the_items(conv, pictures):
    X, y = pictures
    grid = GridSearchCV(conv(max_epochs=1), {"margin": [0.1]}, cv=KFold(2), error_score="raise")
    scores = [grid.fit(*given).cv_results_["mean_test_score"][0] for given in [(X, y), (Pictures(X, y),)]]
    assert scores[0] == scores[1]


def test_a_list_of_items_is_what_the_dataset_is(conv, tiny, pictures, blobs):
    X, y = pictures
    items = [(sample, int(label)) for sample, label in zip(X, y, strict=True)]
    learner, expected = conv().fit(items), conv().fit(Pictures(X, y))
    np.testing.assert_array_equal(learner.transform(items), expected.transform(X))
    assert learner.score(items) == expected.score(X, y)
    rows, text = blobs
    by_row = tiny().fit([tuple(row) for row in rows.tolist()], text)  # a tuple of numbers is a row
    np.testing.assert_array_equal(by_row.transform(rows), tiny().fit(rows, text).transform(rows))


# Chance


@pytest.mark.parametrize("num_workers", [0, 1, 2])
def test_chance_comes_from_the_seed_and_the_epoch(conv, pictures, num_workers):
    X, y = pictures
    dataset = Pictures(X, y, transform=Flicker())
    torch.manual_seed(5)
    state = torch.get_rng_state()
    learner = conv(num_workers=num_workers, max_epochs=3).fit(dataset)
    embeddings = learner.transform(dataset)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(6)
    again = conv(max_epochs=3).fit(dataset)
    np.testing.assert_array_equal(again.transform(dataset), embeddings)
    in_parts = conv(num_workers=num_workers, max_epochs=1, warm_start=True).fit(dataset)
    in_parts.set_params(max_epochs=2).fit(dataset)
    np.testing.assert_array_equal(in_parts.transform(dataset), embeddings)


def test_items_are_drawn_anew_in_each_epoch(conv, pictures):
    X, y = pictures

    def sums(dataset):
        """Of the batches, which hold all samples each."""
        seen = []
        settings = {"max_epochs": 2, "steps_per_epoch": 1, "classes_per_batch": 4, "samples_per_class": 12}
        conv(augment=lambda batch: seen.append(batch.sum().item()) or batch, **settings).fit(dataset)
        return seen

    first, second = sums(Pictures(X, y))
    assert first == pytest.approx(second, abs=1e-2)
    first, second = sums(Pictures(X, y, transform=Flicker()))
    assert first != pytest.approx(second, abs=0.1)


# Workers


class Whoami(Dataset):
    """Items hold the number of workers that read for them, of 5 at most."""

    def __len__(self):
        return 48

    def __getitem__(self, i):
        info = get_worker_info()
        return torch.full((1, 8, 8), 0.2 * (info.num_workers if info else 0)), i % 4


def workers():
    """Processes of a DataLoader; joblib keeps some of its own."""
    return [child for child in multiprocessing.active_children() if "Loky" not in type(child).__name__]


@pytest.mark.parametrize("num_workers", [0, 1, 2])
def test_workers_read_what_is_streamed(conv, num_workers):
    seen = set()

    def look(batch):
        seen.add(round(5 * batch.mean().item()))
        return batch + torch.rand_like(batch)  # something to learn from

    learner = conv(num_workers=num_workers, augment=look, validation_fraction=0.5).fit(Whoami())
    assert seen == {num_workers}
    assert learner.transform(Whoami()).shape == (48, 4)
    assert workers() == []


@pytest.mark.slow
def test_workers_start_in_processes_of_joblib(pictures):
    X, y = pictures
    dataset = TensorDataset(torch.as_tensor(X), torch.as_tensor(y))

    def score(num_workers):  # defined here, to travel by value
        settings = {"max_epochs": 1, "steps_per_epoch": 3, "random_state": 0, "device": "cpu"}
        return DeepMetricLearner("conv4", num_workers=num_workers, **settings).fit(dataset).score(dataset)

    scores = Parallel(n_jobs=2)(delayed(score)(num_workers) for num_workers in (0, 2))
    assert scores[0] == scores[1]


def test_workers_end_when_training_breaks_off(conv, pictures):
    X, y = pictures
    calls = []

    def loss(embeddings, labels):
        calls.append(None)
        if len(calls) == 5:  # in the midst of the second epoch
            raise KeyboardInterrupt
        return torch.cdist(embeddings, embeddings).mean()

    with pytest.warns(UserWarning, match="interrupted in epoch 2"):
        learner = conv(loss=loss, num_workers=2, max_epochs=4).fit(Pictures(X, y))
    assert workers() == []
    with pytest.raises(ValueError, match="NaN or infinity in row 47"):
        learner.set_params(num_workers=2).transform(Pictures([*(X[:-1] / 255), X[-1] * np.nan]))
    assert workers() == []


# What is refused


class Endless(IterableDataset):
    def __iter__(self):
        yield from ()


class Countless(Dataset):
    def __getitem__(self, i):
        return np.zeros((8, 8), np.uint8), i


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (Endless(), r"X is Endless, a stream that gives no item"),
        (Countless(), r"X is Countless, a Dataset without __len__"),
        (Pictures([], []), r"X is Pictures, an empty Dataset"),
        (Pictures(np.zeros((4, 8, 8), int), [0, 0, 1, 1]), r"row 0 has dtype int64.*astype"),
        (
            Pictures([{"image": 0}] * 4, [0, 0, 1, 1]),
            r"module='conv4' is for images .* {'image': \(\)}: pass a network",
        ),
        (Pictures([(0, 1, 2)] * 4), r"item 0 of X has 3 parts: a Dataset gives sample or \(sample, label\)"),
        (Pictures(np.zeros((4, 3, 8, 3), np.uint8), [0, 0, 1, 1]), r"row 0 .*pass channel_axis="),
    ],
)
def test_what_is_no_map_of_samples(conv, dataset, message):
    with pytest.raises(ValueError, match=message):
        conv().fit(dataset)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_items_that_do_not_go_with_the_first(conv, num_workers):
    def refuse(last, message):
        samples = [*np.zeros((5, 8, 8), np.float32), last]
        with pytest.raises(ValueError, match=message):
            conv(num_workers=num_workers).fit(Pictures(samples, [0, 0, 0, 1, 1, 1]))

    broken = np.zeros((8, 8), np.float32)
    broken[2, 2] = np.nan
    refuse(broken, r"NaN or infinity in row 5")
    refuse(np.zeros((8, 8), np.uint8), r"item 5 of X is uint8, item 0 is float32: give all one dtype")
    refuse(np.zeros((3, 8, 8), np.float32), r"row 5 has 3 channels, row 0 has 1")
    refuse(np.zeros(8, np.float32), r"item 5 of X has shape \(8,\); item 0 has \(1, 8, 8\)")


def test_items_other_than_fitted(conv, pictures, tiny, blobs):
    X, y = pictures
    learner = conv().fit(Pictures(X, y))
    with pytest.raises(ValueError, match=r"row 0 is 4x8, the images in `fit` began with 8x8"):
        learner.transform(Pictures(X[:, :, :4]))
    with pytest.raises(ValueError, match=r"row 0 has 1 channel, `fit` saw 3"):
        learner.transform(Pictures(X[:, 0]))
    with pytest.raises(ValueError, match=r"item 0 of X has shape \(5,\); `fit` saw \(3, 8, 8\)"):
        learner.transform(Pictures(blobs[0]))
    with pytest.raises(ValueError, match=r"item 0 of X has shape \(4,\); `fit` saw \(5,\)"):
        tiny().fit(*blobs).transform(Pictures(blobs[0][:, :4]))


def test_not_finite_features(tiny, blobs):
    X, y = blobs
    X = X.copy()
    X[3, 1] = np.inf
    with pytest.raises(ValueError, match=r"item 3 of X has NaN or infinity"):
        tiny().fit(Pictures(X, y))
    with pytest.raises(ValueError, match=r"image_size is for images"):
        tiny(image_size=8).fit(Pictures(*blobs))
