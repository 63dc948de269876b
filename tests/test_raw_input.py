"""What a newcomer passes in place of rows of numbers gets an error that says what to do."""

import numpy as np
import pytest

from skmetric import MetricLearner, SimilaritySearch

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
