"""What the parts of a search share: parameters, fitted state, and the calls that more than one part makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import validate_data

from skmetric._checks import FLOATS, as_array, check_finite_map, check_finite_rows, said_of_raw
from skmetric._documented import DocumentedMixin
from skmetric._embedding import embed, steps_of
from skmetric._params import FittedAttributesMixin
from skmetric._sklearn import BaseEstimator, CallbackSupportMixin, ClassifierMixin
from skmetric._warning import warn
from skmetric.retrieval import Neighbors

from ._asked._filters import check_number, is_list
from ._calibration._gathering._evidence import class_prototypes
from ._calibration._matchers import BY_ITEM, make_matcher
from ._calibration._scoring._rule import EVERYTHING, Rule, rule_of
from ._columns._types import text_fault
from ._embedder._embedder import KnownEmbedder, fitted_embedder
from ._embedder._refitted import samples_of
from ._gallery._gallery import EMPTY, no_neighbors, widened
from ._gallery._memory import MemoryGallery
from ._gallery._server import ServerGallery
from ._progress import batches, n_samples, part_of, told
from ._ranking._options import Options, find, prepare

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._asked._filters import Where
    from ._calibration._calibration import Calibration
    from ._gallery._gallery import Gallery
    from ._gallery._side import Side
    from ._index._index import Index
    from ._progress import Step
    from ._ranking._neighbor_average import NeighborAverage
    from ._ranking._options import Prepared

STALE = (
    "the threshold was chosen for the embeddings before reembed, and means nothing for those of now: "
    "calibrate again"
)
_GROWN = 1.5  # times the items or classes at calibration


class SearchBase(
    DocumentedMixin, FittedAttributesMixin, ClassifierMixin, CallbackSupportMixin, BaseEstimator
):
    """Parameters and state of :class:`SimilaritySearch`, over which each of its parts stands alone."""

    embedder: Any
    index: Index | None
    n_neighbors: int
    matcher: Any
    no_match_label: Any
    rerank: Any
    query_expansion: NeighborAverage | None
    augment_gallery: NeighborAverage | None
    review_label: Any = None  # also of searches that earlier versions pickled
    check_embedder: bool = True  # also of searches that earlier versions pickled
    adapt_metric: bool = False  # likewise

    embedder_: Any
    calibration_: Calibration
    cutpoint_: str | None
    no_match_label_: Any
    n_components_: int
    n_features_in_: int
    feature_names_in_: NDArray[Any]

    _gallery: Gallery
    _known_embedder: KnownEmbedder | None = None  # that made the embeddings of the gallery, where it is known
    _refit_key: int = 0  # items of smaller keys are those that the metric was fitted to
    _refit_from: tuple[float, float] | None = None  # shrinkages of the metric before that
    _growth_said: float = 0.0  # times the gallery at calibration, when that was last warned of
    _review: str | None = None  # name of the second cutpoint
    _is_stale: bool = False  # whether the calibration is that of embeddings before `reembed`
    _output: str

    @property
    def index_(self) -> Index:
        """The index that holds the embeddings. A change of the gallery may put another in its place."""
        if getattr(self, "_gallery", None) is None:
            raise AttributeError("there is no index_ before fit")
        return self._gallery.index

    @index_.setter
    def index_(self, index: Index) -> None:
        self._gallery.index = index

    def _shows_attributes(self) -> bool:
        return not isinstance(
            getattr(self, "_gallery", None), ServerGallery
        )  # it would be asked for all items

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if state.get("calibration_") is not None and isinstance(state.get("_gallery"), MemoryGallery):
            factors = self._factors_of_present_classes()  # another thread may just have removed a class
            state["calibration_"] = replace(state["calibration_"], class_factors=factors)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        # an earlier version kept the index here too
        super().__setstate__({name: value for name, value in state.items() if name != "index_"})

    @property
    def classes_(self) -> NDArray[Any]:
        """Labels that have an item in the gallery, sorted."""
        if getattr(self, "_gallery", None) is None or not self._gallery.has_labels:
            raise AttributeError("the gallery has no labels: fit with y to have classes_")
        return self._gallery.classes()

    @property
    def labels_(self) -> NDArray[Any] | None:
        """Label of each item, in the order of enrolment; None in a gallery without labels."""
        return self._gallery.all_labels()

    @property
    def ids_(self) -> NDArray[Any]:
        """Ids of the items, in the order of enrolment."""
        return self._gallery.all_ids()

    # Embeddings

    def _fitted_embedder(self, X: Any = None, y: Any = None, context: Any = None) -> Any:
        """The embedder, fitted on samples if it is not fitted; without samples it must be."""
        return None if self.embedder is None else fitted_embedder(self.embedder, X, y, context)

    def _embed_in_steps(self, X: Any, step: Step, reset: bool = False) -> NDArray[Any]:
        """Embeddings of samples, in a step for each batch; without callbacks there is one."""
        parts = []
        for number, rows in enumerate(batches(self, X)):
            with step("embed"):
                parts.append(self._embed(part_of(X, rows), reset and not number))
                if reset and not number:
                    self.n_components_ = parts[0].shape[1]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _by_batches(
        self, task: str, X: Any, where: Where, call: Callable[[Any, Where], Any], is_one: bool = False
    ) -> list[tuple[int, Any]]:
        """What a call gives of each batch of queries and their filters, with the number of the first one.

        Without callbacks, or where the queries are one batch, there is one part.
        """
        slices = [None] if is_one else batches(self, X)
        if len(slices) > 1:
            check_number(where, n_samples(X))
        found = []
        with told(self, task, X, None, len(slices)) as step:
            for rows in slices:
                with step("batch"):
                    mine = where if rows is None or not is_list(where) else where[rows]  # type: ignore[index]
                    found.append((0 if rows is None else rows.start, call(part_of(X, rows), mine)))
        return found

    def _embed(self, X: Any, reset: bool = False, last: Any = None) -> NDArray[Any]:
        """Embeddings of samples, finite and of the gallery's dimension.

        With the `last` step of the embedder, `X` is what the others made of samples.
        """
        if self.embedder_ is None:
            check = {"reset": reset, "ensure_all_finite": False}
            if (
                isinstance(X, np.memmap) and X.dtype in FLOATS
            ):  # stays one: an index may search it in its file
                check_finite_map(X)
                validate_data(self, X, dtype=None, **check)
                return X
            with said_of_raw(X, "as the embedder of the search"):
                embeddings = validate_data(self, as_array(X), dtype=[np.float64, np.float32], **check)
            check_finite_rows(embeddings)
            return embeddings
        if reset:
            self.__dict__.pop("n_features_in_", None)
            if hasattr(self.embedder_, "n_features_in_"):
                self.n_features_in_ = self.embedder_.n_features_in_
        elif self.check_embedder and self._known_embedder is not None:
            self._known_embedder.check(self.embedder_)
        embeddings = embed(self.embedder_ if last is None else last, X)
        if not reset and embeddings.shape[1] != self.n_components_:
            raise ValueError(
                f"the embedder gave {embeddings.shape[1]} dimensions and the gallery has {self.n_components_}"
                ": it has changed since fit; fit again"
            )
        return embeddings

    def _embed_kept(self, X: Any, step: Step) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
        """Embeddings of items, and what the gallery keeps of them besides."""
        if not (isinstance(self._gallery, MemoryGallery) and self._gallery.samples is not None):
            return self._embed_in_steps(X, step), {}
        samples = samples_of(self.embedder_, X)
        return self._embed(samples, last=steps_of(self.embedder_)[-1]), {"samples": samples}

    def _is_refitted(self, gallery: MemoryGallery) -> NDArray[np.bool_]:
        """Mask of the items that the metric was fitted to."""
        return gallery.keys.values < self._refit_key

    def _know_embedder(self) -> None:
        """Remember the embedder, on a server too, as the one that made the embeddings of the gallery."""
        self._known_embedder = KnownEmbedder.of(self.embedder_)
        if isinstance(self._gallery, ServerGallery):
            known = self._known_embedder
            self._gallery.keep_fingerprint(None if known is None else known.fingerprint)

    # The gallery, and what is found in it

    def _count(self, n_neighbors: int | None) -> int:
        """Neighbours asked for; None means the parameter."""
        k = self.n_neighbors if n_neighbors is None else n_neighbors
        if not isinstance(k, Integral) or isinstance(k, bool) or k < 1:
            raise ValueError(f"n_neighbors must be an integer from 1; got {k!r}")
        return int(k)

    def _check_labelled(self, purpose: str) -> None:
        if not self._gallery.has_labels:
            raise ValueError(f"{purpose} needs labels, and the gallery has none: fit with y")

    def _labelled_gallery(self, purpose: str) -> MemoryGallery:
        """The gallery in memory, with labels and items."""
        self._check_labelled(purpose)
        gallery = self._gallery.in_memory()
        if not len(gallery):
            raise ValueError(EMPTY)
        return gallery

    def _matcher(self) -> Any:
        return make_matcher(self.matcher)

    def _item_cutpoint(self, *, is_ranked: bool = False) -> str | None:
        """Name of the cutpoint in use, where it is a distance to an item.

        None if there is none, if the matcher compares another quantity, or, with `is_ranked`, if ranking
        options change the distances that lookups return.
        """
        if not isinstance(self._matcher(), BY_ITEM):
            return None
        return None if is_ranked and self._ranking_options() is not None else self.cutpoint_

    def _prototypes(self, gallery: MemoryGallery) -> Side:
        """Prototypes of the classes, made once for each matcher and state of the gallery."""
        matcher, made = self._matcher(), gallery.made
        if made.prototypes is None or made.prototypes[0] != matcher:
            made.prototypes = matcher, class_prototypes(matcher, gallery.side())
        return made.prototypes[1]

    def _ranking_options(self) -> Options | None:
        """The ranking options, None if there are none."""
        options = Options(self.rerank, self.query_expansion, self.augment_gallery)
        if not any(option is not None for option in options):
            return None
        if not isinstance(self._gallery, MemoryGallery):
            raise ValueError(
                "rerank, query_expansion and augment_gallery need the gallery in memory, and it is on a "
                "server: set them to None, or fit a search on what is there"
            )
        return options

    def _find(self, embeddings: NDArray[Any], k: int, where: Mapping[str, Any] | None = None) -> Neighbors:
        """Neighbours with rows of the gallery for indices, by the ranking options."""
        options = self._ranking_options()
        if options is None:
            return self._gallery.neighbors(embeddings, k, where)
        n_items = len(self._gallery)
        if not n_items:
            raise ValueError(EMPTY)
        if where is None:
            return find(self._prepared(options), embeddings, min(k, n_items), options)
        rows = self._gallery.in_memory().passing(where)
        if not len(rows):
            return widened(no_neighbors(len(embeddings)), min(k, n_items))
        if len(rows) == 1:  # there is no neighbourhood to compare
            options = options._replace(rerank=None)
        found = find(self._prepared(options, rows), embeddings, min(k, len(rows)), options)
        return widened(found._replace(indices=rows[found.indices]), min(k, n_items))

    def _prepared(self, options: Options, among: NDArray[np.intp] | None = None) -> Prepared:
        """The gallery, or its rows `among`, as ranking options search it.

        It is made anew when the gallery or an option has changed; that of the whole gallery and that of the
        last filter are kept.
        """
        gallery = self._gallery.in_memory()
        made, state = gallery.made, options.state()
        kept = made.ranked[1] if made.ranked is not None and made.ranked[0] == state else {}
        name = None if among is None else among.tobytes()
        if name not in kept:
            whole = {None: kept[None]} if None in kept else {}
            kept = whole | {name: prepare(gallery.searchable(), options, among)}
            made.ranked = state, kept
        return kept[name]

    # The threshold

    @property
    def review_cutpoint_(self) -> str | None:
        """Name of the second cutpoint, which `set_cutpoint` was given as `review`."""
        return self._review

    @property
    def review_label_(self) -> Any:
        """What `predict` gives to queries between the two cutpoints."""
        if self.review_label is not None:
            return self.review_label
        return "review" if isinstance(self.no_match_label_, str) else -2

    def _threshold(self) -> float:
        """Largest distance to accept; warns if the calibration belongs to earlier embeddings."""
        if self.cutpoint_ is None:
            return EVERYTHING
        self._warn_if_stale()
        return self.calibration_.cutpoints[self.cutpoint_]["distance"]

    def _rule(self) -> Rule:
        """What `predict` accepts; warns as `_threshold`."""
        if not hasattr(self, "calibration_"):
            return Rule()
        rule = rule_of(self.calibration_, self.cutpoint_ or "optimal", self._matcher())
        if self.cutpoint_ is None:
            return rule._replace(limit=EVERYTHING)
        self._warn_if_stale()
        return rule

    def _warn_if_stale(self) -> None:
        if self._is_stale:
            warn(STALE)

    def _factors(self) -> dict[Any, float]:
        """Factors of the thresholds of classes, by label."""
        return self.calibration_.class_factors if hasattr(self, "calibration_") else {}

    def _factors_of_present_classes(self) -> dict[Any, float]:
        """Factors of the classes that have an item: a new class may take the name of one that was removed."""
        factors = self._factors()
        gone = factors.keys() - set(self.classes_.tolist()) if factors else set()
        return {name: factor for name, factor in factors.items() if name not in gone} if gone else factors

    def _drop_factors_of_absent_classes(self) -> None:
        """Forget the factors of classes that were removed."""
        factors = self._factors_of_present_classes()
        if len(factors) < len(self._factors()):
            self.calibration_ = replace(self.calibration_, class_factors=factors)

    def _drop_factors_left(self) -> None:
        """As above, before a change: the change before this one may have been cut short by an exception."""
        if isinstance(self._gallery, MemoryGallery):
            self._drop_factors_of_absent_classes()

    def _use(self, calibration: Calibration) -> Calibration:
        """Take a calibration and its cutpoint "optimal", both or neither."""
        self.__dict__.update(
            calibration_=calibration, cutpoint_="optimal", _review=None, _growth_said=0.0, _is_stale=False
        )
        return calibration

    def _forget_calibration(self) -> None:
        self.__dict__.pop("calibration_", None)
        self.cutpoint_, self._review, self._growth_said, self._is_stale = None, None, 0.0, False

    def _warn_if_grown(self) -> None:
        if not hasattr(self, "calibration_") or self.calibration_.protocol == "pairs":
            return  # a threshold on pairs does not depend on the gallery
        was, now = self.calibration_, self._gallery.sizes()
        growth = max(now[0] / was.n_gallery, now[1] / was.n_classes)
        if growth > max(_GROWN, 2 * self._growth_said):
            self._growth_said = growth
            warn(
                f"the gallery has grown from {was.n_gallery} items in {was.n_classes} classes at calibration "
                f"to {now[0]} in {now[1]}: more strangers will be accepted than it says; calibrate again"
            )

    def _choose_no_match_label(self, labels: NDArray[Any]) -> Any:
        label = self.no_match_label
        if label is None:
            label = "unknown" if labels.dtype.kind in "OUS" else -1
        self._check_text("no_match_label", label)
        self._check_text("review_label", self.review_label)
        self._check_no_match_label(label, labels)
        return label

    def _check_text(self, name: str, label: Any) -> None:
        """Refuse a label that no class of a gallery could have."""
        if isinstance(label, str) and (fault := text_fault(label)):
            raise ValueError(f"{name}={label[:40]!r} has {fault}: take it out")

    def _check_no_match_label(self, label: Any, labels: NDArray[Any]) -> None:
        if np.any(labels == label):
            message = f"no_match_label={label!r} is a class of y too: choose another"
            if self.no_match_label is not None:
                raise ValueError(message)
            warn(f"{message}, or strangers will be given the label of that class")
