"""Samples of any structure, and the collate function that makes batches of them."""

import copy

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

import skmetric.io
from skmetric import DeepMetricLearner, SimilaritySearch
from skmetric.deep import FineTuning, SiameseLearner, TripletLearner
from skmetric.model_selection import ClassDisjointKFold

RNG = np.random.default_rng(0)
Y = np.repeat(range(6), 6)
TEXTS = [" ".join(RNG.choice([f"a{c}", f"b{c}", "the", "of"], RNG.integers(2, 7))) for c in Y]
WORDS = {word: 1 + i for i, word in enumerate(sorted({word for text in TEXTS for word in text.split()}))}


def tokenize(texts):
    """Numbers of words, padded with 0."""
    rows = [torch.tensor([WORDS.get(word, 0) for word in text.split()]) for text in texts]
    return {"ids": pad_sequence(rows, batch_first=True)}


class Bag(nn.Module):
    """Mean of the vectors of words."""

    def __init__(self, shapes=None):
        super().__init__()
        self.vectors = nn.Embedding(len(WORDS) + 1, 8, padding_idx=0)

    def forward(self, batch):
        return self.vectors(batch["ids"]).sum(1) / (batch["ids"] > 0).sum(1, keepdim=True)


class Views(Dataset):
    """Several images a sample: uint8, in a dict with a tuple."""

    def __len__(self):
        return len(Y)

    def __getitem__(self, i):
        image = np.full((3, 4, 4), 10 * Y[i] + i % 2, dtype=np.uint8)
        return {"front": image, "others": (image[:1] + 1, np.float64(i))}, int(Y[i])


class Looks(nn.Module):
    def __init__(self, shapes=None):
        super().__init__()
        self.shapes, self.map = shapes, nn.Linear(2, 4)

    def forward(self, batch):
        front, (side, number) = batch["front"], batch["others"]
        assert front.dtype == side.dtype == number.dtype == torch.float32
        return self.map(torch.stack([front.mean((1, 2, 3)), side.mean((1, 2, 3))], 1))


def quick(module, **settings):
    defaults = {"max_epochs": 2, "random_state": 0, "device": "cpu"}
    return DeepMetricLearner(module, **(defaults | settings))


@pytest.fixture(scope="module")
def fitted():
    return quick(Bag, collate_fn=tokenize).fit(TEXTS, Y)


# What is learned from


def test_texts_of_different_lengths_are_padded_batch_by_batch(fitted):
    alone = np.concatenate([fitted.transform([text]) for text in TEXTS])
    np.testing.assert_allclose(fitted.transform(TEXTS), alone, atol=1e-6)


def test_a_text_encoder_learns_which_words_tell():
    still = quick(Bag, collate_fn=tokenize, max_epochs=1, learning_rate=1e-9).fit(TEXTS, Y)
    trained = quick(Bag, collate_fn=tokenize, max_epochs=20, learning_rate=1e-1).fit(TEXTS, Y)
    assert trained.score(TEXTS, Y) > still.score(TEXTS, Y) + 0.2


@pytest.mark.parametrize("kind", [np.array, pd.Series, lambda texts: np.array(texts, dtype=object)])
def test_texts_of_any_sequence(fitted, kind):
    np.testing.assert_array_equal(fitted.transform(kind(TEXTS)), fitted.transform(TEXTS))


def test_several_images_a_sample_are_stacked_without_a_collate_function():
    learner = quick(Looks).fit(Views())
    assert learner.input_shape_ == {"front": (3, 4, 4), "others": [(1, 4, 4), ()]}
    assert learner.module_[0].shapes == learner.input_shape_
    assert learner.transform(Views()).shape == (36, 4)
    assert learner.score(Views()) == learner.score(Views(), Y)


def test_worker_processes_give_the_same_bits():
    first, second = (quick(Looks, num_workers=n).fit(Views()).transform(Views()) for n in (0, 1))
    np.testing.assert_array_equal(first, second)


def test_point_clouds_of_one_padded_tensor():
    clouds = [RNG.normal(size=(RNG.integers(3, 9), 3)) for _ in Y]

    class Largest(nn.Sequential):
        def forward(self, batch):
            return super().forward(batch).amax(1)

    learner = quick(
        Largest(nn.Linear(3, 8)),
        collate_fn=lambda rows: pad_sequence([torch.as_tensor(row) for row in rows], batch_first=True),
    )
    assert learner.fit(clouds, Y).transform(clouds).shape == (36, 8)
    assert not hasattr(learner, "n_features_in_")


def test_a_batch_whose_arrays_have_other_axes():
    def flat(texts):  # as nn.EmbeddingBag takes it
        rows = [torch.tensor([WORDS[word] for word in text.split()]) for text in texts]
        return torch.cat(rows), torch.tensor([0, *map(len, rows[:-1])]).cumsum(0)

    class Pooled(nn.EmbeddingBag):
        def forward(self, batch):
            return super().forward(*batch)

    learner = quick(Pooled(len(WORDS) + 1, 4), collate_fn=flat).fit(TEXTS, Y)
    assert learner.transform(TEXTS).shape == (36, 4)


def test_labels_of_items():
    class Items(Dataset):
        def __len__(self):
            return len(Y)

        def __getitem__(self, i):
            return TEXTS[i], f"class {Y[i]}"

    learner = quick(Bag, collate_fn=tokenize).fit(Items())
    assert learner.classes_.tolist() == [f"class {c}" for c in range(6)]
    listed = quick(Bag, collate_fn=tokenize).fit(list(zip(TEXTS, Y.tolist(), strict=True)))
    np.testing.assert_array_equal(listed.transform(TEXTS), learner.transform(Items()))


def test_a_tuple_of_arrays_is_a_sample():
    pairs = [(torch.ones(3) * c, torch.ones(2)) for c in Y]

    class First(nn.Module):
        def forward(self, batch):
            return batch[0]

    learner = quick(nn.Sequential(First(), nn.Linear(3, 2)), collate_fn=torch.utils.data.default_collate)
    assert learner.fit(pairs, Y).input_shape_ == [(3,), (2,)]


# With what stands around it


def test_a_search_over_parameters():
    search = GridSearchCV(quick(Looks, max_epochs=1), {"margin": [None]}, cv=ClassDisjointKFold(2))
    assert 0 < search.fit(Views(), Y).best_score_ <= 1


def test_the_search_takes_texts(fitted):
    search = SimilaritySearch(fitted).fit(TEXTS, Y)
    assert search.predict(TEXTS[:3]).tolist() == Y[:3].tolist()


def test_pickles_and_folders(fitted, tmp_path):
    joblib.dump(fitted, tmp_path / "learner.joblib")
    loaded = joblib.load(tmp_path / "learner.joblib")
    np.testing.assert_array_equal(loaded.transform(TEXTS), fitted.transform(TEXTS))


def test_training_goes_on_exactly():
    whole = quick(Bag, collate_fn=tokenize, max_epochs=2, warm_start=True).fit(TEXTS, Y)
    parts = quick(Bag, collate_fn=tokenize, max_epochs=1, warm_start=True).fit(TEXTS, Y).fit(TEXTS, Y)
    np.testing.assert_array_equal(whole.transform(TEXTS), parts.transform(TEXTS))


def test_a_checkpoint_of_other_texts_is_refused(tmp_path):
    for texts in (TEXTS, list(TEXTS)):
        quick(Bag, collate_fn=tokenize, checkpoint=tmp_path).fit(texts, Y)
    with pytest.raises(ValueError, match="other samples"):
        quick(Bag, collate_fn=tokenize, checkpoint=tmp_path).fit([text + " of" for text in TEXTS], Y)


def test_a_checkpoint_of_other_arrays_is_refused(tmp_path):
    def last(rows):
        return torch.stack([torch.as_tensor(row["x"]) for row in rows])

    rows = [{"x": row, "source": object()} for row in RNG.normal(size=(36, 3)).astype(np.float32)]
    learner = quick(nn.Linear(3, 2), collate_fn=last, checkpoint=tmp_path)
    for same in (rows, [row | {"source": object()} for row in rows]):  # an object is known by its type
        learner.fit(same, Y)
    moved = [row | {"x": 2 * row["x"]} for row in rows]
    with pytest.raises(ValueError, match="other samples"):
        learner.fit(moved, Y)


def test_augmentation_of_a_nested_batch():
    def drop_words(batch):
        return {"ids": batch["ids"].masked_fill(torch.rand(batch["ids"].shape) < 0.1, 1)}

    assert quick(Bag, collate_fn=tokenize, augment=drop_words).fit(TEXTS, Y).history_


@pytest.mark.parametrize("kind", [SiameseLearner, TripletLearner])
def test_tuples_of_texts(kind):
    learner = kind(Bag, collate_fn=tokenize, max_epochs=1, random_state=0)
    members = RNG.permutation(36)[: 10 * learner._n_members].reshape(10, -1)
    listed = [tuple(TEXTS[i] for i in row) for row in members]
    y = np.arange(10) % 2 if kind is SiameseLearner else None
    index = {"pairs" if kind is SiameseLearner else "triplets": members}
    by_list = learner.fit(listed, y).decision_function(listed)
    by_index = learner.fit(TEXTS, y, **index).decision_function(TEXTS, **index)
    np.testing.assert_allclose(by_list, by_index, atol=1e-6)


# Bad input


@pytest.mark.parametrize(
    ("collate_fn", "message"),
    [
        (lambda texts: [torch.ones(len(text)) for text in texts], "ragged: a list of 2 arrays of shapes"),
        (lambda texts: {"ids": [[1, 2], [3]]}, r"\['ids'\] is ragged"),
        (lambda texts: {"ids": np.array([[1, 2], [3]], dtype=object)}, r"\['ids'\] is ragged"),
        (lambda texts: {"ids": texts}, r"\['ids'\] is text"),
        (lambda texts: None, "NoneType"),
        (lambda texts: {"ids": torch.full((len(texts), 2), torch.nan)}, r"NaN in the batch\['ids'\]: item 0"),
        (lambda texts: 1 / 0, "failed on the items 0, 1 of X: division by zero"),
        (lambda texts: {"ids": torch.ones(1, 3, dtype=torch.int64)}, r"it gives \(1, 8\)"),
        (lambda texts: {"words": torch.ones(2)}, "fails on a batch of 2 collated samples"),
    ],
)
def test_collate_functions_that_make_no_batch(collate_fn, message):
    with pytest.raises(ValueError, match=message):
        quick(Bag, collate_fn=collate_fn).fit(TEXTS, Y)


def test_samples_of_different_sizes_without_a_collate_function():
    class Ragged(Views):
        def __getitem__(self, i):
            return {"cloud": torch.ones(3 + i % 2, 3)}, int(Y[i])

    with pytest.raises(ValueError, match="default_collate, which stacks arrays of one size"):
        quick(Looks).fit(Ragged())


def test_fewer_rows_in_a_later_batch_are_told():
    def fewer(texts):
        return {"ids": tokenize(texts)["ids"][: max(2, len(texts) - 1)]}

    with pytest.raises(ValueError, match=r"gave \d+ embeddings for a batch of \d+ samples"):
        quick(Bag, collate_fn=fewer).fit(TEXTS, Y)
    learner = quick(Bag, collate_fn=tokenize).fit(TEXTS, Y).set_params(collate_fn=fewer)
    with pytest.raises(ValueError, match=r"gave \d+ embeddings for \d+ samples.*so must collate_fn"):
        learner.transform(TEXTS)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([[1.0, 2.0], [1.0], [1.0, 2.0]], "sample 0 has 2 and sample 1 has 1. To pad them give collate_fn="),
        ([{"ids": [1]}, {"ids": [2]}], "lists samples of type dict, no rows of features: give collate_fn="),
    ],
)
def test_lists_of_other_samples_need_a_collate_function(X, message):
    learner = quick("mlp").fit(np.eye(4, 2), [0, 0, 1, 1])
    for call in (lambda: quick("mlp").fit(X, range(len(X))), lambda: learner.transform(X)):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_size": 8}, "image_size=8 is for images"),
        ({"mean": 0.5}, "mean and std"),
        ({"augment": "flip"}, "keeps the number of samples"),
        ({"augment": "two_views", "loss": "sim_clr"}, "keeps the number of samples"),
        ({"init": "closed_form"}, "closed_form"),
        ({"module": "conv4"}, "module='conv4' is for images"),
        ({"module": "auto"}, "module='auto' is for images"),
    ],
)
def test_parameters_without_an_effect_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        quick(**({"module": Bag, "collate_fn": tokenize} | settings)).fit(TEXTS, Y)


def test_another_structure_than_fitted_is_refused(fitted):
    other = copy.copy(fitted).set_params(collate_fn=lambda texts: {"words": torch.ones(len(texts), 3)})
    with pytest.raises(ValueError, match=r"`fit` saw \{'ids': 'int64"):
        other.transform(TEXTS)
    rows = quick("linear", n_components=2).fit(np.eye(6)[Y], Y)
    with pytest.raises(ValueError, match="fitted without it"):
        rows.set_params(collate_fn=tokenize).transform(TEXTS)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([], "X is empty"),
        (pd.DataFrame({"text": TEXTS}), "items are columns"),
        ({"text": TEXTS}, "items are columns"),
        ((text for text in TEXTS), "have a length"),
        (3, "have a length"),
    ],
)
def test_what_has_no_items_is_refused(fitted, X, message):
    with pytest.raises(ValueError, match=message):
        fitted.transform(X)


def test_items_without_a_label():
    with pytest.raises(ValueError, match="requires y to be passed"):
        quick(Bag, collate_fn=tokenize).fit(TEXTS)


def test_a_folder_holds_it_with_the_class(fitted, tmp_path):
    learner = quick(Looks).fit(Views())
    skmetric.io.save(learner, tmp_path / "model")
    loaded = skmetric.io.load(tmp_path / "model", modules={"Looks": Looks})
    np.testing.assert_array_equal(loaded.transform(Views()), learner.transform(Views()))


def test_parts_of_a_nested_batch_give_the_same_gradient():
    whole, parts = (
        quick(Bag, collate_fn=tokenize, fine_tuning=FineTuning(grad_cache=size)).fit(TEXTS, Y)
        for size in (None, 5)
    )
    np.testing.assert_allclose(whole.transform(TEXTS), parts.transform(TEXTS), atol=1e-5)
