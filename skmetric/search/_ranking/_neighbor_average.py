"""Means over neighbours: of a query, which then asks again, or of the items of a gallery."""

from numbers import Integral, Real

import numpy as np
from numpy.typing import NDArray

from skmetric._documented import DocumentedMixin
from skmetric._params import Interval, check_params
from skmetric._sklearn import BaseEstimator

_UNIT = 1e-3  # squared norms this near to 1 are those of the unit sphere


class NeighborAverage(DocumentedMixin, BaseEstimator):
    """Replace an embedding by the weighted mean of itself and its nearest items in the gallery.

    As ``query_expansion``, the mean replaces the query, which is searched again: average query expansion [1]_
    with ``alpha=0``, alpha-weighted query expansion [2]_ with the weight ``similarity ** alpha``. As
    ``augment_gallery``, the mean replaces each item of the gallery: database-side augmentation [3]_.

    Parameters
    ----------
    n_neighbors : int, default=5
        Number of items that are averaged with the embedding; all items, if the gallery has fewer.
    alpha : float, default=3.0
        Exponent of the weights, from 0. The weight of an item is its cosine similarity to the embedding, to
        the power of `alpha`, and 0 where the similarity is negative; the weight of the embedding itself is 1.

    See Also
    --------
    SimilaritySearch : Takes it as ``query_expansion`` and as ``augment_gallery``.

    Notes
    -----
    Where all embeddings are on the unit sphere, means are put back on it.

    References
    ----------
    .. [1] O. Chum et al., "Total recall: automatic query expansion with a generative feature model for object
       retrieval", ICCV 2007.
    .. [2] F. Radenović, G. Tolias, O. Chum, "Fine-tuning CNN image retrieval with no human annotation", TPAMI
       2019.
    .. [3] R. Arandjelović, A. Zisserman, "Three things everyone should know to improve object retrieval",
       CVPR 2012.

    Examples
    --------
    >>> from skmetric.search import NeighborAverage, SimilaritySearch
    >>> X = [[1.0], [2.0], [6.0]]
    >>> search = SimilaritySearch(n_neighbors=1, query_expansion=NeighborAverage(2, alpha=0)).fit(X)
    >>> search.kneighbors([[3.0]])[0]  # from 3 to the mean of 3, 2 and 1
    array([[0.]])
    """

    _parameter_constraints = {
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(self, n_neighbors: int = 5, alpha: float = 3.0) -> None:
        self.n_neighbors = n_neighbors
        self.alpha = alpha

    def average(
        self, embeddings: NDArray[np.floating], neighbors: NDArray[np.floating]
    ) -> NDArray[np.floating]:
        """Average embeddings with their neighbours.

        Parameters
        ----------
        embeddings : ndarray of shape (n_samples, n_features)
            Embeddings to replace.
        neighbors : ndarray of shape (n_samples, n_neighbors, n_features)
            Embeddings of the nearest items of each.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            In the dtype of `embeddings`.

        Raises
        ------
        ValueError
            If a parameter is out of range.
        """
        check_params(self)
        neighbors = neighbors.astype(np.float64)
        norms = np.linalg.norm(embeddings, axis=1)
        scale = norms[:, None] * np.linalg.norm(neighbors, axis=2)
        dots = np.einsum("ij,ikj->ik", embeddings, neighbors)
        cosines = np.divide(dots, scale, out=np.zeros_like(dots), where=scale > 0)
        weights = np.ones_like(cosines) if self.alpha == 0 else np.maximum(cosines, 0) ** self.alpha
        means = embeddings + np.einsum("ik,ikj->ij", weights, neighbors)
        means /= 1 + weights.sum(axis=1, keepdims=True)
        if (np.abs(norms**2 - 1) < _UNIT).all() and (np.abs((neighbors**2).sum(axis=2) - 1) < _UNIT).all():
            means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), np.finfo(float).tiny)
        return means.astype(embeddings.dtype)
