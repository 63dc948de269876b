"""Errors and warnings of skmetric that a caller may want to catch by name."""

__all__ = [
    "CollapseWarning",
    "DivergenceWarning",
    "GalleryReplacedError",
    "IndexUnavailableError",
    "NoEmbeddingError",
    "NothingToLearnWarning",
    "StuckLossWarning",
    "TrainingWarning",
]


class GalleryReplacedError(ValueError):
    """The gallery on a server has got embeddings of another embedder since this process opened it.

    ``reembed`` of another process has put them there, in one transaction. A call that raises it has read and
    changed nothing. Catch it, load the new embedder and attach again.

    See Also
    --------
    skmetric.search.SimilaritySearch.reembed : New embeddings for all items.
    skmetric.search.SimilaritySearch.attach : Opens the gallery again.

    Examples
    --------
    A server goes on with the new embedder, where ``load_newest`` is yours::

        try:
            names = search.predict(queries)
        except GalleryReplacedError:
            search = SimilaritySearch.attach(index, load_newest())
            names = search.predict(queries)

    >>> from skmetric.exceptions import GalleryReplacedError
    >>> [base.__name__ for base in GalleryReplacedError.__bases__]
    ['ValueError']
    """


class IndexUnavailableError(ConnectionError):
    """The server of an index is away, refuses, or dropped the connection: the message names host and table.

    A call that raises it has changed nothing, or, if the connection broke while the server confirmed, all of
    what was asked. The index connects again at its next call.

    See Also
    --------
    skmetric.search.PgVectorIndex : An index on a server.
    skmetric.search.MilvusIndex : Another.

    Examples
    --------
    >>> [base.__name__ for base in IndexUnavailableError.__bases__]
    ['ConnectionError']
    """


class NoEmbeddingError(TypeError):
    """A score of embeddings was asked of an estimator that has no ``transform``.

    Retrieval is judged on embeddings, and only a transform gives some.

    See Also
    --------
    skmetric.metrics.RetrievalScorer : Raises it.

    Examples
    --------
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skmetric.exceptions import NoEmbeddingError
    >>> from skmetric.metrics import RetrievalScorer
    >>> X, y = [[0], [1], [2]], [0, 0, 1]
    >>> try:
    ...     RetrievalScorer("map_at_r")(KNeighborsClassifier(1).fit(X, y), X, y)
    ... except NoEmbeddingError as error:
    ...     print(error)
    embeddings are needed, and KNeighborsClassifier has no transform: ...
    """


class NothingToLearnWarning(UserWarning):
    """A batch lacks positives or negatives, so that a loss learns less from it than it could, or nothing.

    The loss goes on with what there is, and is a 0 that keeps the graph if there is nothing. A loss that you
    call warns at once. A learner warns at the end of the epoch, so that it need not wait for a GPU after each
    batch.

    See Also
    --------
    skmetric.deep.samplers.BalancedBatchSampler : Batches that have both.

    Examples
    --------
    A loop that must not go on turns it into an error:

    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", NothingToLearnWarning)
    """


class TrainingWarning(UserWarning):
    """Training of a network did not go as it should; the message says what to try.

    Filter by this class to silence or to raise all of its kinds.

    See Also
    --------
    CollapseWarning : One kind.
    DivergenceWarning : One kind.
    StuckLossWarning : One kind.

    Examples
    --------
    A script that must not go on turns all kinds of it into errors:

    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", TrainingWarning)
    """


class DivergenceWarning(TrainingWarning):
    """The loss or the embeddings became NaN or infinite; the state before that epoch was kept.

    The message names the epoch, and what to try.

    See Also
    --------
    CollapseWarning : Training ended, in one point.
    StuckLossWarning : The loss did not move.

    Examples
    --------
    >>> [base.__name__ for base in DivergenceWarning.__bases__]
    ['TrainingWarning']
    """


class CollapseWarning(TrainingWarning):
    """Training ended with all embeddings in nearly one point.

    All distances are then alike and nothing can be found; the message says what to try.

    See Also
    --------
    StuckLossWarning : The loss did not move.
    DivergenceWarning : Training broke off.

    Examples
    --------
    >>> [base.__name__ for base in CollapseWarning.__bases__]
    ['TrainingWarning']
    """


class StuckLossWarning(TrainingWarning):
    """The loss did not move, or stayed at the margin.

    At the margin, positives and negatives are equally far: the network tells nothing apart.

    See Also
    --------
    CollapseWarning : The usual reason.
    DivergenceWarning : The opposite.

    Examples
    --------
    >>> [base.__name__ for base in StuckLossWarning.__bases__]
    ['TrainingWarning']
    """
