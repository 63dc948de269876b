"""What comes in wrong is refused before work starts, with a message that says what to do."""

import numpy as np
import pytest
import torch
from torch import nn

from skmetric.deep import DeepMetricLearner
from skmetric.deep.losses import NormalizedSoftmaxLoss

# Data


def test_one_class(tiny, blobs):
    with pytest.raises(ValueError, match=r"one class only \('a'\)"):
        tiny().fit(blobs[0], ["a"] * 60)


def test_nan_is_named_by_row(tiny, blobs, pictures):
    X, y = blobs
    X = X.copy()
    X[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"NaN in row 3"):
        tiny().fit(X, y)
    images = pictures[0] / 255
    images[7, 0, 0, 0] = np.inf
    with pytest.raises(ValueError, match=r"infinity in row 7"):
        tiny("conv4").fit(images, pictures[1])


def test_too_large_for_float32(tiny, blobs):
    with pytest.raises(ValueError, match=r"too large for float32.*scale the features"):
        tiny().fit(blobs[0].astype(float) * 1e300, blobs[1])


def test_labels_of_mixed_types(tiny, blobs):
    with pytest.raises(ValueError, match=r"several types"):
        tiny().fit(blobs[0], np.array([1, "a"] * 30, dtype=object))
    with pytest.raises(ValueError, match=r"several types"):
        tiny().fit(blobs[0], [1, "a"] * 30)
    with pytest.raises(ValueError, match=r"requires y to be passed"):
        tiny().fit(blobs[0], None)
    with pytest.raises(ValueError, match=r"60 rows"):
        tiny("conv4").fit(np.zeros((60, 8, 8)), [0, 1])


def test_singletons_are_left_out_with_one_warning(tiny, blobs):
    X, y = blobs
    y = y.astype("U2")
    y[:2] = ["x1", "x2"]
    with pytest.warns(UserWarning, match=r"2 classes with one sample are left out") as caught:
        learner = tiny().fit(X, y)
    assert len([w for w in caught if "left out" in str(w.message)]) == 1
    assert len(learner.classes_) == 8
    kept = np.arange(60) > 1
    np.testing.assert_array_equal(learner.transform(X), tiny().fit(X[kept], y[kept]).transform(X))


def test_singletons_have_a_proxy(tiny, blobs):
    X, y = blobs
    y = y.astype("U2")
    y[0] = "x1"
    learner = tiny(loss=NormalizedSoftmaxLoss()).fit(X, y)
    assert learner.loss_.proxies.shape[0] == 7


@pytest.mark.filterwarnings("ignore:The number of unique classes:UserWarning")  # of scikit-learn
def test_nothing_but_singletons(tiny, blobs):
    with pytest.raises(ValueError, match=r"60 classes have one sample"):
        tiny().fit(blobs[0], np.arange(60))


def test_fewer_classes_than_in_a_batch(tiny, blobs):
    with pytest.warns(UserWarning, match=r"classes_per_batch=32, but there are 6 classes") as caught:
        tiny(classes_per_batch=32).fit(*blobs)
    assert len(caught) == 1


# Images


def test_channel_axis_that_reads_both_ways(tiny, pictures):
    X, y = pictures
    with pytest.raises(ValueError, match=r"\(C, H, W\) with 3 channels and as \(H, W, C\) with 3"):
        tiny("conv4").fit(X[..., :3], y)
    learner = tiny("conv4", channel_axis="first").fit(X[:, :, :, :4], y)
    assert learner.input_shape_ == (3, 8, 4)
    with pytest.raises(ValueError, match=r"neither the first axis nor the last"):
        tiny("conv4").fit(X.repeat(2, axis=1), y)


def test_images_other_than_fitted(tiny, pictures, blobs):
    X, y = pictures
    learner = tiny("conv4").fit(X, y)
    with pytest.raises(ValueError, match=r"row 0 is 4x8, the images in `fit` began with 8x8"):
        learner.transform(X[:, :, :4])
    with pytest.raises(ValueError, match=r"row 0 has 1 channel, `fit` saw 3: bring all images"):
        learner.transform(X[:, 0])
    with pytest.raises(ValueError, match=r"fit saw images, of shape"):
        learner.transform(blobs[0])
    with pytest.raises(ValueError, match=r"fit saw rows of features"):
        tiny().fit(*blobs).transform(X)
    assert learner.transform(np.moveaxis(X, 1, -1)).shape == (48, 3)  # told apart by the fitted shape


def test_images_of_no_brightness(tiny, pictures):
    X, y = pictures
    with pytest.raises(ValueError, match=r"dtype int64.*astype"):
        tiny("conv4").fit(X.astype(int), y)
    with pytest.raises(ValueError, match=r"row 1 is 4x8, .* began with 8x8: pass image_size="):
        tiny("conv4").fit([X[0], X[1, :, :4]], [0, 1])
    with pytest.raises(ValueError, match=r"X has shape \(1, 48, 3, 8, 8\): images are \(n, H, W\)"):
        tiny("conv4").fit(X[None], y)


# Network and loss


def test_module_that_gives_no_vectors(tiny, pictures):
    X, y = pictures
    with pytest.raises(ValueError, match=r"must give \(batch, n_components\).*it gives \(2, 4, 6, 6\)"):
        tiny(nn.Conv2d(3, 4, 3)).fit(X, y)
    with pytest.raises(ValueError, match=r"n_components=3, but module Sequential gives 2"):
        tiny(nn.Sequential(nn.Flatten(), nn.Linear(192, 2))).fit(X, y)
    with pytest.raises(ValueError, match=r"module Linear fails on a batch of shape \(2, 3, 8, 8\)"):
        tiny(nn.Linear(5, 3)).fit(X, y)
    with pytest.raises(ValueError, match=r"must return an nn.Module"):
        tiny(lambda shape: "mlp").fit(X, y)


def test_loss_that_gives_a_vector(tiny, blobs):
    with pytest.raises(ValueError, match=r"one number.*tensor of shape \(60,\): reduce it"):
        tiny(loss=lambda e, y: e.norm(dim=1), classes_per_batch=6, samples_per_class=10).fit(*blobs)
    with pytest.raises(ValueError, match=r"returned 0.5"):
        tiny(loss=lambda e, y: 0.5).fit(*blobs)


def test_loss_by_name(tiny, blobs):
    with pytest.raises(ValueError, match=r"loss='tripled' is no loss.*'triplet_margin'"):
        tiny(loss="tripled").fit(*blobs)
    for name in ("multi_similarity", "MultiSimilarityLoss", "multisimilarity"):
        assert type(tiny(loss=name).fit(*blobs).loss_).__name__ == "MultiSimilarityLoss"


def test_margin_of_a_loss_that_has_none(tiny, blobs):
    def own(embeddings, labels):
        return embeddings.sum()

    with pytest.raises(ValueError, match=r"margin=0.2, but the loss multi_similarity has no margin"):
        tiny(loss="multi_similarity", margin=0.2).fit(*blobs)
    with pytest.raises(ValueError, match=r"the loss own has no margin"):
        tiny(loss=own, margin=0.2).fit(*blobs)
    assert tiny(margin=0.7).fit(*blobs).loss_.margin == 0.7


def test_margin_of_foreign_losses(tiny, blobs):
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    foreign = losses.TripletMarginLoss(margin=0.05)
    learner = tiny(loss=foreign, margin=0.4).fit(*blobs)
    assert learner.loss_.margin == 0.4
    assert foreign.margin == 0.05
    proxies = tiny(loss=losses.ProxyAnchorLoss(num_classes=6, embedding_size=3)).fit(*blobs)
    assert not torch.equal(proxies.loss_.proxies, proxies.loss.proxies)

    def hinge(embeddings, labels, margin=1.0):
        return (margin - embeddings[:, 0]).relu().mean()

    assert tiny(loss=hinge, margin=0.1, max_epochs=1).fit(*blobs).history_[0]["loss"] < 1.1


# Settings


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_device_that_is_not_there(tiny, blobs):
    with pytest.raises(ValueError, match=r"torch sees 0 CUDA devices: use 'auto' or 'cpu'"):
        tiny(device="cuda").fit(*blobs)


def test_settings_that_contradict(tiny, blobs):
    with pytest.raises(ValueError, match=r"early_stopping=True needs classes to score on"):
        tiny(early_stopping=True, validation_fraction=0.0).fit(*blobs)
    with pytest.raises(ValueError, match=r"y has 3 classes; validation_fraction=0.5 needs two"):
        tiny(validation_fraction=0.5).fit(blobs[0][:30], blobs[1][:30])
    with pytest.raises(ValueError, match=r"normalize=False"):
        tiny(distance="cosine", normalize=False).fit(*blobs)
    with pytest.raises(ValueError, match=r"unknown score 'accuracy'"):
        tiny(scoring="accuracy").fit(*blobs)
    with pytest.raises(ValueError, match=r"'max_epochs' parameter of DeepMetricLearner"):
        DeepMetricLearner(max_epochs=0).fit(*blobs)


def test_large_integers_of_pandas_stay_what_they_are(tiny, blobs):
    pandas = pytest.importorskip("pandas")
    ids = 2**60 + np.arange(60) % 4  # as floats all of them are one (scikit-learn #25073)
    learner = tiny(max_epochs=1).fit(blobs[0], pandas.Series(ids, dtype="Int64"))
    assert learner.classes_.tolist() == [2**60, 2**60 + 1, 2**60 + 2, 2**60 + 3]
