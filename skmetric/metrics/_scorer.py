"""Retrieval scores for scikit-learn's model selection."""

from typing import Any, Self, final

from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.utils.metadata_routing import UNCHANGED, MetadataRequest

from skmetric._embedding import embed, rankings_of
from skmetric._input._relevance import check_name, is_matrix
from skmetric._input._weights import check_weights

from ._scores import mean_scores, parse_score


@final
class RetrievalScorer:
    """Scorer of an estimator's embeddings, for ``GridSearchCV``, ``cross_validate`` and ``ScoringMonitor``.

    Each row of the validation data is searched among the other rows, so folds must hold at least two rows
    of a class. Use it with class-disjoint folds to measure classes that were never fitted on.

    The last step of a :class:`~sklearn.pipeline.Pipeline` is left out if it has no ``transform``, such as
    k-NN; of a fitted search the ``best_estimator_`` is scored.

    Rankings are by Euclidean distance between embeddings, or by the distance that a metric learner names for
    them, as :class:`~skmetric.deep.DeepMetricLearner` does with ``distance="poincare"``.

    ``ScoringMonitor`` logs each score under its name.

    Parameters
    ----------
    *names : str
        Scores: ``"recall_at_1"``, ``"precision_at_10"`` and ``"ndcg_at_10"`` with any cut-off,
        ``"r_precision"``, ``"map_at_r"``, ``"mean_average_precision"``, ``"mean_reciprocal_rank"``; with any
        cut-off also ``"mean_average_precision_at_10"``, ``"ir_recall_at_10"``, ``"f1_at_10"``,
        ``"linear_ndcg_at_10"`` and ``"exponential_ndcg_at_10"``.

    relevance : {"labels", "multilabel", "hierarchy"} or callable, default=None
        What makes an item relevant, and `y` with it, see :func:`graded_ndcg_at_k`; None is "labels".

    Raises
    ------
    ValueError
        If no name is given, a name or `relevance` is unknown, or `relevance` is a matrix.

    See Also
    --------
    retrieval_report : The same scores with intervals.
    skmetric.model_selection.ClassDisjointKFold : Folds to use it on.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.neighbors import NeighborhoodComponentsAnalysis
    >>> from skmetric.metrics import RetrievalScorer
    >>> X, y = load_iris(return_X_y=True)
    >>> search = GridSearchCV(
    ...     NeighborhoodComponentsAnalysis(random_state=0, max_iter=20),
    ...     {"n_components": [1, 2]},
    ...     scoring=RetrievalScorer("recall_at_1", "map_at_r"),
    ...     refit="map_at_r",
    ... ).fit(X, y)
    >>> sorted(name for name in search.cv_results_ if name.startswith("mean_test"))
    ['mean_test_map_at_r', 'mean_test_recall_at_1']
    """

    _sample_weight_request: bool | str | None = None
    relevance: Any = None  # of scorers that were pickled before
    _groups_request: bool | str | None = False  # a splitter may ask for groups that no score needs

    def __init__(self, *names: str, relevance: Any = None) -> None:
        if not names:
            raise ValueError("RetrievalScorer needs the name of a score, such as RetrievalScorer('map_at_r')")
        for name in names:
            parse_score(name)
        check_name(relevance)
        if is_matrix(relevance):
            raise ValueError(
                "relevance as a matrix of grades does not follow the rows of a fold: give a function of two "
                "arrays of labels, which are then numbers of rows"
            )
        self.names, self.relevance = names, relevance

    def __repr__(self) -> str:
        settings = [*map(repr, self.names)]
        if self.relevance is not None:
            settings.append(f"relevance={self.relevance!r}")
        return f"RetrievalScorer({', '.join(settings)})"

    def set_score_request(
        self, *, sample_weight: bool | str | None = UNCHANGED, groups: bool | str | None = UNCHANGED
    ) -> Self:
        """Ask for sample weights or groups where scikit-learn routes metadata, as its own scorers do.

        Parameters
        ----------
        sample_weight : bool, str or None, default="$UNCHANGED$"
            True asks for them, False does without, a name asks for what is given under that name; None raises
            where they are given. The default keeps what was asked for before.
        groups : bool, str or None, default="$UNCHANGED$"
            The same for groups, as in ``GridSearchCV(...).fit(X, y, groups=cameras)``: each query is then
            searched without the items of its class and group. A new scorer does without them.

        Returns
        -------
        RetrievalScorer
            The same.

        Raises
        ------
        RuntimeError
            If metadata routing is off: weights then come without being asked for, and groups do not come at
            all: scikit-learn gives them to splitters only.
        """
        if not get_config()["enable_metadata_routing"]:
            raise RuntimeError(
                "set_score_request needs sklearn.set_config(enable_metadata_routing=True); without it "
                "weights reach the scorer unasked, and groups reach splitters only"
            )
        if sample_weight != UNCHANGED:
            self._sample_weight_request = sample_weight
        if groups != UNCHANGED:
            self._groups_request = groups
        return self

    def get_metadata_routing(self) -> MetadataRequest:
        """Tell scikit-learn which metadata the scorer asks for.

        Returns
        -------
        MetadataRequest
            Of the method ``score``.
        """
        request = MetadataRequest(owner=self)
        request.score.add_request(param="sample_weight", alias=self._sample_weight_request)
        request.score.add_request(param="groups", alias=self._groups_request)
        return request

    def _accept_sample_weight(self) -> bool:
        """Answer scikit-learn, which asks each scorer of a dict whether it takes weights."""
        return True

    def __call__(
        self,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
    ) -> float | dict[str, float]:
        """Transform `X` once and score the embeddings.

        Parameters
        ----------
        estimator : estimator
            Fitted, with ``transform``, or a pipeline or search that has one inside.
        X : array-like of shape (n_samples, ...)
            Whatever the estimator transforms.
        y : array-like of shape (n_samples,)
            Labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row as a query in the mean, from 0.
        groups : array-like of shape (n_samples,), default=None
            Group of each row, such as its camera: rows of the query's class and group are left out of its
            search.

        Returns
        -------
        float, or dict of str to float if there are several names
            In [0, 1], larger is better.

        Raises
        ------
        NoEmbeddingError
            If there is nothing in `estimator` to transform with.
        ValueError
            As :func:`skmetric.metrics.map_at_r` does; or if weights are negative, NaN or infinite (rows
            named), not one a row, or 0 for all rows that have something to find.
        """
        embeddings, rankings = embed(estimator, X), rankings_of(estimator)
        if sample_weight is not None:
            sample_weight = check_weights(sample_weight, len(embeddings), "rows")
        scores = mean_scores(
            self.names,
            embeddings,
            y,
            groups=groups,
            relevance=self.relevance,
            sample_weight=sample_weight,
            rankings=rankings,
        )
        return scores if len(self.names) > 1 else _Named(scores[self.names[0]], self.names[0])


class _Named(float):
    """A score that is also a mapping of its name to itself: ScoringMonitor asks scorers for names."""

    def __new__(cls, score: float, name: str) -> Self:
        named = super().__new__(cls, score)
        named._name = name
        return named

    _name: str

    def keys(self) -> list[str]:
        """The name."""
        return [self._name]

    def __getitem__(self, name: str) -> float:
        return {self._name: float(self)}[name]

    def __reduce__(self) -> tuple[type[float], tuple[float]]:
        return float, (float(self),)
