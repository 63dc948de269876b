"""What a newcomer passes in place of rows of numbers gets an error that says what to do."""

import io

import numpy as np
import pytest

from skmetric import MetricLearner, SimilaritySearch
from skmetric.metrics import retrieval_report

Y = [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("X", "said"),
    [
        (["a cat", "two cats", "a dog", "dogs"], "X holds texts.*FrozenText"),
        (np.array(["a.jpg", "b.jpg", "c.jpg", "d.jpg"]), "X holds paths of images.*FrozenFeatures"),
        (np.zeros((4, 8, 8, 3), np.uint8), "X holds images.*FrozenFeatures.*reshape"),
        ([np.zeros((8, 8)), np.zeros((9, 8)), np.zeros((8, 8)), np.zeros((8, 8))], "X holds images"),
    ],
)
@pytest.mark.parametrize("estimator", [MetricLearner(), SimilaritySearch()])
def test_samples_that_are_no_rows_get_the_remedy(estimator, X, said):
    place = "as the embedder" if isinstance(estimator, SimilaritySearch) else "in a pipeline"
    with pytest.raises(ValueError, match=f"(?s){said}") as caught:
        estimator.fit(X, Y)
    assert place in str(caught.value)


def test_columns_of_text_are_named():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame({"size": [1.0, 2.0, 3.0, 4.0], "colour": ["red", "red", "blue", "blue"]})
    with pytest.raises(ValueError, match=r"columns \['colour'\] hold no numbers.*OneHotEncoder"):
        MetricLearner().fit(X, Y)
    learner = MetricLearner(shrinkage=(0.5, 0.5)).fit(X.assign(colour=[1.0, 2.0, 5.0, 6.0]), Y)
    with pytest.raises(ValueError, match=r"columns \['colour'\] hold no numbers"):
        learner.transform(X)


def test_other_errors_stay_as_they_are():
    with pytest.raises(ValueError, match=r"Reshape your data") as caught:
        MetricLearner().fit([1.0, 2.0, 3.0, 4.0], Y)
    assert "X holds" not in str(caught.value)


def test_paths_that_lead_nowhere_name_the_folder_that_they_start_from(tmp_path, monkeypatch):
    from torch import nn

    from skmetric import FrozenFeatures

    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="working directory, ") as caught:
        FrozenFeatures(nn.Flatten()).fit(["photos/1.jpg", "photos/2.jpg"])
    assert tmp_path.name in str(caught.value)
    with pytest.raises(ValueError, match=r"X is None: pass a list of paths"):
        FrozenFeatures(nn.Flatten()).fit(None)


@pytest.mark.parametrize("rows", [[b"\x89PNG"] * 4, [io.BytesIO(b"\x89PNG")] * 4], ids=["bytes", "files"])
@pytest.mark.parametrize("name", ["DeepMetricLearner", "SiameseLearner", "FrozenFeatures"])
def test_images_that_are_not_opened_are_refused_alike(name, rows):  # "could not convert string to float"
    from torch import nn

    import skmetric.deep

    of_features = name == "FrozenFeatures"
    learner = skmetric.FrozenFeatures(nn.Flatten()) if of_features else getattr(skmetric.deep, name)()
    pairs = {"pairs": [[0, 1]] * 4} if name == "SiameseLearner" else {}
    with pytest.raises(ValueError, match=r"X holds (bytes|BytesIO): images are paths, PIL images or arrays"):
        learner.fit(rows, Y, **pairs)


def test_tensors_in_filters_and_weights():  # a raw error of torch
    import torch

    X = np.random.default_rng(0).normal(size=(8, 2))
    y = np.arange(8) % 2
    search = SimilaritySearch().fit(X, y, metadata={"price": np.arange(8.0)})
    two = torch.tensor(1, dtype=torch.bfloat16).requires_grad_()
    for asked in (torch.tensor(1), torch.tensor([1]), np.array(1), [two]):
        assert search.items(where={"label": asked})["id"].tolist() == [1, 3, 5, 7]
    assert search.items(where={"price": slice(torch.tensor(6.0), None)})["id"].tolist() == [6, 7]
    weights = torch.tensor([1.0, 1, 2, 2, 1, 1, 2, 2]).bfloat16().requires_grad_()
    learner = MetricLearner(shrinkage=(0.5, 0.5)).fit(X, y, sample_weight=weights)
    same = MetricLearner(shrinkage=(0.5, 0.5)).fit(X, y, sample_weight=[1, 1, 2, 2, 1, 1, 2, 2])
    np.testing.assert_array_equal(learner.transform(X), same.transform(X))


def test_datasets_of_torch_are_refused_by_name():
    import torch
    from torch.utils.data import TensorDataset

    rows = TensorDataset(torch.zeros(4, 2), torch.arange(4))
    for call in (MetricLearner().fit, SimilaritySearch().fit, retrieval_report):
        with pytest.raises(ValueError, match="X is a TensorDataset, a Dataset of torch: pass the features"):
            call(rows, Y)
