"""Predict with a threshold, choose it, and measure what it does."""

import warnings
from dataclasses import replace
from numbers import Integral

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skmetric.metrics._bootstrap import as_generator
from skmetric.metrics._ranking import map_at_r, recall_at_k
from skmetric.retrieval import Ranking, nearest

from ._calibration._calibration import accepts_nearly_all, calibrate_closed, calibrate_open, check_rates
from ._calibration._evaluation import evaluate_matches
from ._calibration._evidence import class_prototypes, gather
from ._calibration._matchers import Match
from ._gallery._gallery import EMPTY
from ._gallery._labels import check_y
from ._gallery._side import Side

_BLOCK_NEIGHBORS = 2**23  # held at a time
_GROWN = 1.5  # times the items or classes at calibration


class OpenSetMixin:
    """Recognition by :class:`SimilaritySearch`, strangers included."""

    def predict(self, X, *, where=None):
        """Class of the match of each query; the no-match label where that is farther than the cutpoint.

        Parameters
        ----------
        X : array-like of shape (n_queries, ...)
            What the embedder takes.
        where : dict of str to value or list of values, default=None
            Only items whose metadata hold this; None matches to all. The threshold is that of the whole
            gallery: among fewer items fewer strangers are accepted.

        Returns
        -------
        ndarray of shape (n_queries,)
            Labels of the gallery, or ``no_match_label_``. Before `calibrate` everyone is taken for known.

        Raises
        ------
        ValueError
            If the gallery has no labels or no items.
        """
        check_is_fitted(self)
        match, labels = self._match(self._embed(X), where)
        if self.cutpoint_ is None:
            self._say_that_all_are_accepted()
        names = labels.decode(match.codes)
        return self._name(names, self._over_factors(match.distances, names) <= self._threshold())

    def calibrate(
        self,
        X=None,
        y=None,
        *,
        protocol="open",
        metric=None,
        targets=None,
        extra_metrics=None,
        per_class=False,
        confidence_level=0.95,
        n_resamples=1000,
        random_state=0,
    ):
        """Choose the largest distance to accept; `predict` uses it from then on.

        Parameters
        ----------
        X : array-like of shape (n_queries, ...), default=None
            Queries to calibrate on. None takes the gallery itself, each item searched among the others.
        y : array-like of shape (n_queries,), default=None
            Their labels. Classes that are not in the gallery are strangers, and nothing else.
        protocol : {"open", "closed"}, default="open"
            "open" counts each query once as itself and once as a stranger, with its class hidden from the
            gallery: no data of strangers is needed. "closed" is the usual recipe, the table of TensorFlow
            Similarity: it knows no strangers and accepts most of them.
        metric : str, default=None
            What the cutpoint ``"optimal"`` maximises: ``"youden"`` (recall minus false accepts),
            ``"balanced_accuracy"``, ``"f1"``, ``"precision"`` or ``"recall"``; in the closed protocol
            ``"f1"``, ``"precision"``, ``"recall"`` or ``"binary_accuracy"``. None stands for "youden", and
            "f1" in the closed protocol.
        targets : dict of str to (str, float), default=None
            More cutpoints, by name: a rate and its value, as ``{"strict": ("false_accept_rate", 0.01)}``. The
            value is a largest one for ``"false_accept_rate"`` and ``"false_accept_bound"``, and a least one
            for other rates. The largest distance that meets it is taken; the smallest for recall. A false
            accept rate is met on classes that the choice has not seen, and so lower on the others.
        extra_metrics : sequence of str, default=None
            Further rates to report. None reports recall, false accepts and precision; in the closed protocol
            precision, recall and binary accuracy.
        per_class : bool, default=False
            Whether classes of two queries or more get a threshold of their own, drawn towards the common one:
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
            If the gallery has no labels or one class only, a rate is unknown or a target cannot be met; or
            `per_class` is asked of the closed protocol, of two classes, or of a matcher with distances below
            0.

        Notes
        -----
        ``"recall"`` is the share of known queries that are accepted under their own name, and
        ``"false_accept_rate"`` the share of strangers accepted under any. A stranger meets one class more
        than a hidden class did, which is allowed for. Precision takes strangers for as frequent as known
        queries.

        Intervals are by classes, and predictive: they say what as many *new* classes may show, strangers
        drawn like the classes of the gallery. ``"false_accept_bound"`` is, with m classes of strangers,
        (m * false_accept_rate + 1) / (m + 1): the expected rate of one more class is at most that, whatever
        the distribution (conformal risk control), if the new class is exchangeable with those of the
        calibration and classes have as many queries. That does not hold for strangers of another kind, such
        as photographs of no object, nor exactly for classes hidden from their own gallery, or for an embedder
        that was trained on the classes of the gallery: calibrate on classes that it has not seen.

        The threshold of a class is the common one times a factor, ``class_factors`` of the calibration. The
        mean logarithm of the distances at which queries of the class are matched to others, its own hidden,
        is held against the mean of all classes and shrunk by empirical Bayes; the factor is the root of what
        is left. So a class has a threshold like that of the extreme value machine, half-way to the common
        one. Classes that are enrolled later have the common one, until the next calibration; one that is
        removed takes its own with it. Where classes differ in how crowded they are it helps, elsewhere it may
        hurt a little: ``benchmarks/open_set.py`` prints both.

        The cost is that of one search of the queries in the gallery; targets on false accepts and thresholds
        of classes look twice at what it finds.
        """
        check_is_fitted(self)
        if protocol not in ("open", "closed"):
            raise ValueError(f"protocol must be 'open' or 'closed'; got {protocol!r}")
        if not 0 < confidence_level < 1:
            raise ValueError(f"confidence_level must be between 0 and 1; got {confidence_level!r}")
        if not isinstance(n_resamples, Integral) or n_resamples < 1:
            raise ValueError(f"n_resamples must be an integer from 1; got {n_resamples!r}")
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
        if not len(evidence.known_distances):
            raise ValueError("no query has an item of its class to find: two items of a class are needed")
        sizes = gallery.sizes()
        factors = {}
        if per_class:
            evidence, factors = self._with_factors(evidence, gallery.labels)
        options = sizes, metric, targets, extra_metrics, confidence_level
        if protocol == "open":
            calibration = calibrate_open(evidence, *options, n_resamples, as_generator(random_state))
            calibration = replace(calibration, class_factors=factors)
        else:
            calibration, accepted = calibrate_closed(evidence, *options)
            if message := accepts_nearly_all(accepted):
                warnings.warn(message, UserWarning, stacklevel=2)
        self.calibration_, self._has_warned_of_growth = calibration, False
        return self.set_cutpoint("optimal").calibration_

    def set_cutpoint(self, name):
        """Choose the cutpoint that `predict` uses.

        Parameters
        ----------
        name : str or None
            ``"optimal"`` or the name of a target; None accepts everyone.

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

    def evaluate(self, X, y, X_unknown=None, *, recall_at=(1, 5, 10)):
        """Measure retrieval, recognition and refusal on labelled queries, and on strangers.

        Parameters
        ----------
        X : array-like of shape (n_queries, ...)
            What the embedder takes; not in the gallery.
        y : array-like of shape (n_queries,)
            Their labels. Those of classes that are not in the gallery count as strangers.
        X_unknown : array-like of shape (n_unknown, ...), default=None
            Strangers.
        recall_at : sequence of int, default=(1, 5, 10)
            Cut-offs of recall@k; those beyond the size of the gallery are left out. Recall@k and MAP@R are
            those of the ranking that `kneighbors` gives, its options included.

        Returns
        -------
        Evaluation
            Rates by name, the curve of open-set recognition, and the confusion matrix.

        Raises
        ------
        ValueError
            If the gallery has no labels, no query is of a class in the gallery, or a cut-off is below 1.
        """
        check_is_fitted(self)
        if not all(isinstance(k, Integral) and k >= 1 for k in recall_at):
            raise ValueError(f"recall_at must hold integers from 1; got {recall_at!r}")
        self._check_labelled("evaluate")
        embeddings, (labels, counts) = self._embed(X), self._gallery.tally()
        y = check_y(y, len(embeddings))
        true = labels.encode(y)
        if X_unknown is not None:
            strangers = self._embed(X_unknown)
            embeddings = np.concatenate([embeddings, strangers])
            true = np.concatenate([true, np.full(len(strangers), -1)])
        match, _ = self._match(embeddings, labels=labels)
        distances = self._over_factors(match.distances, labels.decode(match.codes))
        if not (true >= 0).any():
            raise ValueError("no query is of a class in the gallery: evaluate needs some")
        retrieval = self._retrieval_scores(embeddings[true >= 0], true[true >= 0], recall_at, labels, counts)
        return evaluate_matches(
            retrieval, true, match.codes, distances, self._threshold(), labels, self.no_match_label_
        )

    def _retrieval_scores(self, embeddings, codes, recall_at, labels, sizes):
        """Recall@k and MAP@R of queries of classes in the gallery, `sizes` its items under each code."""
        n_items = int(sizes.sum())
        ks = [int(k) for k in recall_at if k <= n_items]
        depth = max([int(sizes[codes].max()), *ks])
        n_blocks = -(-len(codes) * depth // _BLOCK_NEIGHBORS)
        parts = []
        for rows in np.array_split(np.arange(len(codes)), n_blocks):
            found = self._find_labelled(embeddings[rows], depth, labels)
            ranking = Ranking(found == codes[rows, None], sizes[codes[rows]], n_items)
            parts.append(np.stack([*(recall_at_k(ranking, k) for k in ks), map_at_r(ranking)]))
        means = np.concatenate(parts, axis=1).mean(axis=1).tolist()
        return dict(zip([*(f"recall_at_{k}" for k in ks), "map_at_r"], means, strict=True))

    def _match(self, embeddings, where=None, labels=None):
        """The class, as a code, and the distance that each embedding is matched to; labels decode it."""
        self._check_labelled("predict")
        matcher = self._matcher()
        if not hasattr(matcher, "prototypes"):
            found = self._gallery.labelled(embeddings, matcher.depth(self.n_neighbors), where, labels)
            return matcher.match(found.distances, found.codes), found.labels
        if where is not None:
            raise ValueError(
                "where= filters items, and matcher='center' matches to the centres of whole classes: use "
                "another matcher, or a gallery of the items that pass"
            )
        gallery = self._labelled_gallery("predict")
        with gallery.reading():
            prototypes = self._prototypes(gallery)
        found = nearest(embeddings, prototypes.embeddings)
        codes = prototypes.codes[found.indices[:, 0]]
        if labels is not None:
            codes = labels.encode(gallery.labels.decode(codes))
        return Match(codes, found.distances[:, 0]), gallery.labels

    def _queries(self, X, y, gallery):
        if (X is None) != (y is None):
            raise ValueError("X and y go together: give both, or neither to calibrate on the gallery")
        if X is None:
            return None
        embeddings = self._embed(X)
        y = check_y(y, len(embeddings))
        codes = gallery.labels.encode(y)
        absent = codes < 0  # codes below 0, one for each class, so that strangers can be drawn by class
        codes[absent] = -1 - np.unique(y[absent], return_inverse=True)[1]
        return Side(embeddings, codes)

    def _check_labelled(self, purpose):
        if not self._gallery.has_labels:
            raise ValueError(f"{purpose} needs labels, and the gallery has none: fit with y")

    def _labelled_gallery(self, purpose):
        """The gallery in memory, with labels and items."""
        self._check_labelled(purpose)
        gallery = self._gallery.in_memory()
        if not len(gallery):
            raise ValueError(EMPTY)
        return gallery

    def _prototypes(self, gallery):
        if gallery.prototypes is None:
            gallery.prototypes = class_prototypes(self._matcher(), gallery.side())
        return gallery.prototypes

    def _threshold(self):
        if self.cutpoint_ is None:
            return np.finfo(np.float64).max  # all that was found: a query that found nothing is at infinity
        return self.calibration_.cutpoints[self.cutpoint_]["distance"]

    def _name(self, names, accepted):
        if accepted.all():
            return names
        label = np.asarray(self.no_match_label_)
        is_text = {names.dtype.kind in "US", label.dtype.kind in "US"}
        dtype = object if is_text == {True, False} else np.result_type(names.dtype, label.dtype)
        names = names.astype(dtype)
        names[~accepted] = self.no_match_label_
        return names

    def _forget_calibration(self):
        self.__dict__.pop("calibration_", None)
        self.cutpoint_, self._has_warned_of_growth = None, False

    def _say_that_all_are_accepted(self):
        if self.no_match_label is None or self._gallery.has_said_all_accepted:
            return
        self._gallery.has_said_all_accepted = True
        warnings.warn(
            f"no query gets no_match_label={self.no_match_label!r} before calibrate: all are taken for known",
            UserWarning,
            stacklevel=3,
        )

    def _warn_if_grown(self):
        if not hasattr(self, "calibration_") or self._has_warned_of_growth:
            return
        was, now = self.calibration_, self._gallery.sizes()
        if now[0] > _GROWN * was.n_gallery or now[1] > _GROWN * was.n_classes:
            self._has_warned_of_growth = True
            warnings.warn(
                f"the gallery has grown from {was.n_gallery} items in {was.n_classes} classes at calibration "
                f"to {now[0]} in {now[1]}: more strangers will be accepted than it says; calibrate again",
                UserWarning,
                stacklevel=4,
            )
