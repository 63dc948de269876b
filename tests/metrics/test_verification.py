import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from skmetric.metrics import verification_report


@pytest.fixture
def pairs():
    rng = np.random.default_rng(0)
    same = rng.random(600) < 0.3
    return np.round(rng.normal(size=600) - same, 1), same  # rounded: with ties


def test_values_by_hand():
    # same at 1, 2, 4; different at 3, 5. AUC: 4 before 5 but not 3, so (2 + 2 + 1) / 6.
    # (FAR, TAR) at 2 is (0, 2/3), at 3 (1/2, 2/3): FAR + TAR - 1 from -1/3 to 1/6, 0 after 2/3 of the way
    report = verification_report([1, 2, 4, 3, 5], [1, 1, 1, 0, 0], far=[0.5])
    assert report["auc"] == pytest.approx(5 / 6)
    assert report["eer"] == pytest.approx(1 / 3)
    assert report.thresholds["eer"] == pytest.approx(2 + 2 / 3)
    assert (report["tar_at_far_0.5"], report.thresholds["tar_at_far_0.5"]) == (1, 4)
    assert report.chance["tar_at_far_0.5"] == pytest.approx(2 / 3)  # same pairs before the 2nd of 2 different
    assert (report.n_same, report.n_different) == (3, 2)


def test_thresholds_do_what_the_scores_say(pairs):
    distances, same = pairs
    report = verification_report(distances, same, far=(0.3, 0.1, 0.01))
    for far in (0.3, 0.1, 0.01):
        accepted = distances <= report.thresholds[f"tar_at_far_{far}"]
        assert accepted[same].mean() == report[f"tar_at_far_{far}"]
        assert accepted[~same].mean() <= far
        more = distances <= distances[distances > report.thresholds[f"tar_at_far_{far}"]].min()
        assert more[~same].mean() > far  # the next distance would be one too many


def test_auc_is_that_of_scikit_learn(pairs):
    distances, same = pairs
    assert verification_report(distances, same)["auc"] == pytest.approx(
        roc_auc_score(same, -distances), abs=1e-12
    )


def test_any_increasing_function_of_the_distance_scores_alike(pairs):
    distances, same = pairs
    assert verification_report(np.exp(distances), same).scores == verification_report(distances, same).scores


def test_kinds_of_truth(pairs):
    distances, same = pairs
    scores = verification_report(distances, same).scores
    assert verification_report(distances, np.where(same, 1, -1)).scores == scores
    assert verification_report(distances.tolist(), same.astype(int).tolist()).scores == scores


def test_perfect_and_equal_distances():
    same = np.repeat([True, False], 50)
    assert set(verification_report(np.where(same, 1.0, 2.0), same).scores.values()) == {1.0, 0.0}
    equal = verification_report(np.ones(100), same, far=[0.1])
    assert equal.scores == {"auc": 0.5, "eer": 0.5, "tar_at_far_0.1": 0.0}
    assert equal.thresholds["tar_at_far_0.1"] < 1  # accepts nothing


def test_distances_that_say_nothing_score_chance():
    rng = np.random.default_rng(0)
    same = np.arange(60) < 20
    reports = [verification_report(rng.random(60), same, far=(0.1, 0.05), n_resamples=1) for _ in range(400)]
    for name, chance in reports[0].chance.items():
        scores = np.array([report[name] for report in reports])
        assert scores.mean() == pytest.approx(chance, abs=4 * scores.std() / np.sqrt(len(scores))), name


def test_intervals_are_those_of_resampled_pairs(pairs):
    distances, same = pairs
    rng = np.random.default_rng(1)
    rows = [np.flatnonzero(same), np.flatnonzero(~same)]
    samples = []
    for _ in range(300):
        drawn = np.concatenate([rng.choice(kind, len(kind)) for kind in rows])
        far, tar, _ = roc_curve(same[drawn], -distances[drawn], drop_intermediate=False)
        eer = np.interp(0, far + tar - 1, far)
        samples.append([roc_auc_score(same[drawn], -distances[drawn]), eer, tar[far <= 0.1][-1]])
    low, high = np.quantile(samples, [0.025, 0.975], axis=0)
    intervals = np.array(list(verification_report(distances, same, far=[0.1]).intervals.values()))
    width = high - low
    assert (abs(intervals - np.stack([low, high], axis=1)) < 0.25 * width[:, None]).all()


def test_far_below_what_the_pairs_can_show():
    distances, same = np.arange(60.0), np.arange(60) < 10  # 50 of different classes
    assert list(verification_report(distances, same).scores) == ["auc", "eer", "tar_at_far_0.1"]
    assert "tar_at_far_0.02" in verification_report(distances, same, far=[1 / 50]).scores
    for far in (0.01, 0.0, 1.0, np.nan):
        with pytest.raises(ValueError, match=r"with 50 pairs of different classes it must be from 1/50"):
            verification_report(distances, same, far=[0.1, far])


def test_bad_pairs():
    with pytest.raises(ValueError, match=r"distances.*NaN.*row 1"):
        verification_report([0.1, np.nan, 0.3], [1, 0, 1])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        verification_report([0.1, 0.2, 0.3], [1, 0])
    for same in ([1, 1, 1], ["a", "b", "b"], [0, 1, 2]):
        with pytest.raises(ValueError, match="hold both kinds; its values are"):
            verification_report([0.1, 0.2, 0.3], same)


def test_tables(pairs):
    report = verification_report(*pairs)
    lines = str(report).splitlines()
    assert lines[0].split() == ["score", "95%", "interval", "chance", "threshold"]
    assert len({len(line) for line in lines[:-2]}) == 1
    assert lines[1].split()[-1] == "-"  # the AUC has no threshold
    assert report._repr_html_().count("<tr>") == 1 + len(report.scores)


@pytest.mark.parametrize("kind", ["bfloat16", "float16", "float32"])
def test_distances_as_tensors_of_any_float_type_and_with_gradients(kind):
    torch = pytest.importorskip("torch")
    distances = torch.tensor([0.25, 0.5, 0.375, 1.0], requires_grad=True).to(getattr(torch, kind))
    # one of the four pairs (same, different) is in the wrong order: 0.5 > 0.375
    assert verification_report(distances, torch.tensor([1, 1, 0, 0]))["auc"] == 0.75


@pytest.mark.parametrize("far", [["0.1"], "0.1", [None], [True], [[0.1]], [0.1, "x"], 0.1, {"x": 0.1}])
def test_rates_that_are_no_numbers(pairs, far):
    with pytest.raises(ValueError, match=r"'?far'?.* must be "):
        verification_report(*pairs, far=far)
