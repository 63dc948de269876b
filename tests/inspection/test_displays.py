"""Displays: the arrays they keep are right, and what is drawn says what they hold."""

import numpy as np
import pandas
import pytest
from matplotlib.figure import Figure
from PIL import Image
from sklearn.exceptions import NotFittedError

from skmetric import DeepMetricLearner, MetricLearner, SimilaritySearch
from skmetric.inspection import (
    DistanceHistogramDisplay,
    EmbeddingDisplay,
    NeighborsDisplay,
    RecallAtKDisplay,
    ThresholdDisplay,
    TrainingDisplay,
    distance_contributions,
)
from skmetric.inspection._embedding import place_boxes
from skmetric.inspection._items import wrapped
from skmetric.inspection._threshold import apart
from skmetric.metrics import recall_at_k
from skmetric.search import KReciprocal

COLORS = {"hit": "#0072b2", "miss": "#d55e00", "refused": "#767676"}


def texts_of(ax):
    return [text.get_text() for text in ax.texts]


def lines_by_label(ax):
    return {line.get_label(): line for line in ax.lines}


def overlaps(ax):
    """Pairs of texts of an axes whose boxes overlap, as drawn."""
    ax.figure.canvas.draw()
    shown = [text for text in ax.texts if text.get_text()]
    boxes = [text.get_window_extent() for text in shown]
    return [
        (shown[i].get_text(), shown[j].get_text())
        for i in range(len(boxes))
        for j in range(i)
        if boxes[i].overlaps(boxes[j])
    ]


# Neighbours


def test_a_search_that_was_fitted_on_paths_shows_them(tmp_path):
    paths = []
    for i, color in enumerate(["red", "green", "blue", "black"]):
        Image.new("RGB", (8, 8), color).save(tmp_path / f"{i}.png")
        paths.append(str(tmp_path / f"{i}.png"))
    X = [[0.0], [1.0], [5.0], [6.0]]
    search = SimilaritySearch(n_neighbors=2).fit(X, list("aabb"), metadata={"path": paths})
    display = NeighborsDisplay.from_estimator(search, [[5.4]], ["b"], queries=paths[3:])
    assert display.gallery.tolist() == [None, None, *paths[2:]]
    assert len(display.ax_.images) == 3


def test_a_search_without_paths_needs_a_gallery():
    search = SimilaritySearch().fit([[0.0], [1.0]], ["a", "b"])
    with pytest.raises(ValueError, match="gallery= is needed: what the items look like"):
        NeighborsDisplay.from_estimator(search, [[0.2]])


@pytest.fixture
def found(digits, search, rows):
    asked = np.r_[rows[1][:3], rows[2][:2]]
    return NeighborsDisplay.from_estimator(
        search, digits.data[asked], digits.target[asked], queries=digits.images[asked],
        gallery=digits.images[rows[0]], n_neighbors=3,
    )  # fmt: skip


def test_neighbors_are_those_of_the_search(found, search, digits, rows):
    asked = np.r_[rows[1][:3], rows[2][:2]]
    distances, indices = search.kneighbors(digits.data[asked], 3)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_array_equal(found.distances, distances)
    assert len(found.ax_.images) == 5 * 4


@pytest.mark.parametrize("cutpoint", [0.5, np.array([[0.2, 0.3, 0.8]])])
def test_a_neighbor_is_a_hit_a_miss_or_refused_by_mark_and_by_color(cutpoint):
    display = NeighborsDisplay.from_predictions(
        ["a text"], ["one", "two", "three"], [[0.1, 0.2, 0.9]], [[0, 1, 2]], y=["x"],
        y_gallery=["x", "z", "x"], cutpoint=cutpoint,
    )  # fmt: skip
    captions = {text.get_text(): text.get_color() for text in display.ax_.texts}
    assert captions["\N{CHECK MARK} x  0.100"] == COLORS["hit"]
    assert captions["\N{BALLOT X} z  0.200"] == COLORS["miss"]
    assert captions["\N{WHITE CIRCLE} x  0.900"] == COLORS["refused"]


def test_a_neighbor_is_held_against_the_threshold_of_its_class(digits):
    search = SimilaritySearch().fit(digits.data[:300], digits.target[:300])
    calibration = search.calibrate(per_class=True)
    asked = {"queries": digits.images[300:303], "gallery": digits.images[:300]}
    display = NeighborsDisplay.from_estimator(search, digits.data[300:303], **asked)
    limits = calibration.class_thresholds(search.labels_[display.indices]).reshape(display.indices.shape)
    np.testing.assert_array_equal(display.cutpoint, limits)
    assert len(np.unique(limits)) > 1


def test_a_stranger_is_shown_as_no_match(found):
    assert [text for text in texts_of(found.ax_) if "no match (-1)" in text]


def test_captions_of_pictures_do_not_overlap(found):
    assert overlaps(found.ax_) == []


LONG = ["Garant-Ecological-Medium-Fat-Milk", "top_up_by_bank_transfer_charge", "e" * 30, "short"]


@pytest.mark.parametrize("items", [np.zeros((4, 8, 8)), np.zeros((4, 20, 60, 3)), LONG], ids=str)
@pytest.mark.parametrize("n_queries", [1, 4])
def test_long_labels_do_not_overlap(items, n_queries):
    display = NeighborsDisplay.from_predictions(
        items[:n_queries], items, np.ones((n_queries, 3)), np.tile([0, 1, 2], (n_queries, 1)),
        y=LONG[:n_queries], y_gallery=LONG, predictions=LONG[-n_queries:], cutpoint=2,
        no_match_label="none of these products",
    )  # fmt: skip
    assert overlaps(display.ax_) == []
    assert display.figure_.get_size_inches()[0] <= 7.02


def test_what_a_query_was_taken_for():
    display = NeighborsDisplay.from_predictions(
        ["a", "b", "c"], ["d"], np.ones((3, 1)), np.zeros((3, 1), int), y=["x", "x", "x"],
        y_gallery=["x"], predictions=["x", "z", "none"], no_match_label="none",
    )  # fmt: skip
    captions = [text for text in texts_of(display.ax_) if text.startswith("x\n")]
    assert captions == ["x\nrecognised", "x\ntaken for z", "x\nno match (none)"]


def test_text_is_broken_where_words_end():
    assert wrapped("Garant-Ecological-Medium-Fat-Milk", 18) == "Garant-Ecological-\nMedium-Fat-Milk"
    assert wrapped("bank_transfer charge", 10) == "bank_\ntransfer\ncharge"
    assert wrapped("a" * 12, 5) == "aaaaa\naaaaa\naa"
    assert wrapped("one two three", 5, lines=2) == "one\ntwo …"


def test_captions_of_texts_do_not_overlap():
    long = ["a question that goes on and on about a card that has not arrived " * 3] * 3
    display = NeighborsDisplay.from_predictions(
        long, long, np.ones((3, 2)), np.zeros((3, 2), int), y=["waiting"] * 3, y_gallery=["waiting"] * 3
    )
    assert overlaps(display.ax_) == []


def test_pictures_may_be_files_and_pil_images(tmp_path):
    image = Image.new("RGB", (300, 200), "red")
    image.save(tmp_path / "red.png")
    display = NeighborsDisplay.from_predictions([str(tmp_path / "red.png")], [image], [[0.0]], [[0]])
    assert display.ax_.images[0].get_array().shape == (85, 128, 3)  # shrunk to 128 pixels


def test_neighbors_refuse_what_does_not_go_together():
    with pytest.raises(ValueError, match="queries must be one for each of the 2"):
        NeighborsDisplay.from_predictions(["a"], ["b"], np.zeros((2, 1)), np.zeros((2, 1), int))
    with pytest.raises(ValueError, match="indices has row 5"):
        NeighborsDisplay.from_predictions(["a"], ["b"], [[0.0]], [[5]])
    with pytest.raises(ValueError, match="become pictures"):
        NeighborsDisplay.from_predictions(np.zeros((1, 64)), np.zeros((1, 64)), [[0.0]], [[0]])


# Threshold


def test_thresholds_are_drawn_as_calibrated(search):
    display = ThresholdDisplay.from_estimator(search)
    drawn = lines_by_label(display.ax_)
    calibration = search.calibration_
    for label, rate in {
        "known identified (recall)": "recall",
        "strangers accepted": "false_accept_rate",
    }.items():
        np.testing.assert_array_equal(drawn[label].get_xdata(), calibration.thresholds["distance"])
        np.testing.assert_array_equal(drawn[label].get_ydata(), calibration.thresholds[rate])
    named = " ".join(texts_of(display.ax_))
    assert "optimal" in named
    assert "strict" in named
    assert overlaps(display.ax_) == []


def test_f1_is_the_harmonic_mean(search):
    rates = ThresholdDisplay.from_estimator(search).thresholds
    at = np.argmax(rates["recall"] > 0.5)
    precision, recall = rates["precision"][at], rates["recall"][at]
    assert rates["f1"][at] == pytest.approx(2 / (1 / precision + 1 / recall))


def test_intervals_of_near_cutpoints_stand_apart():
    np.testing.assert_allclose(apart(np.array([1.0, 5.0]), np.array([2.0, 2.0])), [1, 5])
    # two of width 2 at 1 and 1.5 move by .75 each; the third, at 0.9, comes before them
    np.testing.assert_allclose(apart(np.array([1.0, 1.5]), np.array([2.0, 2.0])), [0.25, 2.25])
    np.testing.assert_allclose(apart(np.array([5.0, 1.0]), np.array([2.0, 2.0])), [5, 1])


def test_there_is_no_precision_where_nothing_is_accepted(search):
    display = ThresholdDisplay.from_estimator(search)
    precision = lines_by_label(display.ax_)["precision"].get_ydata()
    assert np.isnan(precision[0])
    np.testing.assert_array_equal(precision[1:], search.calibration_.thresholds["precision"][1:])


@pytest.mark.parametrize("kind", ["precision_recall", "det"])
def test_other_kinds_mark_the_cutpoints(search, kind):
    display = ThresholdDisplay.from_estimator(search, kind=kind)
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["optimal", "strict"]


def test_threshold_display_says_what_is_missing(digits, rows):
    search = SimilaritySearch().fit(digits.data[rows[0]], digits.target[rows[0]])
    with pytest.raises(NotFittedError, match="call calibrate"):
        ThresholdDisplay.from_estimator(search)
    with pytest.warns(UserWarning, match="open"):
        calibration = search.calibrate(protocol="closed", metric="recall")
    with pytest.raises(ValueError, match="false_accept_rate"):
        ThresholdDisplay.from_predictions(calibration, kind="det")
    with pytest.raises(ValueError, match="kind must be"):
        ThresholdDisplay.from_predictions(calibration, kind="roc")


# Distances


def test_distances_of_pairs(digits, learner):
    X, y = digits.data[:6], np.array([0, 0, 1, 1, 2, 2])
    display = DistanceHistogramDisplay.from_estimator(learner, X, y)
    expected = learner.pair_distance(X[::2], X[1::2])
    np.testing.assert_allclose(np.sort(display.same), np.sort(expected))
    assert len(display.other) == 12  # 15 pairs, 3 of them within a class
    assert display.strangers is None


def test_distances_of_a_search_are_to_the_nearest(digits, search, rows):
    asked = rows[1][:40]
    display = DistanceHistogramDisplay.from_estimator(
        search, digits.data[asked], digits.target[asked], X_unknown=digits.data[rows[2]]
    )
    nearest = search.kneighbors(digits.data[asked], 1)[0][:, 0]
    np.testing.assert_allclose(np.minimum(display.same, display.other), nearest)
    np.testing.assert_allclose(display.strangers, search.kneighbors(digits.data[rows[2]], 1)[0][:, 0])
    assert display.cutpoint == search.calibration_.cutpoints["optimal"]["distance"]


def test_distances_that_are_known_already():
    display = DistanceHistogramDisplay.from_predictions([0.0, 1.0], [2.0, 3.0], cutpoint=1.5)
    heights = [patch.get_xy()[:, 1].max() for patch in display.ax_.patches]
    assert heights == [0.5, 0.5]  # two distances in two bins, as shares


# Embedding, recall, training


def test_embedding_is_the_plane_of_most_variance(digits, learner):
    embeddings = learner.transform(digits.data[:200])
    display = EmbeddingDisplay.from_estimator(learner, digits.data[:200], digits.target[:200])
    values = np.linalg.svd(embeddings - embeddings.mean(axis=0), compute_uv=False) ** 2
    np.testing.assert_allclose(display.explained, values[:2] / values.sum())
    assert {text.get_text() for text in display.ax_.texts} == set("0123456789")
    assert overlaps(display.ax_) == []


def test_embedding_of_two_dimensions_is_drawn_as_it_is():
    points = np.array([[0.0, 1.0], [2.0, 3.0]])
    np.testing.assert_array_equal(EmbeddingDisplay.from_predictions(points).points, points)


def test_embedding_by_tsne_keeps_neighbors(digits):
    kept = digits.target < 3
    display = EmbeddingDisplay.from_predictions(
        digits.data[kept][:150], digits.target[kept][:150], method="tsne"
    )
    assert recall_at_k(display.points, display.labels) > 0.9


PLANE = np.array([[0.0, 0.0], [300.0, 200.0]])


def test_names_find_the_nearest_room():
    centers, sizes = np.array([[150.0, 100.0], [150.0, 101.0], [20.0, 20.0]]), np.tile([40.0, 10.0], (3, 1))
    placed = place_boxes(centers, sizes, PLANE)
    np.testing.assert_array_equal(placed[[0, 2]], centers[[0, 2]])
    np.testing.assert_array_equal(placed[1], [150, 111])  # up by its height; 91 below would still overlap


def test_names_do_not_overlap_and_stay_inside():
    rng = np.random.default_rng(0)
    centers, sizes = rng.normal([290, 190], 20, size=(60, 2)), np.tile([60.0, 10.0], (60, 1))
    placed = place_boxes(centers, sizes, PLANE)  # 60 boxes take 0.6 of the plane
    gaps = np.abs(placed[:, None] - placed[None])
    assert ((gaps >= sizes[0]).any(axis=2) | np.eye(60, dtype=bool)).all()
    assert (placed >= PLANE[0] + sizes / 2).all()
    assert (placed <= PLANE[1] - sizes / 2).all()


def test_many_long_names_do_not_overlap():
    rng = np.random.default_rng(0)
    labels = np.repeat([f"A-long-name-of-product-number-{i}" for i in range(25)], 4)
    display = EmbeddingDisplay.from_predictions(rng.normal(size=(100, 2)) / 50, labels)
    assert overlaps(display.ax_) == []
    assert len({text.get_text() for text in display.ax_.texts}) == 25  # shortened in the middle


@pytest.mark.slow  # numba compiles
@pytest.mark.filterwarnings("ignore:Tensorflow not installed:ImportWarning")
def test_embedding_by_umap_keeps_neighbors(digits):
    kept = digits.target < 3
    X, y = digits.data[kept][:150], digits.target[kept][:150]
    display = EmbeddingDisplay.from_predictions(X, y, method="umap")
    assert display.ax_.get_xlabel() == "UMAP 1"
    assert recall_at_k(display.points, y) > 0.9
    again = EmbeddingDisplay.from_predictions(X, y, method="umap")
    np.testing.assert_array_equal(again.points, display.points)


def test_embedding_refuses_bad_input():
    with pytest.raises(ValueError, match="method must be"):
        EmbeddingDisplay.from_predictions(np.zeros((3, 4)), method="lda")
    with pytest.raises(ValueError, match="2 or more"):
        EmbeddingDisplay.from_predictions(np.zeros((3, 1)))
    with pytest.raises(ValueError, match="y has shape"):
        EmbeddingDisplay.from_predictions(np.zeros((3, 2)), [1, 2])


def test_recall_of_several_models(digits, learner):
    X, y = digits.data[-200:], digits.target[-200:]
    models = {"pixels": MetricLearner(n_components=2).fit(X, y), "learned": learner}
    display = RecallAtKDisplay.from_estimator(models, X, y, k=(1, 5))
    for name, model in models.items():
        embeddings = model.transform(X)
        expected = [recall_at_k(embeddings, y, k=k) for k in (1, 5)]
        np.testing.assert_allclose(display.recall[name], expected)
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["chance", "pixels", "learned"]


def test_recall_without_the_own_group(digits, learner):
    X, y = digits.data[-200:], digits.target[-200:]
    groups = np.arange(200) % 9
    display = RecallAtKDisplay.from_estimator(learner, X, y, k=(1,), groups=groups, n_resamples=10)
    expected = recall_at_k(learner.transform(X), y, k=1, groups=groups)
    assert display.recall["MetricLearner"].tolist() == [expected]


def test_history_is_drawn_with_the_epoch_kept(digits):
    learner = DeepMetricLearner(max_epochs=3, validation_fraction=0.3, random_state=0)
    learner.fit(digits.data[:300] / 16, digits.target[:300])
    display = TrainingDisplay.from_estimator(learner)
    losses = lines_by_label(display.axes_[0])["loss"].get_ydata()
    np.testing.assert_array_equal(losses, [row["loss"] for row in learner.history_])
    assert list(lines_by_label(display.axes_[0])["epoch kept"].get_xdata()) == [learner.best_epoch_] * 2
    assert display.axes_[-1].get_xlabel() == "epoch"


def test_the_untrained_network_and_the_run_on_all_classes_are_drawn(digits):
    learner = DeepMetricLearner(max_epochs=2, validation_fraction=0.3, random_state=0)
    learner.fit(digits.data[:300] / 16, digits.target[:300])
    display = TrainingDisplay.from_estimator(learner)
    scores = lines_by_label(display.axes_[1])["validation_map_at_r"]
    assert scores.get_xdata().tolist() == [0, 1, 2]
    assert scores.get_ydata()[0] == learner.untrained_scores_["validation_map_at_r"]
    history, refit = [{"epoch": 1, "loss": 2.0}], [{"epoch": 1, "loss": 3.0}, {"epoch": 2, "loss": 2.5}]
    display = TrainingDisplay.from_predictions(history, refit_history=refit)
    assert lines_by_label(display.axes_[0])["loss, all classes"].get_ydata().tolist() == [3.0, 2.5]


def test_training_display_refuses_bad_input():
    with pytest.raises(ValueError, match="history is empty"):
        TrainingDisplay.from_predictions([])
    with pytest.raises(ValueError, match="ax must be 1 axes"):
        TrainingDisplay.from_predictions([{"epoch": 1, "loss": 2.0}], ax=[None, None])


@pytest.mark.parametrize("name", ["threshold", "histogram", "embedding", "neighbors", "recall"])
def test_a_display_draws_on_the_axes_it_is_given(name, digits, search, learner, rows):
    ax = Figure().subplots()
    X, y = digits.data[rows[1]], digits.target[rows[1]]
    display = {
        "threshold": lambda: ThresholdDisplay.from_estimator(search, ax=ax),
        "histogram": lambda: DistanceHistogramDisplay.from_estimator(search, X, y, ax=ax),
        "embedding": lambda: EmbeddingDisplay.from_estimator(learner, X, y, ax=ax),
        "neighbors": lambda: NeighborsDisplay.from_estimator(
            search, X[:1], queries=digits.images[rows[1]][:1], gallery=digits.images[rows[0]], ax=ax
        ),
        "recall": lambda: RecallAtKDisplay.from_estimator(learner, X, y, k=(1,), ax=ax),
    }[name]()
    assert display.ax_ is ax
    assert display.figure_ is ax.figure


# Contributions


def test_contributions_add_up_to_the_squared_distance(digits, learner):
    A, B = digits.data[:20], digits.data[20:40]
    parts = distance_contributions(learner, A, B)
    np.testing.assert_allclose(parts.sum(axis=1), learner.pair_distance(A, B) ** 2, atol=1e-9)


def test_contributions_by_hand():
    learner = MetricLearner().fit(np.random.RandomState(0).rand(20, 2), np.arange(20) % 2)
    learner.components_, learner.mean_, learner.normalize_ = np.diag([1.0, 3.0]), np.zeros(2), False
    # (2, 1) - (0, 0): (1 * 2)**2 = 4 from the first feature, (3 * 1)**2 = 9 from the second
    np.testing.assert_allclose(distance_contributions(learner, [[2.0, 1.0]], [[0.0, 0.0]]), [[4.0, 9.0]])


def test_contributions_are_of_linear_learners(learner):
    with pytest.raises(TypeError, match="linear"):
        distance_contributions(DeepMetricLearner(), [[0.0]], [[0.0]])
    with pytest.raises(ValueError, match="A and B"):
        distance_contributions(learner, np.zeros((2, 64)), np.zeros((3, 64)))


# Odd input


def test_neighbors_of_a_table_are_taken_by_position():
    # a DataFrame or Series has its own index: items are those of the positions, as for an array
    frame = pandas.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]}, index=[7, 8, 9])
    display = NeighborsDisplay.from_predictions(frame[:1], frame, [[0.5, 0.7]], [[2, 1]])
    assert [display.queries[0], display.gallery[2]] == ["a=1, b=x", "a=3, b=z"]
    column = frame["b"]
    display = NeighborsDisplay.from_predictions(column[1:2], column, [[0.5, 0.7]], [[2, 1]])
    assert [display.queries[0], display.gallery[0]] == ["y", "x"]


def test_a_histogram_of_nothing_says_so():
    with pytest.raises(ValueError, match="no distance to draw: same, other and strangers are empty"):
        DistanceHistogramDisplay.from_predictions([], [])


@pytest.mark.parametrize(
    "values", [[0.0, 0.0], [2.0, 2.0], [1e-310, 3e-310], [1e308, 1e308], [5.0, 5.0 + 1e-15]]
)
def test_a_histogram_of_values_without_width_is_drawn(values):
    display = DistanceHistogramDisplay.from_predictions(values, [])
    heights = [path.vertices[:, 1].max() for path in (patch.get_path() for patch in display.ax_.patches)]
    assert max(heights) == 1  # all distances in one bin


def test_a_place_in_which_no_item_was_found_is_left_out():
    class Approximate(SimilaritySearch):
        def kneighbors(self, X=None, n_neighbors=None, return_distance=True):
            return np.array([[1.0, np.inf]]), np.array([[0, -1]])

    search = Approximate().fit([[0.0], [5.0], [6.0]], ["ant", "bee", "bee"])
    search.calibrate([[0.5], [5.5], [6.5]], ["ant", "bee", "bee"])
    asked = {"queries": ["query"], "gallery": ["an ant", "a bee", "the last"]}
    display = NeighborsDisplay.from_estimator(search, [[1.0]], ["ant"], **asked)
    assert np.isnan(display.cutpoint[0, 1])
    assert "the last" not in texts_of(display.ax_)
    assert "an ant" in texts_of(display.ax_)


def test_queries_that_are_items_are_compared_with_the_others():
    # tensorflow/similarity #37: each item finds itself at distance 0; by hand the next ones are at 1, 1, 2, 2
    X, y = np.array([[0.0], [1.0], [10.0], [12.0], [30.0]]), ["a", "a", "b", "b", "c"]
    display = DistanceHistogramDisplay.from_estimator(SimilaritySearch().fit(X, y), X, y)
    assert sorted(display.same.tolist()) == [1, 1, 2, 2]  # c has no other item
    assert sorted(display.other.tolist()) == [9, 9, 10, 11, 18]


# Legends


def test_no_legend_covers_what_is_drawn(digits, learner, search, rows):
    known, y = digits.data[rows[1]], digits.target[rows[1]]
    history = [{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": 0.5}]
    drawn = [
        DistanceHistogramDisplay.from_estimator(search, known, y).ax_,
        RecallAtKDisplay.from_predictions({"pixels": known, "learned": learner.transform(known)}, y).ax_,
        ThresholdDisplay.from_estimator(search).ax_,
        *TrainingDisplay(history, best_epoch=2).plot().figure_.axes,
    ]
    for ax in drawn:
        ax.figure.canvas.draw()
        assert ax.get_legend().get_window_extent().x0 >= ax.get_window_extent().x1
        assert ax.get_legend().get_window_extent().x1 <= ax.figure.bbox.x1 + 1


@pytest.mark.parametrize(
    "labels",
    [["a", None, "b"], [1.0, np.nan, 2.0], pandas.array([1, None, 2], dtype="Int64"), ["a", 1, None]],
)
def test_samples_without_a_label_are_drawn(labels):
    display = EmbeddingDisplay.from_predictions(np.arange(6.0).reshape(3, 2), labels)
    assert sum(len(drawn.get_offsets()) for drawn in display.ax_.collections) == 3
    assert "no label" in [text.get_text() for text in display.ax_.texts]


def test_distances_of_tensors_are_drawn_and_nan_is_refused():
    torch = pytest.importorskip("torch")
    values = torch.tensor([1.0, 2.0], dtype=torch.bfloat16, requires_grad=True)
    assert DistanceHistogramDisplay.from_predictions(values, [3.0]).same.tolist() == [1.0, 2.0]
    assert EmbeddingDisplay.from_predictions(values[:, None] * values).points.tolist() == [[1, 2], [2, 4]]
    with pytest.raises(ValueError, match="Input strangers contains NaN in row 1"):
        DistanceHistogramDisplay.from_predictions([1.0], [2.0], strangers=[1.0, np.nan])


def test_strangers_in_the_histogram_of_a_search_have_the_distance_of_its_cutpoint():
    X, y = np.arange(8.0)[:, None], np.arange(8) // 4
    search = SimilaritySearch(rerank=KReciprocal(k1=2, k2=1)).fit(X, y)  # whose distances are not Euclidean
    display = DistanceHistogramDisplay.from_estimator(search, X + 0.1, y, X_unknown=[[10.0]])
    assert display.strangers.tolist() == [3.0]


def test_only_a_cutpoint_of_the_distances_drawn_is_drawn():
    X, y = np.arange(16.0)[:, None] + 9 * (np.arange(16)[:, None] // 8), np.arange(16) // 8
    for matcher, is_drawn in (("nearest", True), ("ratio", False), ("center", False)):
        search = SimilaritySearch(matcher=matcher).fit(X, y)
        search.calibrate(n_resamples=2)
        drawn = DistanceHistogramDisplay.from_estimator(search, X + 0.1, y).cutpoint
        assert (drawn is not None) == is_drawn
    with pytest.raises(ValueError, match="the gallery has no labels"):
        DistanceHistogramDisplay.from_estimator(SimilaritySearch().fit(X), X, y)


@pytest.mark.parametrize("options", [{"matcher": "ratio"}, {"rerank": KReciprocal(k1=2, k2=1)}])
def test_neighbors_are_not_refused_by_a_cutpoint_of_another_quantity(options):
    X, y = np.arange(16.0)[:, None] + 9 * (np.arange(16)[:, None] // 8), np.arange(16) // 8
    search = SimilaritySearch(n_neighbors=3, **options).fit(X, y)
    search.calibrate(n_resamples=2)
    shown = {"queries": ["p", "q"], "gallery": [f"item {i}" for i in range(16)]}
    display = NeighborsDisplay.from_estimator(search, X[:2] + 0.1, y[:2], **shown)
    assert display.cutpoint is None
    assert display.predictions.tolist() == search.predict(X[:2] + 0.1).tolist()
