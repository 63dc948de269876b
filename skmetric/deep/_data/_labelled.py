"""From X and y to what is trained on: checked samples, classes as codes, classes held out."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from skmetric._checks import as_array, check_labels, read_labels, said_of_raw
from skmetric._images._opening import holds_images
from skmetric._input._relevance import Relevance
from skmetric._pixels._sizing import height_and_width
from skmetric._warning import warn
from skmetric.deep._network._network import MODULES

from ._held_out import split_classes
from ._input import as_float32, is_dataset, read_collated, read_dataset, read_images
from ._scale import check_scale, scale_of
from ._source import Streamed

_FLOATS = [np.float64, np.float32]


class Data(NamedTuple):
    """Samples to train on and samples of other classes to score."""

    samples: np.ndarray | Streamed  # (n, n_features) or (n, C, H, W)
    codes: np.ndarray  # (n,) positions in `trained`
    trained: np.ndarray  # labels by code: those of the proxies, if the loss has some
    classes: np.ndarray  # all labels, sorted
    held_out: np.ndarray | Streamed  # samples, of shape (0, ...) if none
    held_out_labels: np.ndarray
    weights: np.ndarray | None = None  # (n,)
    relevance: Relevance | None = None  # of all samples, if grades are learned


def read_samples(estimator, X):
    """Samples for `transform`: checked against what `estimator` was fitted on."""
    if collates(estimator) or estimator._input_spec is not None:
        return _read_collated(estimator, X, reset=False)
    _check_kind(X, estimator.input_shape_)
    if not is_table(X):
        return _read_others(estimator, X, estimator.input_shape_, reset=False)
    return as_float32(
        validate_data(estimator, _as_rows(X), reset=False, dtype=_FLOATS, ensure_all_finite=False)
    )


def read_labelled(estimator, X, y, *, reset, label_free=False):
    """Checked samples and labels for `fit`; labels may be None where training does without."""
    if y is None and not label_free:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None"
            + (": its items are no pairs (sample, label) either" if is_dataset(X) else "")
            + ". Training without labels takes augment='two_views' and a loss such as 'sim_clr'"
        )
    y = y if y is None else read_labels(y)  # before others read integers through float64
    samples = read_rows(estimator, X, reset=reset)  # labels are checked below
    if y is None:
        return samples, None
    y = check_labels(y, len(samples))
    check_classification_targets(y)
    return samples, y


def read_rows(estimator, X, *, reset):
    """Checked samples to train on: rows of features, images or a dataset, as they come in."""
    if collates(estimator) or (not reset and estimator._input_spec is not None):
        samples = _read_collated(estimator, X, reset=reset)
        set_n_features(estimator, ())
        return samples
    shape = None if reset else estimator.input_shape_
    if not reset:
        _check_kind(X, shape)
    if not is_table(X):
        samples = _read_others(estimator, X, shape, reset=reset)
        remember_scale(estimator, samples, reset=reset)
        set_n_features(estimator, samples.shape[1:])
        return samples
    if estimator.image_size is not None:
        raise ValueError(
            f"image_size={estimator.image_size!r} is for images, and X holds rows of features: leave it None"
        )
    how = {"dtype": _FLOATS, "ensure_all_finite": False, "ensure_min_samples": 2}
    with said_of_raw(X):
        return as_float32(validate_data(estimator, _as_rows(X), reset=reset, **how))


def _as_rows(X):
    """Rows of features for scikit-learn to check; other structures and several lengths are refused."""
    if isinstance(X, list | tuple) and len(X):
        remedy = "give collate_fn=, which makes a batch of a list of samples"
        if isinstance(X[0], Mapping):
            raise ValueError(f"X lists samples of type {type(X[0]).__name__}, no rows of features: {remedy}")
        lengths = [len(row) if hasattr(row, "__len__") else None for row in X]
        if odd := [row for row, length in enumerate(lengths) if length != lengths[0]]:
            raise ValueError(
                f"X has samples of different lengths: sample 0 has {lengths[0]} and sample {odd[0]} has "
                f"{lengths[odd[0]]}. To pad them {remedy}"
            )
    return as_array(X)


def is_table(X):
    """Whether `X` is for scikit-learn's validation: rows of features."""
    return not is_dataset(X) and not holds_images(X)


def collates(estimator):
    """Whether samples go through a collate function of the user's."""
    return estimator.collate_fn is not None


def _read_collated(estimator, X, *, reset):
    """Items for a collate function; of the structure fitted on where something was fitted."""
    if not reset and estimator._input_spec is None:
        raise ValueError(
            f"collate_fn is given, but the network was fitted without it, on samples of shape "
            f"{estimator.input_shape_}: set it back to None, or fit anew"
        )
    if estimator.image_size is not None:
        raise ValueError(
            f"image_size={estimator.image_size!r} is for images, and collate_fn makes the batches: resize "
            "there, and leave image_size None"
        )
    spec = None if reset else estimator._input_spec
    return read_collated(X, estimator.collate_fn, spec, num_workers=estimator.num_workers)


def _read_others(estimator, X, shape, *, reset):
    """Images or a dataset, checked; of `shape` each where something was fitted on."""
    _check_image_size(estimator, shape)
    normalised = normalises(estimator, fitted=not reset)
    samples = (read_dataset if is_dataset(X) else read_images)(
        X,
        estimator.channel_axis,
        shape,
        image_size=estimator.image_size,
        num_workers=estimator.num_workers,
        any_range=not normalised,
        background=estimator.background,
    )
    if not reset and not normalised:
        check_scale(samples, estimator._scale)
    return samples


def normalises(estimator, *, fitted):
    """Whether the network normalises images itself, and so takes brightness from 0 to 1 alone."""
    if fitted:
        return estimator.module_.normalises
    by_name = isinstance(estimator.module, str) and estimator.module not in ("auto", *MODULES)
    return by_name or estimator.mean is not None or estimator.std is not None


def remember_scale(estimator, samples, *, reset):
    """Keep the range of the images that a network is trained on."""
    scale, before = scale_of(samples), None if reset else estimator._scale
    estimator._scale = scale if scale is None or before is None else before.joined(scale)


def _check_image_size(estimator, shape):
    """Refuse another size than the network was made for, which would otherwise be ignored."""
    size = estimator.image_size
    if (
        size is not None
        and shape is not None
        and len(shape) == 3
        and height_and_width(size) != tuple(shape[1:])
    ):
        raise ValueError(
            f"image_size={size!r}, but the network was fitted on images of {shape[1]}x{shape[2]}: set "
            "image_size back, or train a new network by `fit` with warm_start=False"
        )


def set_n_features(estimator, shape):
    """What scikit-learn's validation sets for tables: the number of features, none for images."""
    for name in ("n_features_in_", "feature_names_in_"):  # of an earlier fit
        vars(estimator).pop(name, None)
    if len(shape) == 1:
        estimator.n_features_in_ = shape[0]


def _check_kind(X, shape):
    """Refuse rows where `fit` saw images, and the other way round; items of a dataset are looked at later."""
    if not is_dataset(X) and is_table(X) != (len(shape) == 1):
        given, seen = ("rows of features", "images")[:: 1 if is_table(X) else -1]
        raise ValueError(f"X holds {given}; fit saw {seen}, of shape {shape} each")


def prepare(
    samples,
    y,
    *,
    classes=None,
    fraction=0.0,
    early_stopping=False,
    seed=0,
    pairwise=True,
    quiet=False,
    weights=None,
):
    """Hold classes out, number the others, and leave out what a loss of pairs learns nothing from.

    Parameters
    ----------
    samples, y : ndarray of n rows and of shape (n,)
        Checked.
    classes : ndarray, default=None
        Labels in the order that the loss's proxies have; None numbers the labels of `y`.
    fraction, early_stopping, seed
        See :func:`skmetric.deep._data._held_out.split_classes`.
    pairwise : bool, default=True
        Whether the loss learns from pairs alone.
    quiet : bool, default=False
        Whether not to warn of what is left out.
    weights : ndarray of shape (n,), default=None
        Of samples.

    Returns
    -------
    Data
        With at least two classes to train on.
    """
    found, codes = np.unique(y, return_inverse=True)
    if len(found) < 2:
        raise ValueError(
            f"y has one class only ({found.tolist()[0]!r}): telling classes apart needs two or more"
        )
    rows, held_out = split_classes(codes, fraction, early_stopping, seed)
    if pairwise:
        rows = _without_singletons(rows, codes[rows], quiet)
    trained, codes = _numbered(y[rows], classes)
    everything = slice(None) if len(rows) == len(y) else rows  # spares a copy of the samples
    weights = None if weights is None else weights[rows]
    return Data(samples[everything], codes, trained, found, samples[held_out], y[held_out], weights)


def prepare_label_free(samples, y=None, *, fraction=0.0, early_stopping=False, seed=0, weights=None):
    """Make each sample a class; hold out classes of `y`, if there is a `y`.

    Parameters
    ----------
    samples : ndarray of n rows
        Checked.
    y : ndarray of shape (n,), default=None
        Labels for validation.
    fraction, early_stopping, seed
        See :func:`skmetric.deep._data._held_out.split_classes`.
    weights : ndarray of shape (n,), default=None
        Of samples.

    Returns
    -------
    Data
        With at least two samples to train on.
    """
    if y is None and (fraction or early_stopping):
        raise ValueError(
            "validation_fraction and early_stopping hold classes out, and y is None: pass y, or leave "
            "both off"
        )
    found, codes = np.unique(np.zeros(0, dtype=int) if y is None else y, return_inverse=True)
    rows, held_out = np.arange(len(samples)), np.zeros(0, dtype=int)
    if y is not None and (fraction or early_stopping):
        rows, held_out = split_classes(codes, fraction, early_stopping, seed)
    if len(rows) < 2:
        raise ValueError(f"X has {len(rows)} sample to train on: telling samples apart needs two or more")
    everything = slice(None) if len(rows) == len(samples) else rows  # spares a copy of the samples
    numbers = np.arange(len(rows))
    labels = found[codes[held_out]]
    weights = None if weights is None else weights[rows]
    return Data(samples[everything], numbers, numbers, found, samples[held_out], labels, weights)


def after_known(known, y):
    """Labels by code: those that have a code already, then the other labels of `y`, sorted."""
    found = set(known.tolist())
    labels = [*known.tolist(), *(label for label in np.unique(y).tolist() if label not in found)]
    alike = known.dtype.kind == y.dtype.kind
    return np.array(labels, dtype=np.promote_types(known.dtype, y.dtype) if alike else object)


def _without_singletons(rows, codes, quiet):
    """Rows whose class has another row; one warning counts the others."""
    alone = np.bincount(codes)[codes] == 1
    n_left = len(np.unique(codes[~alone]))
    if n_left < 2:
        raise ValueError(
            f"y has {n_left} classes with two samples or more to train on, and a loss of pairs needs two "
            f"such classes; {alone.sum()} classes have one sample"
        )
    if alone.any() and not quiet:
        warn(
            f"{alone.sum()} classes with one sample are left out of training: they have no pair",
        )
    return rows[~alone]


def _numbered(y, classes):
    """Labels by code, and the codes of `y`; as Python compares numbers, exactly also above 2**53."""
    if classes is None:
        return np.unique(y, return_inverse=True)
    place_of = {label: place for place, label in enumerate(classes.tolist())}
    found, inverse = np.unique(y, return_inverse=True)
    strange = [label for label in found.tolist() if label not in place_of]
    if strange:
        raise ValueError(
            f"the loss has no proxies for the labels {strange[:5]}: pass all labels that will come as "
            "classes= in the first partial_fit, or fit anew"
        )
    return classes, np.array([place_of[label] for label in found.tolist()], dtype=np.intp)[inverse]
