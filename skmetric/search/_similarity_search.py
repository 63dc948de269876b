"""Look up, match, turn away, enrol: one estimator over an embedder and an index."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from sklearn.utils import Tags

from skmetric._params import HasMethods, Interval, StrOptions

from ._calibration._matchers import MATCHERS
from ._calibration._scoring._rule import rule_of
from ._cleaning import Cleaning
from ._enrolment._enrolment import Enrolment
from ._enrolment._reembedding import Reembedding
from ._index._index import Index
from ._lookups._lookups import Lookups
from ._lookups._neighborhoods import Neighborhoods
from ._lookups._recommending import Recommending
from ._opening._copying import Copying
from ._opening._opening import Opening
from ._ranking._k_reciprocal import KReciprocal
from ._ranking._neighbor_average import NeighborAverage
from ._recognition._measuring import Measuring
from ._recognition._prediction import Prediction
from ._recognition._scoring import Scoring
from ._recognition._thresholding import Thresholding
from ._recognition._verification import Verification


class SimilaritySearch(
    Enrolment,
    Reembedding,
    Prediction,
    Thresholding,
    Measuring,
    Scoring,
    Verification,
    Neighborhoods,
    Lookups,
    Recommending,
    Cleaning,
    Opening,
    Copying,
):
    """Search a gallery by learned distance, recognise its classes, and turn strangers away.

    The gallery is filled by `fit` and changed by `partial_fit`, `update` and `remove`, with nothing
    retrained. Labels are optional: without them items can be looked up and not predicted. `predict` is
    nearest-neighbour classification until `calibrate` sets a threshold; after that a query that is farther
    from its match is given the no-match label.

    Parameters
    ----------
    embedder : transformer or pipeline, default=None
        Maps samples to embeddings; with None the samples are embeddings already. A fitted embedder, as
        :func:`~sklearn.utils.validation.check_is_fitted` tells, is used as it is; otherwise `fit` clones it
        and fits the clone on `X` and `y`. The last step of a pipeline is left out if it has no
        ``transform``, such as k-NN; of a fitted grid search the ``best_estimator_`` is used. ``clone``, and
        so a grid search, makes an embedder unfitted: wrap it in :class:`~sklearn.frozen.FrozenEstimator` to
        keep it.
    index : Index, default=None
        Where embeddings are kept and searched; cloned by `fit`. None means :class:`ExactIndex`.
    n_neighbors : int, default=5
        Number of neighbours that lookups return and that vote. If the gallery has fewer items, all of them
        are used.
    matcher : {"nearest", "majority", "distance", "center", "ratio"} or matcher, default="nearest"
        From neighbours to a class and the distance to compare with the threshold: the nearest item;
        the most frequent class; a vote by inverse distance; the nearest class centre, also
        :class:`ClassCenters` with several; the nearest item at the ratio to the nearest of another class.
        Votes are thresholded on the distance of the winner's own nearest item.
    no_match_label : label, default=None
        What `predict` gives to strangers. None means -1 where labels are numbers and "unknown" where they
        are text. It must not be a class of the gallery.
    rerank : KReciprocal, default=None
        Re-ranking of the results of `kneighbors`, `lookup` and `kneighbors_graph`, which then have the
        distances of the re-ranking. The three ranking options need the gallery in memory. They change no
        match, threshold or calibration, which use the Euclidean distance. With ``where=`` they act on the
        items that pass, as if there were no others; each time that the filter changes, these items are
        searched among each other.
    query_expansion : NeighborAverage, default=None
        Replaces each query of these methods by a mean of the query and its neighbours.
    augment_gallery : NeighborAverage, default=None
        Replaces each item that these methods search by a mean of the item and its neighbours.
    check_embedder : bool, default=True
        Whether each call that embeds samples checks that the embedder is as it was when it made the
        embeddings of the gallery, and raises a ValueError if not. See the notes.
    review_label : label, default=None
        What `predict` gives to queries between the two cutpoints of ``set_cutpoint(name, review=...)``, which
        somebody has to look at. None means -2 where labels are numbers and "review" where they are text. It
        must not be a class of the gallery.
    adapt_metric : bool, default=False
        Whether `fit` refits the metric on the labelled items of the gallery: the embedder must be a fitted
        :class:`~skmetric.MetricLearner`, or end with one. ``embedder_`` has a copy that has learned from the
        items too, by ``partial_fit(..., choose=True)``; `embedder` stays as it is. For classes of two items
        or more; a label that the training classes have too means the same class. Items that are enrolled
        later are not learned from until `reembed`. See the notes.

    Attributes
    ----------
    embedder_ : transformer or None
        The fitted embedder.
    index_ : Index
        The embeddings. Another object after each change of a gallery in memory.
    classes_ : ndarray of shape (n_classes,)
        Labels that have an item in the gallery, sorted.
    labels_ : ndarray of shape (n_items,), or None
        Label of each item, in the order of enrolment.
    ids_ : ndarray of shape (n_items,)
        Ids, in the order of enrolment, to which the rows that `kneighbors` returns refer.
    calibration_ : Calibration
        After `calibrate`.
    cutpoint_ : str or None
        Name of the cutpoint in use.
    no_match_label_ : label
        What `predict` gives to strangers.
    review_cutpoint_ : str or None
        Name of the second cutpoint, up to which queries are given ``review_label_``.
    review_label_ : label
        What `predict` gives to queries between the two cutpoints.
    n_components_ : int
        Dimension of the embeddings.
    n_features_in_ : int
        Number of features seen during fit, where the embedder says it.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features, without an embedder and where `X` had string names.

    See Also
    --------
    sklearn.neighbors.KNeighborsClassifier : Neighbours vote; every query is accepted.
    skmetric.MetricLearner : An embedder.

    Notes
    -----
    Changes of a gallery in memory are all or nothing, also when an error, Ctrl-C or a time limit ends them.
    So are pickles and copies made while another thread enrols. `remove` leaves no label, id or metadata of an
    item behind, and no name of a class that has lost its last item.

    Threads may search a gallery in memory while others enrol, update and remove: `kneighbors`, `lookup`,
    `radius_neighbors`, `predict`, `decision_function`, `duplicates`, `outliers` and `save` see it before a
    change or after it, and the embedder works while others search. After a removal, rows that `kneighbors`
    returned before belong to other items: use the ids of `lookup`. `fit`, `reembed`, `calibrate`,
    `evaluate`, `set_cutpoint` and `set_params` must not run beside other calls.

    Callbacks of scikit-learn are told of the steps of `fit`, with the fit of the embedder, `calibrate` and
    `evaluate`, and of batches of samples in enrolment, `kneighbors`, `lookup`, `predict` and
    `match_probability`: ``set_callbacks(ProgressBar())``. They are of one thread. Requests to stop are not
    followed.

    The gallery keeps a fingerprint of the embedder: digests of the parameters and fitted arrays of its steps,
    without parameters such as ``n_jobs`` or ``max_epochs``, which change no embedding of a fitted embedder.
    Folders and tables on servers have it too, so that `load` and `attach` refuse another embedder. Each call
    compares identities and versions of arrays and tensors, and up to 4,096 numbers of each array; where these
    differ, all digests are computed and compared. A `partial_fit` or `fit` of the embedder after the search
    was fitted is noticed by the next call; a change in place of a few numbers of a large array only by `load`
    and `attach`. After such a change use `reembed`, or `fit` again.

    With `adapt_metric` queries of the classes of the gallery are found better, and distances to items that
    the metric has learned from are smaller than to new ones. So `calibrate` refits the metric ten times, five
    times without a fifth of the items of each class, to match these, and five times without a fifth of the
    classes, which then are strangers. For that the gallery keeps the samples that the learner was given, as
    an array also if they are sparse, and `save` writes them. `remove` takes samples and embeddings out; what
    the metric learned from them, and the names in its ``classes_``, stay until `reembed` or `fit`. Give
    `load` the ``embedder_``; `load` sets `embedder` to a copy that has not learned from the items, so that
    `reembed` counts them once. What was learned from items that were removed before `save` stays in that
    copy.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmetric import MetricLearner
    >>> from skmetric.search import SimilaritySearch
    >>> X, y = load_digits(return_X_y=True)
    >>> learner = MetricLearner(random_state=0).fit(X[y < 4], y[y < 4])
    >>> known = (y >= 4) & (y < 8)
    >>> search = SimilaritySearch(learner).fit(X[known][::2], y[known][::2])
    >>> calibration = search.calibrate()
    >>> round(search.score(X[known][1::2], y[known][1::2]), 2)
    0.97
    >>> strangers = search.predict(X[y >= 8])
    >>> round(float((strangers == -1).mean()), 2)
    0.93
    >>> search.partial_fit(X[y == 8][:20], y[y == 8][:20]).classes_
    array([4, 5, 6, 7, 8])
    """

    _parameter_constraints = {
        "embedder": [HasMethods("fit"), HasMethods("transform"), None],
        "index": [Index, None],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "matcher": [StrOptions(set(MATCHERS)), HasMethods("match"), HasMethods("prototypes")],
        "no_match_label": "no_validation",
        "rerank": [HasMethods(["encode", "rerank"]), None],
        "query_expansion": [NeighborAverage, None],
        "augment_gallery": [NeighborAverage, None],
        "check_embedder": ["boolean"],
        "review_label": "no_validation",
        "adapt_metric": ["boolean"],
    }

    def __init__(
        self,
        embedder: Any = None,
        index: Index | None = None,
        n_neighbors: int = 5,
        matcher: Any = "nearest",
        no_match_label: Any = None,
        *,
        rerank: KReciprocal | None = None,
        query_expansion: NeighborAverage | None = None,
        augment_gallery: NeighborAverage | None = None,
        check_embedder: bool = True,
        review_label: Any = None,
        adapt_metric: bool = False,
    ) -> None:
        self.embedder = embedder
        self.index = index
        self.n_neighbors = n_neighbors
        self.matcher = matcher
        self.no_match_label = no_match_label
        self.rerank = rerank
        self.query_expansion = query_expansion
        self.augment_gallery = augment_gallery
        self.check_embedder = check_embedder
        self.review_label = review_label
        self.adapt_metric = adapt_metric

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_gallery")

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        """Parameters, as scikit-learn prints them; once fitted a second line: items, classes, calibration."""
        parameters = super().__repr__(N_CHAR_MAX)
        return f"{parameters}\n{self._state()}" if self.__sklearn_is_fitted__() else parameters

    def _state(self) -> str:
        """Items and classes of the gallery, and the threshold in use; no server is asked."""
        sizes = self._gallery.known_sizes()
        if sizes is None:
            gallery = f"gallery of {type(self.index_).__name__}"
        else:
            gallery = _many(sizes[0], "item", "items")
            if self._gallery.has_labels:
                gallery += f" in {_many(sizes[1], 'class', 'classes')}"
        if not self._gallery.has_labels and not hasattr(self, "calibration_"):
            return f"# {gallery}, without labels"
        if self.cutpoint_ is None:
            calibrated = "calibrated" if hasattr(self, "calibration_") else "not calibrated"
            return f"# {gallery}, {calibrated}: every query is accepted"
        if self._is_stale:
            return f"# {gallery}, calibrated before reembed: calibrate again"
        rule = self._rule()
        what = f"scores, with runner-ups at {rule.weight:g}," if rule.weight else "distances"
        state = f"# {gallery}, calibrated: accepts {what} up to {rule.limit:.4g} ({self.cutpoint_!r})"
        if self.review_cutpoint_ is None:
            return state
        limit = rule_of(self.calibration_, self.review_cutpoint_, self._matcher()).limit
        return f"{state}, {self.review_label_!r} up to {limit:.4g} ({self.review_cutpoint_!r})"


def _many(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"
