"""Recognition: predict with a threshold, choose the threshold, and measure what it does; pairs as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skmetric._kernel import Gallery
from skmetric._warning import warn
from skmetric.metrics import verification_report
from skmetric.metrics._bootstrap import as_generator
from skmetric.retrieval import nearest

from ._base import SearchBase
from ._calibration._advice import hopeless
from ._calibration._calibration import Calibration, accepts_nearly_all, calibrate_closed, calibrate_open
from ._calibration._class_factors import over_factors, with_factors
from ._calibration._copies import Copies, drop_one, leave_items_out, own_items, pairs_to_keep
from ._calibration._evaluation import Evaluation, evaluate_matches, retrieval_scores
from ._calibration._evidence import gather, match_to_prototypes
from ._calibration._matchers import MATCHERS, Match, PrototypeMatcher
from ._calibration._pairs import calibration_of_pairs
from ._calibration._targets import check_known, check_rates
from ._class_distances import ByClass, nearest_of_classes, votes_of_classes, with_winner
from ._gallery._labels import check_y
from ._gallery._selection import selection
from ._gallery._side import Side

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ._gallery._labels import LabelColumn
    from ._gallery._memory import MemoryGallery


def _takes_votes(search: Recognition) -> bool:
    """Whether the matcher takes votes, which have shares."""
    matcher = search.matcher
    return hasattr(MATCHERS.get(matcher) if isinstance(matcher, str) else matcher, "votes")


class Recognition(SearchBase):
    """Recognition by :class:`SimilaritySearch`, strangers included."""

    def predict(
        self, X: ArrayLike, *, where: Mapping[str, Any] | None = None, among: Any = None
    ) -> NDArray[Any]:
        """Class of the match of each query; the no-match label where that is farther than the cutpoint.

        Parameters
        ----------
        X : array-like of shape (n_queries, ...)
            What the embedder takes.
        where : dict of str to value, list, slice, None or Not, default=None
            Only items whose metadata hold these values are matched, as in `lookup`; None matches to all. The
            threshold is that of the whole gallery: among fewer items fewer strangers are accepted.
        among : array-like of ids, default=None
            Only the items with these ids are matched; a KeyError if one is unknown.

        Returns
        -------
        ndarray of shape (n_queries,)
            Labels of the gallery, or ``no_match_label_``. Before `calibrate` every query is accepted.

        Raises
        ------
        ValueError
            If the gallery has no labels or no items, or no item passes `where`.
        """
        check_is_fitted(self)
        match, labels = self._match(self._embed(X), selection(where, among))
        if self.cutpoint_ is None:
            self._say_that_all_are_accepted()
        names = labels.decode(match.codes)
        accepted = over_factors(match.distances, names, self._factors()) <= self._threshold()
        return _with_no_match(names, accepted, self.no_match_label_)

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Score of each class for each query: larger is better.

        Minus the distance to the nearest item, or centre, of the class; the share of the votes where the
        matcher takes votes. The threshold of `calibrate` plays no part.

        Parameters
        ----------
        X : array-like of shape (n_queries, ...)
            What the embedder takes.

        Returns
        -------
        ndarray of shape (n_queries, n_classes), or (n_queries,) with two classes
            Columns as in ``classes_``; with two, the second minus the first.
        """
        check_is_fitted(self)
        embeddings = self._embed(X)
        with self._gallery.reading():
            return self._decide(embeddings)

    @available_if(_takes_votes)
    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Share of the votes of each class, where the matcher takes votes: "majority" and "distance".

        The threshold of `calibrate` plays no part. The largest share is that of the class that `predict`
        gives before `calibrate`: where votes are equal, that class has the smallest possible amount more.

        Parameters
        ----------
        X : array-like of shape (n_queries, ...)
            What the embedder takes.

        Returns
        -------
        ndarray of shape (n_queries, n_classes)
            Columns as in ``classes_``; each row sums to 1.
        """
        check_is_fitted(self)
        embeddings = self._embed(X)
        with self._gallery.reading():
            return self._vote(embeddings, self._labelled_gallery("predict_proba"))

    def _decide(self, embeddings: NDArray[Any]) -> NDArray[np.float64]:
        gallery = self._labelled_gallery("decision_function")
        if _takes_votes(self):
            decision = self._vote(embeddings, gallery)
        else:
            decision = self._compare(embeddings, gallery)
        return decision[:, 1] - decision[:, 0] if decision.shape[1] == 2 else decision

    def _vote(self, embeddings: NDArray[Any], gallery: MemoryGallery) -> NDArray[np.float64]:
        """Shares of the votes, (n_queries, n_classes)."""
        matcher = self._matcher()
        found = gallery.up_to(embeddings, matcher.depth(self.n_neighbors))
        codes, present = gallery.labels.codes.values[found.indices], gallery.labels.present
        votes = matcher.votes(found.distances)
        shares = votes_of_classes(votes, codes, present)
        match = matcher.match(found.distances, codes)
        return with_winner(shares, (match.codes[:, None] == present).argmax(axis=1))

    def _compare(self, embeddings: NDArray[Any], gallery: MemoryGallery) -> NDArray[np.float64]:
        """Minus the distances to the nearest item or prototype of each class, (n_queries, n_classes)."""
        present = gallery.labels.present
        if hasattr(self._matcher(), "prototypes"):
            side = self._prototypes(gallery)
            searched, by_class = Gallery(side.embeddings), ByClass.of(side.codes, present)
        else:
            made = gallery.made
            if made.by_class is None:
                made.by_class = ByClass.of(gallery.labels.codes.values, present)
            searched, by_class = gallery.searchable(), made.by_class
        distances, rows = nearest_of_classes(embeddings, searched, by_class)
        is_nearest = distances == distances.min(axis=1, keepdims=True)
        return with_winner(-distances, np.where(is_nearest, rows, rows.max() + 1).argmin(axis=1))

    def calibrate(
        self,
        X: ArrayLike | None = None,
        y: ArrayLike | None = None,
        *,
        protocol: str = "open",
        metric: str | None = None,
        targets: Mapping[str, tuple[str, float]] | None = None,
        extra_metrics: Sequence[str] | None = None,
        per_class: bool = False,
        confidence_level: float = 0.95,
        n_resamples: int = 1000,
        random_state: int | np.random.RandomState | None = 0,
    ) -> Calibration:
        """Choose the largest distance to accept; `predict` uses it from then on.

        Parameters
        ----------
        X : array-like of shape (n_queries, ...), default=None
            Queries to calibrate on. None uses the gallery itself, each item searched among the others; so is
            a query that is an item of the gallery, with the same embedding and class. More than 5 % of them
            give a warning.
        y : array-like of shape (n_queries,), default=None
            Their labels. Queries of classes that are not in the gallery count as strangers only.
        protocol : {"open", "closed"}, default="open"
            "open" counts each query once as itself and once as a stranger, with its class hidden from the
            gallery: no data of strangers is needed. "closed" is the recipe of TensorFlow Similarity from
            version 0.16 on: it counts no strangers and accepts many of them.
        metric : str, default=None
            What the cutpoint ``"optimal"`` maximises: ``"youden"`` (recall minus false accepts),
            ``"balanced_accuracy"``, ``"f1"``, ``"precision"`` or ``"recall"``; in the closed protocol
            ``"f1"``, ``"precision"``, ``"recall"`` or ``"binary_accuracy"``. None means "youden", and "f1" in
            the closed protocol.
        targets : dict of str to (str, float), default=None
            More cutpoints, by name: a rate and its value, as ``{"strict": ("false_accept_rate", 0.01)}`` for
            1 %. The value lies between 0 and 1, neither of them. It is an upper limit for
            ``"false_accept_rate"`` and ``"false_accept_bound"``, and a lower limit for other rates. The
            largest distance that meets it is taken; the smallest for recall. A false accept rate is met on
            classes that the choice has not seen, so it is lower on the others.
        extra_metrics : sequence of str, default=None
            Further rates to report. None reports recall, false accepts and precision; in the closed protocol
            precision, recall and binary accuracy.
        per_class : bool, default=False
            Whether classes of two queries or more get a separate threshold, drawn towards the common one:
            strict where other classes come near, wide where none does. Rates, intervals and targets are those
            of these thresholds, on queries that did not choose them. For the open protocol, any matcher, and
            three classes or more.
        confidence_level : float, default=0.95
            Of the intervals, in (0, 1).
        n_resamples : int, default=1000
            Bootstrap samples of classes.
        random_state : int, RandomState instance or None, default=0
            Of the bootstrap.

        Returns
        -------
        Calibration
            Also kept as ``calibration_``.

        Raises
        ------
        ValueError
            If the gallery has no labels or one class only, a rate is unknown, or a target cannot be met or is
            not between 0 and 1; if no class has a second item, and neither a false accept rate is asked for
            nor strangers are in `X`; or `per_class` is asked of the closed protocol, of two classes, or of a
            matcher with distances below 0.

        Notes
        -----
        ``"recall"`` is the share of known queries that are accepted under their own name, and
        ``"false_accept_rate"`` the share of strangers accepted under any. A real stranger is compared with
        all n classes, a hidden class only with the other n - 1; the reported rate is corrected for that.
        Precision assumes as many strangers as known queries.

        With one item a class there are no known queries: recall and the rates that need it are NaN, and
        ``"optimal"`` is the largest distance that accepts no stranger.

        A query with the same embedding and class as an item is that item, and would find itself at distance
        0. One such item is left out of its search, so that two equal photos with different ids still find
        each other. Data with few different values, such as hash codes, give new queries that equal an item
        too: these are also left out, which makes the threshold a little wider. Queries that nearly equal an
        item, and a gallery in which items are enrolled twice, get a warning only.

        Intervals are over classes, and predictive: they say what as many *new* classes may show, strangers
        drawn like the classes of the gallery. ``"false_accept_bound"`` is, with m classes of strangers,
        (m * false_accept_rate + 1) / (m + 1): the expected rate of one more class is at most that, whatever
        the distribution (conformal risk control), if the new class is exchangeable with those of the
        calibration and classes have as many queries. That does not hold for strangers of another kind, such
        as photographs of no object, nor exactly for classes hidden from their own gallery, or for an embedder
        that was trained on the classes of the gallery: calibrate on classes that it has not seen.

        The threshold of a class is the common one times a factor, ``class_factors`` of the calibration. The
        mean logarithm of the distances at which queries of the class are matched to other classes, their own
        hidden, is compared with the mean of all classes and shrunk by empirical Bayes; the factor is the root
        of the result. So the threshold of a class lies half-way between that of the extreme value machine and
        the common one. Classes that are enrolled later have the common one until the next calibration; a
        class that is removed loses its factor. Where classes differ in how crowded they are this helps,
        elsewhere it may hurt a little: ``benchmarks/open_set.py`` prints both.

        The cost is that of one search of the queries in the gallery; targets on false accepts and thresholds
        of classes evaluate its result twice.
        """
        check_is_fitted(self)
        if protocol not in ("open", "closed"):
            raise ValueError(f"protocol must be 'open' or 'closed'; got {protocol!r}")
        _check_bootstrap(confidence_level, n_resamples)
        if not isinstance(per_class, bool | np.bool_):
            raise ValueError(f"per_class must be True or False; got {per_class!r}")
        if per_class and protocol == "closed":
            raise ValueError("per_class=True goes by strangers, and protocol='closed' has none: use 'open'")
        metric = metric or {"open": "youden", "closed": "f1"}[protocol]
        check_rates(protocol, metric, targets, extra_metrics)
        gallery = self._labelled_gallery("calibrate")
        twice = per_class or any(rate == "false_accept_rate" for rate, _ in (targets or {}).values())
        queries = self._queries(X, y, gallery)
        evidence = gather(self._matcher(), self.n_neighbors, gallery.side(), queries, twice)
        check_known(evidence, protocol, targets)
        for doubt in evidence.doubts:
            warn(doubt)
        factors: dict[Any, float] = {}
        if per_class:
            evidence, factors = with_factors(evidence, gallery.labels.decode, self.matcher)
        options = gallery.sizes(), metric, targets, extra_metrics, confidence_level
        if protocol == "open":
            calibration = calibrate_open(evidence, *options, n_resamples, as_generator(random_state))
            calibration = replace(calibration, class_factors=factors)
            if message := hopeless(calibration):
                warn(message)
        else:
            calibration, accepted = calibrate_closed(evidence, *options)
            if message := accepts_nearly_all(accepted):
                warn(message)
        return self._use(calibration)

    def set_cutpoint(self, name: str | None) -> Self:
        """Choose the cutpoint that `predict` uses.

        Parameters
        ----------
        name : str or None
            ``"optimal"`` or the name of a target; None accepts every query.

        Returns
        -------
        SimilaritySearch
            With that cutpoint.

        Raises
        ------
        ValueError
            If there is no such cutpoint.
        """
        check_is_fitted(self)
        cutpoints = self.calibration_.cutpoints if hasattr(self, "calibration_") else {}
        if name is not None and name not in cutpoints:
            have = f"has {', '.join(cutpoints)}" if cutpoints else "is missing: call calibrate first"
            raise ValueError(f"there is no cutpoint {name!r}: the calibration {have}")
        self.cutpoint_ = name
        return self

    def evaluate(
        self,
        X: ArrayLike,
        y: ArrayLike,
        X_unknown: ArrayLike | None = None,
        *,
        recall_at: Sequence[int] = (1, 5, 10),
        confidence_level: float = 0.95,
        n_resamples: int = 1000,
        random_state: int | np.random.RandomState | None = 0,
    ) -> Evaluation:
        """Measure retrieval, recognition and refusal on labelled queries, and on strangers.

        Parameters
        ----------
        X : array-like of shape (n_queries, ...)
            What the embedder takes; not in the gallery. A query that is an item of the gallery, with the same
            embedding and class, is searched among the other items. More than 5 % of them give a warning.
        y : array-like of shape (n_queries,)
            Their labels. Queries of classes that are not in the gallery count as strangers; so do queries
            that are the only item of their class.
        X_unknown : array-like of shape (n_unknown, ...), default=None
            Strangers.
        recall_at : sequence of int, default=(1, 5, 10)
            Cut-offs of recall@k; those beyond the size of the gallery are left out. Recall@k and MAP@R are
            those of the ranking that `kneighbors` gives, its options included.
        confidence_level : float, default=0.95
            Of the intervals, in (0, 1).
        n_resamples : int, default=1000
            Bootstrap samples of classes.
        random_state : int, RandomState instance or None, default=0
            Of the bootstrap.

        Returns
        -------
        Evaluation
            Scores by name with their intervals, the curve of open-set recognition, and the confusion matrix.

        Raises
        ------
        ValueError
            If the gallery has no labels, no query is of a class in the gallery, or a cut-off is below 1.

        Notes
        -----
        Intervals resample classes, known ones and strangers apart, each class with all of its queries: they
        say how much a score may change with other classes of the same kind. The labels of `X_unknown` are not
        known, so each of its rows counts as a class; where several are of one class, give them in `X` with
        their labels.
        """
        check_is_fitted(self)
        _check_bootstrap(confidence_level, n_resamples)
        if not all(isinstance(k, Integral) and k >= 1 for k in recall_at):
            raise ValueError(f"recall_at must hold integers from 1; got {recall_at!r}")
        self._check_labelled("evaluate")
        embeddings, (labels, counts) = self._embed(X), self._gallery.tally()
        y = np.asarray(check_y(y, len(embeddings)))
        true = labels.encode(y)
        classes = _with_strangers(true, y)
        if X_unknown is not None:
            strangers = self._embed(X_unknown)
            embeddings = np.concatenate([embeddings, strangers])
            true = np.concatenate([true, np.full(len(strangers), -1)])
            classes = np.concatenate([classes, classes.min() - 1 - np.arange(len(strangers))])
        match, is_item, copies = self._match_left_out(embeddings, true, labels)
        for doubt in copies.warnings("The scores are better than those of new queries"):
            warn(doubt)
        true = np.where(counts[true] > is_item, true, -1)  # an only item has nothing left to find
        if not (true >= 0).any():
            raise ValueError("no query is of a class in the gallery: evaluate needs some")
        known = embeddings[true >= 0], true[true >= 0], is_item[true >= 0]

        def find(rows: NDArray[np.intp], depth: int) -> NDArray[Any]:
            embeddings, codes, is_item = (part[rows] for part in known)
            return self._find_labelled(embeddings, codes, is_item, depth, labels)

        distances = over_factors(match.distances, labels.decode(match.codes), self._factors())
        return evaluate_matches(
            retrieval_scores(find, known[1], recall_at, counts, known[2]),
            Match(match.codes, distances), true, classes, self._threshold(), labels, self.no_match_label_,
            confidence_level, n_resamples, as_generator(random_state),
        )  # fmt: skip

    def pair_distance(self, A: ArrayLike, B: ArrayLike) -> NDArray[np.float64]:
        """Measure the distances of pairs under the learned metric.

        Parameters
        ----------
        A, B : array-like of shape (n_pairs, ...)
            What the embedder takes: row i of `A` goes with row i of `B`.

        Returns
        -------
        ndarray of shape (n_pairs,), float64
            Euclidean distances of embeddings.

        Raises
        ------
        ValueError
            If `A` and `B` differ in their number of rows.
        """
        check_is_fitted(self)
        left, right = self._embed(A), self._embed(B)
        if len(left) != len(right):
            raise ValueError(f"A has {len(left)} rows and B has {len(right)}: a pair takes one of each")
        return np.linalg.norm(left.astype(np.float64) - right, axis=1)

    def calibrate_pairs(
        self,
        A: ArrayLike,
        B: ArrayLike,
        y: ArrayLike,
        *,
        far: Sequence[float] | None = None,
        confidence_level: float = 0.95,
        n_resamples: int = 1000,
        random_state: int | np.random.RandomState | None = 0,
    ) -> Calibration:
        """Choose the largest distance to accept from pairs, for verification of one class or two.

        Parameters
        ----------
        A, B : array-like of shape (n_pairs, ...)
            What the embedder takes.
        y : array-like of shape (n_pairs,)
            Whether each pair is of one class: booleans, 1 and 0, or 1 and -1. Pairs of one class at distance
            0 are a sample and itself, and are left out; more than 5 % of them give a warning.
        far : sequence of float, default=None
            False accept rates, each of which gets a cutpoint, as
            :func:`~skmetric.metrics.verification_report` takes them.
        confidence_level : float, default=0.95
            Of the intervals, in (0, 1).
        n_resamples : int, default=1000
            Bootstrap samples of pairs.
        random_state : int, RandomState instance or None, default=0
            Of the bootstrap.

        Returns
        -------
        Calibration
            Also kept as ``calibration_``. The cutpoint ``"optimal"``, at the equal error rate, is in use;
            `set_cutpoint` chooses another, such as ``"far_0.01"``.

        Raises
        ------
        ValueError
            As :func:`~skmetric.metrics.verification_report`; or if all pairs of one class are at distance 0.

        Notes
        -----
        The rates are those of one pair. `predict` compares each query with the whole gallery: with n items a
        rate of p may become n * p. Use `verify` with this, and `calibrate` before `predict`.
        """
        distances = self.pair_distance(A, B)
        same = np.asarray(y).ravel()
        kept = np.ones(len(distances), dtype=bool)
        if same.shape == kept.shape and same.dtype.kind in "biuf":  # the report refuses others
            kept, said = pairs_to_keep(distances, same > 0)
            for message in said:
                warn(message)
            distances, same = distances[kept], same[kept]
        report = verification_report(
            distances, same, far=far, confidence_level=confidence_level, n_resamples=n_resamples,
            random_state=random_state,
        )  # fmt: skip
        return self._use(
            calibration_of_pairs(report, distances, same > 0, self._gallery.sizes(), confidence_level)
        )

    def verify(self, A: ArrayLike, B: ArrayLike) -> NDArray[np.bool_]:
        """Whether the two samples of each pair are accepted as one class.

        Parameters
        ----------
        A, B : array-like of shape (n_pairs, ...)
            What the embedder takes.

        Returns
        -------
        ndarray of shape (n_pairs,), bool
            Whether their distance is at most that of the cutpoint in use.

        Raises
        ------
        ValueError
            If no cutpoint is in use.
        """
        distances = self.pair_distance(A, B)
        if self.cutpoint_ is None:
            raise ValueError("verify needs a threshold: call calibrate_pairs first")
        return distances <= self._threshold()

    def _match(
        self,
        embeddings: NDArray[Any],
        where: Mapping[str, Any] | None = None,
        labels: LabelColumn | None = None,
    ) -> tuple[Match, LabelColumn]:
        """The class, as a code, and the distance that each embedding is matched to; labels decode it."""
        self._check_labelled("predict")
        matcher = self._matcher()
        if not hasattr(matcher, "prototypes"):
            found = self._gallery.labelled(embeddings, matcher.depth(self.n_neighbors), where, labels)
            return matcher.match(found.distances, found.codes), found.labels
        if where is not None:
            raise ValueError(
                "where= and among= filter items, and matcher='center' matches to the centres of whole "
                "classes: use another matcher, or a gallery of the items that pass"
            )
        gallery = self._labelled_gallery("predict")
        with gallery.reading():
            prototypes, own = self._prototypes(gallery), gallery.labels  # of one state
        distances, places = nearest(embeddings, prototypes.embeddings)
        codes = prototypes.codes[places[:, 0]]
        if labels is not None:
            codes, own = labels.encode(own.decode(codes)), labels
        return Match(codes, distances[:, 0]), own

    def _match_left_out(
        self, embeddings: NDArray[Any], true: NDArray[Any], labels: LabelColumn
    ) -> tuple[Match, NDArray[Any], Copies]:
        """Matches of queries of classes `true`; those that are items are matched to the other items."""
        matcher = self._matcher()
        if not isinstance(matcher, PrototypeMatcher):
            k = matcher.depth(self.n_neighbors)
            found = self._gallery.labelled(embeddings, max(k, 2) + 1, None, labels)
            *neighbors, is_item, copies = leave_items_out(found.distances, found.codes, true, k)
            return matcher.match(*neighbors), is_item, copies
        gallery = self._labelled_gallery("evaluate")
        with gallery.reading():
            prototypes = self._prototypes(gallery)
        codes = np.full(len(true), -1)
        codes[true >= 0] = gallery.labels.encode(labels.decode(true[true >= 0]))
        queries = Side(embeddings, codes)
        matched = match_to_prototypes(matcher, gallery.side(), queries, prototypes=prototypes)
        best = matched.best()
        match = Match(labels.encode(gallery.labels.decode(best.codes)), best.distances)
        return match, matched.is_item, matched.copies

    def _find_labelled(
        self,
        embeddings: NDArray[Any],
        codes: NDArray[Any],
        is_item: NDArray[Any],
        k: int,
        labels: LabelColumn,
    ) -> NDArray[Any]:
        """Codes of neighbours by the ranking options, (n_queries, k), without the item that a query is."""
        has_items = bool(is_item.any())
        if self._ranking_options() is None:
            found = self._gallery.labelled(embeddings, k + has_items, labels=labels)
            itself = is_item[:, None] & (found.codes == codes[:, None]) & (found.distances == 0)
            return drop_one(found.codes, itself) if has_items else found.codes
        rows = self._find(embeddings, k + has_items).indices
        if has_items:
            items = own_items(Side(embeddings, codes), self._gallery.in_memory().side())[0]
            rows = drop_one(rows, rows == items[:, None])
        return labels.codes.values[rows]

    def _queries(self, X: ArrayLike | None, y: ArrayLike | None, gallery: MemoryGallery) -> Side | None:
        if X is None or y is None:
            if X is not y:
                raise ValueError("X and y go together: give both, or neither to calibrate on the gallery")
            return None
        embeddings = self._embed(X)
        y = np.asarray(check_y(y, len(embeddings)))
        return Side(embeddings, _with_strangers(gallery.labels.encode(y), y))

    def _say_that_all_are_accepted(self) -> None:
        if self.no_match_label is None or self._gallery.has_said_all_accepted:
            return
        self._gallery.has_said_all_accepted = True
        warn(f"no query gets no_match_label={self.no_match_label!r} before calibrate: all are accepted")


def _with_no_match(names: NDArray[Any], accepted: NDArray[np.bool_], no_match_label: Any) -> NDArray[Any]:
    """Names of the accepted, and the no-match label for the others, in a dtype that holds both."""
    if accepted.all():
        return names
    label = np.asarray(no_match_label)
    is_text = {names.dtype.kind in "US", label.dtype.kind in "US"}
    dtype = object if is_text == {True, False} else np.result_type(names.dtype, label.dtype)
    names = names.astype(dtype)
    names[~accepted] = no_match_label
    return names


def _with_strangers(codes: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    """Codes of labels `y`, with one code below 0 for each class of strangers: these can be drawn too."""
    absent = codes < 0
    codes = codes.astype(np.int64)
    codes[absent] = -1 - np.unique(y[absent], return_inverse=True)[1]
    return codes


def _check_bootstrap(confidence_level: float, n_resamples: int) -> None:
    if not 0 < confidence_level < 1:
        raise ValueError(f"confidence_level must be between 0 and 1; got {confidence_level!r}")
    if not isinstance(n_resamples, Integral) or n_resamples < 1:
        raise ValueError(f"n_resamples must be an integer from 1; got {n_resamples!r}")
