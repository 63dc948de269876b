"""What the two reports share."""

import numpy as np
import pytest

from skmetric.metrics import RetrievalReport, VerificationReport, retrieval_report, verification_report

EMBEDDINGS, LABELS = np.array([[0.0], [1], [5], [7]]), np.array([0, 0, 1, 1])


@pytest.mark.parametrize(
    ("report", "kind"),
    [
        (lambda: retrieval_report(EMBEDDINGS, LABELS, k=[1], random_state=0), RetrievalReport),
        (lambda: verification_report([0.1, 0.4, 0.3, 0.9], [1, 1, 0, 0], random_state=0), VerificationReport),
    ],
)
def test_scores_by_name_inside_their_intervals(report, kind):
    report = report()
    assert isinstance(report, kind)
    assert set(report.scores) == set(report.intervals) == set(report.chance)
    for name in report.scores:
        assert report[name] == report.scores[name]
        assert name in repr(report)
