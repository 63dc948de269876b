"""Choosing the threshold of predictions, on the gallery or on queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skmetric._warning import warn
from skmetric.metrics._bootstrap import as_generator
from skmetric.search._base import SearchBase
from skmetric.search._calibration._advice import hopeless
from skmetric.search._calibration._calibration import (
    Calibration,
    accepts_nearly_all,
    calibrate_closed,
    calibrate_open,
)
from skmetric.search._calibration._gathering._evidence import Evidence, gather
from skmetric.search._calibration._gathering._strangers import check_bootstrap, with_strangers
from skmetric.search._calibration._refits import Queries, Refits, gather_refitted
from skmetric.search._calibration._scoring._class_factors import with_factors
from skmetric.search._calibration._scoring._runner_up import check_runner_up, counts_runner_up, weight_of
from skmetric.search._calibration._targets import check_known, check_rates
from skmetric.search._embedder._refitted import embedder_without, samples_of
from skmetric.search._gallery._labels import check_y
from skmetric.search._gallery._side import Side
from skmetric.search._progress import n_batches, told

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from skmetric.search._gallery._memory import MemoryGallery
    from skmetric.search._progress import Step


class Thresholding(SearchBase):
    """The threshold of :class:`SimilaritySearch`."""

    def calibrate(
        self,
        X: ArrayLike | None = None,
        y: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        protocol: str = "open",
        metric: str | None = None,
        targets: Mapping[str, tuple[str, float]] | None = None,
        extra_metrics: Sequence[str] | None = None,
        per_class: bool = False,
        runner_up: str | float = "auto",
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
        groups : array-like of shape (n_queries,), default=None
            Groups of the queries `X`, where the items have groups: each query is searched without the items
            of its class and group. None searches them in the whole gallery, as queries of groups that are not
            there. Without `X` the groups are those of the items.
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
        runner_up : "auto" or float, default="auto"
            Part of the squared distance to the runner-up, the nearest other class, that is subtracted from
            the squared distance of a match: a query that is near two classes is then refused sooner. From 0,
            which compares the distance alone, to 1; "auto" chooses 0, 0.25, 0.35 or 0.5 from the evidence.
            Above 0 only for the matchers "nearest" and "center" (and other prototypes), the open protocol,
            and three classes or more; "auto" is 0 elsewhere.
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
            nor strangers are in `X`; if `per_class` is asked of the closed protocol, of two classes, or of a
            matcher with distances below 0; a `runner_up` above 0 where it cannot be used; or if
            groups do not fit.

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

        Where items have groups, given to `fit`, no item is compared with items of its own class and group:
        photos of one session are nearer than photos of two, and a threshold chosen on them would promise
        what does not hold for new sessions. Items of other classes stay, whatever their group. An item with
        nothing left to find counts as a stranger only. Without groups there is a warning if three of four
        queries, and of few queries nearly all, have a gap in the distances to the nearest eight items of
        their class: one item is more than twice as far as the item before it. Such a gap divides the photos
        of one session from the others. Sessions whose photos change little by little have none, and matchers
        to prototypes do not look for it.

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

        With a `runner_up` of w, the score of a match is the root of d1² - w d2², with the sign of the
        difference, where d1 is the distance to the nearest class and d2 to the runner-up: on the unit sphere
        it orders as the cosine of the match less w times that of the runner-up. With thresholds of classes
        d1 is divided by the factor of its class first. `predict` and `evaluate` compare the score with the
        ``"score"`` of the cutpoint. Its ``"distance"``, chosen with w = 0, is for `verify`, and for matches
        without a runner-up, for example where a filter leaves one class. `decision_function` stays minus the
        distance. "auto" takes the w with the largest gain in recall minus false accepts, each w at its best
        threshold, less half the standard error over classes of that gain.

        The cost is that of one search of the queries in the gallery; targets on false accepts and thresholds
        of classes evaluate its result twice.
        """
        check_is_fitted(self)
        if protocol not in ("open", "closed"):
            raise ValueError(f"protocol must be 'open' or 'closed'; got {protocol!r}")
        check_bootstrap(confidence_level, n_resamples)
        if not isinstance(per_class, bool | np.bool_):
            raise ValueError(f"per_class must be True or False; got {per_class!r}")
        if per_class and protocol == "closed":
            raise ValueError("per_class=True needs strangers, and protocol='closed' has none: use 'open'")
        check_runner_up(runner_up, protocol, self._matcher(), self.matcher)
        metric = metric or {"open": "youden", "closed": "f1"}[protocol]
        check_rates(protocol, metric, targets, extra_metrics)
        gallery = self._labelled_gallery("calibrate")
        twice = per_class or any(rate == "false_accept_rate" for rate, _ in (targets or {}).values())
        may_count = protocol == "open" and runner_up != 0 and counts_runner_up(self._matcher())
        with told(self, "calibrate", X, y, n_batches(self, X) + 1) as step:
            evidence = self._evidence(X, y, groups, gallery, twice, may_count, step)
        check_known(evidence, protocol, targets)
        for doubt in evidence.doubts:
            warn(doubt)
        factors: dict[Any, float] = {}
        if per_class:
            evidence, factors = with_factors(evidence, gallery.labels.decode, self.matcher)
        options = gallery.sizes(), metric, targets, extra_metrics, confidence_level
        if protocol == "open":
            weight = weight_of(runner_up, evidence, gallery.sizes()[1])
            calibration = calibrate_open(evidence, *options, n_resamples, as_generator(random_state), weight)
            calibration = replace(calibration, class_factors=factors)
            if message := hopeless(calibration):
                warn(message)
        else:
            calibration, accepted = calibrate_closed(evidence, *options)
            if message := accepts_nearly_all(accepted):
                warn(message)
        return self._use(calibration)

    def set_cutpoint(self, name: str | None, *, review: str | None = None) -> Self:
        """Choose the cutpoint that `predict` uses, and a second one for matches that somebody has to look at.

        Parameters
        ----------
        name : str or None
            ``"optimal"`` or the name of a target; None accepts every query.
        review : str, default=None
            Name of a less strict cutpoint. `predict` gives ``review_label_`` to a query that this one accepts
            and `name` does not. None has no second cutpoint.

        Returns
        -------
        SimilaritySearch
            With these cutpoints.

        Raises
        ------
        ValueError
            If there is no such cutpoint, `review` is stricter than `name`, or the label for review is that of
            a class or of strangers.

        Examples
        --------
        >>> from skmetric.search import SimilaritySearch
        >>> search = SimilaritySearch().fit([[0.0], [0.1], [5.0], [5.2]], ["ant", "ant", "bee", "bee"])
        >>> _ = search.calibrate(targets={"all": ("recall", 1.0 - 1e-9), "wide": ("precision", 0.5)})
        >>> search.set_cutpoint("all", review="wide").predict([[0.1], [2.3], [20.0]]).tolist()
        ['ant', 'review', 'unknown']
        """
        check_is_fitted(self)
        cutpoints = self.calibration_.cutpoints if hasattr(self, "calibration_") else {}
        for asked in (name, review):
            if asked is not None and asked not in list(cutpoints):
                have = f"has {', '.join(cutpoints)}" if cutpoints else "is missing: call calibrate first"
                raise ValueError(f"there is no cutpoint {asked!r}: the calibration {have}")
        if review is not None:
            self._check_review(name, review)
        self.cutpoint_, self._review = name, review
        return self

    def _check_review(self, name: str | None, review: str) -> None:
        if name is None:
            raise ValueError(f"review={review!r} needs a cutpoint that accepts less: name it, as 'optimal'")
        strict, wide = (self.calibration_.cutpoints[cut] for cut in (name, review))
        if any(wide[limit] < strict[limit] for limit in ("distance", "score") if limit in wide):
            raise ValueError(
                f"review={review!r} is stricter than {name!r}: set_cutpoint({review!r}, review={name!r})"
            )
        label = self.review_label_
        self._check_text("review_label", label)
        if label == self.no_match_label_ or np.any(self.classes_ == label):
            raise ValueError(
                f"review_label={label!r} is a class of the gallery, or the label of strangers: choose "
                "another by set_params(review_label=...)"
            )

    def _evidence(
        self, X: Any, y: Any, groups: Any, gallery: MemoryGallery, second: bool, runners_up: bool, step: Step
    ) -> Evidence:
        """Matches of queries, or items, as themselves and as strangers; also where the metric knows them."""
        (side, queries), matcher = self._sides(X, y, groups, gallery, step), self._matcher()
        with step("search"):
            if gallery.samples is None:
                return gather(matcher, self.n_neighbors, side, queries, second, runners_up)
            without = embedder_without(self.embedder_, gallery)
            refits = Refits(side, gallery.samples.values, self._is_refitted(gallery), without)
            asked = None if queries is None else Queries.of(queries, samples_of(self.embedder_, X), refits)
            return gather_refitted(matcher, self.n_neighbors, refits, asked, second, runners_up)

    def _sides(
        self,
        X: ArrayLike | None,
        y: ArrayLike | None,
        groups: ArrayLike | None,
        gallery: MemoryGallery,
        step: Step,
    ) -> tuple[Side, Side | None]:
        """The gallery, and the queries; None if these are the items."""
        if X is None or y is None:
            if X is not y:
                raise ValueError("X and y go together: give both, or neither to calibrate on the gallery")
            if groups is not None:
                raise ValueError(
                    "groups= are those of the queries X; without X the items of the gallery are the queries, "
                    "and their groups are given to fit"
                )
            return gallery.side_with_groups(), None
        embeddings = self._embed_in_steps(X, step)
        y = np.asarray(check_y(y, len(embeddings)))
        queries = Side(embeddings, with_strangers(gallery.labels.encode(y), y))
        return gallery.side_and_queries(queries, groups)
