"""Scores of long rankings with ties, as pytrec_eval has them, and of pairs, as scikit-learn has them."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, ndcg_score, roc_auc_score, roc_curve

from skmetric.metrics import retrieval_report, verification_report

NAMES = {  # ours, and trec_eval's
    "precision_at_10": "P_10",
    "r_precision": "Rprec",
    "mean_average_precision": "map",
    "mean_reciprocal_rank": "recip_rank",
    "recall_at_10": "success_10",
    "ndcg_at_10": "ndcg_cut_10",
}
sizes = pytest.mark.parametrize("n", [300, 3_000, 20_000])


def tied(n):
    """Codes of 12 bits, queries of them, and relevance in the gallery's order: (n_queries, n)."""
    rng = np.random.default_rng(n)
    codes, y = rng.integers(0, 2, (n, 12)), rng.integers(0, 30, n)
    queries, asked = rng.integers(0, 2, (6, 12)), np.arange(6)
    order = np.argsort((queries[:, None] != codes).sum(-1), axis=1, kind="stable")
    data = {"embeddings": queries, "y": asked, "gallery": codes, "y_gallery": y}
    return data, y[order] == asked[:, None]


@sizes
def test_rankings_with_ties_against_scikit_learn(n):
    data, relevant = tied(n)
    report = retrieval_report(**data, scores=list(NAMES), n_resamples=1)
    falling = -np.arange(n, dtype=float)
    precision = [average_precision_score(row, falling) for row in relevant]
    assert report["mean_average_precision"] == pytest.approx(np.mean(precision))
    assert report["ndcg_at_10"] == pytest.approx(ndcg_score(relevant, np.tile(falling, (6, 1)), k=10))
    assert report["mean_reciprocal_rank"] == pytest.approx(np.mean(1 / (1 + relevant.argmax(axis=1))))


@sizes
def test_rankings_with_ties_against_pytrec_eval(n):
    pytrec_eval = pytest.importorskip("pytrec_eval")
    data, relevant = tied(n)
    judged = {str(q): {str(i): int(hit) for i, hit in enumerate(row)} for q, row in enumerate(relevant)}
    run = {str(q): {str(i): float(n - i) for i in range(n)} for q in range(len(relevant))}
    theirs = pytrec_eval.RelevanceEvaluator(judged, pytrec_eval.supported_measures).evaluate(run)
    report = retrieval_report(**data, scores=list(NAMES), n_resamples=1)
    for ours, name in NAMES.items():
        assert report[ours] == pytest.approx(np.mean([query[name] for query in theirs.values()]), abs=1e-6)


@pytest.mark.parametrize("levels", [4, 100, 10**9])
@sizes
def test_pairs_with_ties_against_scikit_learn(n, levels):
    rng = np.random.default_rng(n)
    same = rng.random(n) < 0.3
    distances = rng.integers(0, levels, n) + 0.3 * levels * ~same
    report = verification_report(distances, same, far=[0.1, 0.02], n_resamples=1)
    far, tar, _ = roc_curve(same, -distances, drop_intermediate=False)
    assert report["auc"] == pytest.approx(roc_auc_score(same, -distances))
    assert report["eer"] == pytest.approx(np.interp(0, far + tar - 1, far))
    for target in (0.1, 0.02):
        name, last = f"tar_at_far_{target:g}", np.flatnonzero(far <= target)[-1]
        assert report[name] == pytest.approx(tar[last])
        assert (distances[~same] <= report.thresholds[name]).mean() <= target
