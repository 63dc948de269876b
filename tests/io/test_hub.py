"""The page beside a model."""

import numpy as np
import pytest

from skmetric import io
from skmetric.metrics import retrieval_report

from .conftest import X, Y, made, metric


def test_the_page_has_scores_with_intervals_and_what_thresholds_promise(tmp_path):
    search = made("search")
    calibration = search.calibrate(targets={"strict": ("false_accept_rate", 0.2)})
    report = retrieval_report(X, Y, n_resamples=20)
    io.to_hub_folder(
        search, tmp_path, trained_on="ants to dogs", scores=report, scored_on="other <b>", license="mit"
    )
    page = (tmp_path / "README.md").read_text()
    assert page.startswith("---\nlibrary_name: skmetric")
    low, high = report.intervals["map_at_r"]
    assert f"| map_at_r | {report['map_at_r']:.3f} | [{low:.3f}, {high:.3f}] |" in page
    assert f"| strict | {calibration.cutpoints['strict']['distance']:.4g} | " in page
    assert "ants to dogs" in page
    assert np.array_equal(io.load(tmp_path).predict(X), search.predict(X))
    io.to_hub_folder(search, tmp_path, trained_on="the same again")
    assert "None were given" in (tmp_path / "README.md").read_text()
    assert len(list(tmp_path.iterdir())) == 3


def test_scores_without_their_data_are_refused(tmp_path):
    with pytest.raises(ValueError, match="scores need scored_on"):
        io.to_hub_folder(metric(), tmp_path, trained_on="all", scores={"map_at_r": 1.0})
    with pytest.raises(ValueError, match="trained_on is empty"):
        io.to_hub_folder(metric(), tmp_path, trained_on=" ")
