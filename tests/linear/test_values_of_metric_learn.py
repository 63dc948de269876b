"""What the tests of metric-learn (test/metric_learn_test.py) state of iris, held by the learners here."""

import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.metrics import pairwise_distances

from skmetric.linear import ITML, LMNN, LSML, MLKR, MMC, NCA, RCA, SDML, Covariance
from skmetric.weak import FromLabels, sample_chunks

X, Y = load_iris(return_X_y=True)
ALL = np.column_stack(np.triu_indices(len(X), 1))
SIMILAR = np.equal(*Y[ALL].T)
NONE = -1  # of a row in no chunk


def class_separation(embeddings):
    """Mean distance inside a class over that to other classes, a mean over classes: theirs."""
    distances, same = pairwise_distances(embeddings), Y[:, None] == Y
    return np.mean([distances[c][:, c].mean() / distances[c][:, ~c].mean() for c in same[::50]])


def test_separation_by_covariance():
    """0.72981476, of a learner without anything to choose."""
    assert class_separation(Covariance().fit(X).transform(X)) == pytest.approx(0.72981476, abs=1e-8)


@pytest.mark.parametrize(
    ("learner", "y", "bound"),
    [
        (LMNN(n_neighbors=5, random_state=0), Y, 0.25),
        (RCA(n_components=2, unlabeled=NONE), sample_chunks(Y, 30, random_state=0), 0.29),
        (FromLabels(ITML(random_state=0), n_tuples=400, random_state=0), Y, 0.2),
        (FromLabels(LSML(), n_tuples=200, random_state=0), Y, 0.8),
        (FromLabels(SDML("identity"), n_tuples=1500, random_state=0), Y, 0.22),
        (FromLabels(MMC(), random_state=0), Y, 0.15),
        (FromLabels(MMC(diagonal=True), random_state=0), Y, 0.2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_separation_is_below_the_bound_there(learner, y, bound):
    assert class_separation(learner.fit(X, y).transform(X)) < bound


def test_objectives_reach_those_there():
    """Its NCA is right of 148.000 of 150 rows, and its MLKR leaves 2.3773: computed from its maps of iris."""
    assert 150 * NCA(random_state=0).fit(X, Y).objective_ > 148
    assert MLKR().fit(X, Y).objective_ < 2.3773


def mmc_ratio(matrix):
    """What MMC maximises: distances of other pairs over the root of the squares of similar ones."""
    gaps = X[ALL[:, 0]] - X[ALL[:, 1]]
    squares = np.maximum(np.einsum("ij,jk,ik->i", gaps, matrix, gaps), 0)
    return np.sqrt(squares[~SIMILAR]).sum() / np.sqrt(squares[SIMILAR].sum())


def test_matrix_of_mmc():
    """Compared with the reference implementation there; the size of the matrix is a matter of convention."""
    there = np.array(
        [
            [+0.000514, +0.000868, -0.001195, -0.001703],
            [+0.000868, +0.001468, -0.002021, -0.002879],
            [-0.001195, -0.002021, +0.002782, +0.003964],
            [-0.001703, -0.002879, +0.003964, +0.005648],
        ]
    )
    here = MMC(shrinkage=0.0).fit(X, SIMILAR, pairs=ALL).get_mahalanobis_matrix()
    assert mmc_ratio(here) > mmc_ratio(there)
    assert np.corrcoef(here.ravel(), there.ravel())[0, 1] > 0.99


def test_diagonal_of_mmc():
    """There 1.210220 and 1.228596 for the last two features, and 0 for others; here nearer to the maximum."""
    here = MMC(diagonal=True, shrinkage=0.0).fit(X, SIMILAR, pairs=ALL).get_mahalanobis_matrix()
    assert mmc_ratio(here) > mmc_ratio(np.diag([0, 0, 1.210220, 1.228596]))
    assert np.diag(here)[:2].max() < 1e-6 * np.trace(here)


# Every public name of metric-learn 0.7.0, with the parameters that it has beside `preprocessor` and `verbose`
PUBLIC = {
    "Constraints": "partial_labels positive_negative_pairs n_constraints same_length generate_knntriplets "
    "k_genuine k_impostor chunks n_chunks chunk_size num_constraints num_chunks",
    "Covariance": "",
    "ITML": "gamma max_iter tol prior random_state convergence_threshold bounds calibration_params bounds_",
    "ITML_Supervised": "n_constraints bounds",
    "LMNN": "init n_neighbors min_iter max_iter learn_rate regularization convergence_tol n_components k "
    "labels_",
    "LSML": "tol max_iter prior random_state weights",
    "LSML_Supervised": "n_constraints weights",
    "SDML": "balance_param sparsity_param prior",
    "SDML_Supervised": "n_constraints",
    "NCA": "init n_components max_iter tol random_state n_iter_",
    "LFDA": "n_components k embedding_type",
    "RCA": "n_components chunks",
    "RCA_Supervised": "n_chunks chunk_size",
    "MLKR": "n_components init tol max_iter",
    "MMC": "max_iter max_proj tol init diagonal diagonal_c A_ converged_",
    "MMC_Supervised": "n_constraints",
    "SCML": "beta basis n_basis gamma max_iter output_iter batch_size triplet_diffs lda",
    "SCML_Supervised": "k_genuine k_impostor",
    "__version__": "",
    "methods": "fit fit_transform transform pair_distance pair_score score_pairs get_metric squared "
    "get_mahalanobis_matrix predict decision_function score set_threshold calibrate_threshold strategy "
    "min_rate components_ n_features_in_ preprocessor verbose wrap_pairs",
}


@pytest.mark.parametrize("name", PUBLIC)
def test_the_migration_page_names_every_public_name_and_parameter(name):
    page = (Path(__file__).parents[2] / "doc/migration/metric_learn.rst").read_text("utf-8")
    words = set(re.findall(r"\w+", " ".join(re.findall(r"`+([^`]+)`+", page))))
    assert {name, *PUBLIC[name].split()} - {"methods"} <= words
