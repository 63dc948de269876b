"""A search opened on a gallery that is on a server already."""

from sklearn.utils.validation import check_is_fitted

from skmetric._params import check_params

from ._gallery._server import ServerGallery
from ._server._shared import SharedIndex


class AttachedMixin:
    """Opening of :class:`SimilaritySearch` on a server."""

    @classmethod
    def attach(cls, index, embedder=None, *, n_neighbors=5, matcher="nearest", no_match_label=None):
        """Open the gallery that is in the table or collection of an index, which many processes share.

        What one process enrols, replaces or removes is found, or gone, in the next call of all others: each
        call asks the server, and no item is kept here. ``fit`` with the index in the constructor starts such
        a gallery; ``index.add`` with a column ``"label"`` may have filled it too.

        Parameters
        ----------
        index : PgVectorIndex or MilvusIndex
            Where the gallery is. It is used as it is, not cloned.
        embedder : transformer or pipeline, default=None
            The fitted embedder of the gallery; None takes samples as embeddings.
        n_neighbors : int, default=5
            As in the constructor.
        matcher : str or matcher, default="nearest"
            As in the constructor.
        no_match_label : label, default=None
            As in the constructor.

        Returns
        -------
        SimilaritySearch
            Fitted on what is there. It is not calibrated: `calibrate` fetches the embeddings once, and what
            one process calibrated others take from the folder of `save`.

        Raises
        ------
        TypeError
            If the index is in memory.
        ValueError
            If there is no such table, or `no_match_label` is a class in it.
        NotFittedError
            If the embedder is not fitted.
        IndexUnavailableError
            If the server is away.

        See Also
        --------
        SimilaritySearch.load : Open one with its calibration.
        PgVectorIndex : Each change is a transaction, and ids are kept unique by the server.
        MilvusIndex : The same calls, with less promised.

        Notes
        -----
        `predict` and `lookup` send one request for a batch of queries. So do `kneighbors` and
        `radius_neighbors`, whose rows PostgreSQL counts; for those of Milvus all ids are fetched, so prefer
        `lookup` there. `remove` and `update` ask for keys first, and `partial_fit` for new ones. `ids_`,
        `labels_` and `classes_` fetch these alone. Embeddings are fetched by what looks at all of them:
        `calibrate`, `outliers`, `duplicates`, `decision_function`, `kneighbors` without `X`, and
        ``matcher="center"`` at each `predict`. Options of ranking are refused.

        Items come in the order of their keys in PostgreSQL, where those that `update` replaces keep their
        place. Types are those of the server: metadata come back as int64, float64, bool, text or
        datetime64[us].

        Examples
        --------
        A table that another process filled::

            index = PgVectorIndex("host=db.example dbname=faces", "people", method="hnsw")
            search = SimilaritySearch.attach(index, learner)
            search.predict(queries)
            search.partial_fit(new, new_names, ids=new_ids)

        An index in memory has nothing to attach to:

        >>> from skmetric.search import ExactIndex, SimilaritySearch
        >>> SimilaritySearch.attach(ExactIndex())
        Traceback (most recent call last):
        TypeError: attach opens a gallery on a server, and ExactIndex holds its items in memory: ...
        """
        if not isinstance(index, SharedIndex):
            raise TypeError(
                f"attach opens a gallery on a server, and {type(index).__name__} holds its items in memory: "
                "use fit, or load from a folder"
            )
        if embedder is not None:
            check_is_fitted(embedder)
        search = cls(embedder, index, n_neighbors, matcher, no_match_label)
        check_params(search)
        search.embedder_ = search._fitted_embedder(None, None)
        search._open(index)
        search._forget_calibration()
        if search._gallery.has_labels:
            search.no_match_label_ = search._choose_no_match_label(search.classes_)
        return search

    def _open(self, index):
        """Take what is on the server for the gallery."""
        gallery = ServerGallery(index)
        self.index_, self._gallery, self.n_components_ = index, gallery, gallery.n_features
        if self.embedder_ is None:
            self.n_features_in_ = gallery.n_features
        elif hasattr(self.embedder_, "n_features_in_"):
            self.n_features_in_ = self.embedder_.n_features_in_
