"""The types that the values of a manifest must have: a digest that fits does not make them right."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any, NamedTuple, TypeAlias

from skmetric._params import InvalidParameterError, check_params
from skmetric.search._calibration._matchers import MATCHERS


class Kind(NamedTuple):
    """What a value must be, in words, and whether it is."""

    noun: str
    holds: Callable[[Any], bool]


_MOST_KEYS = 2**62  # after which new items would have none left
Shape: TypeAlias = "Kind | Mapping[str, Shape]"


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_known(value: Any) -> bool:
    return _is_number(value) and not math.isnan(value)


def whole(least: int) -> Kind:
    """An integer of 64 bits."""
    return Kind(
        f"an integer from {least}",
        lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**63,
    )


def or_none(kind: Kind) -> Kind:
    """The same, or None."""
    return Kind(f"{kind.noun}, or null", lambda value: value is None or kind.holds(value))


def dict_of(kind: Kind) -> Kind:
    """A dict whose values are alike."""
    return Kind(
        f"a dict with {kind.noun} under each name",
        lambda value: isinstance(value, dict) and all(map(kind.holds, value.values())),
    )


def _is_matcher(value: Any) -> bool:
    name = value.get("name") if isinstance(value, dict) else value
    if not isinstance(name, str) or name not in MATCHERS:
        return False
    if not isinstance(value, dict):
        return True
    n_centers, n_best = value.get("n_centers", 1), value.get("n_best")
    return whole(1).holds(n_centers) and (n_best is None or (n_centers == 1 and whole(1).holds(n_best)))


BOOLEAN = Kind("true or false", lambda value: isinstance(value, bool))
TEXT = Kind("text", lambda value: isinstance(value, str))
NUMBER = Kind("a number", _is_number)
_KNOWN = Kind("a number that is not NaN", _is_known)
NAMES = Kind("a list of text", lambda value: isinstance(value, list) and all(map(TEXT.holds, value)))
_LABEL = Kind("a number or text, or null", lambda value: value is None or isinstance(value, str | Real))
_PAIR = Kind(
    "two numbers", lambda value: isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))
)
_SHARE = Kind("a number from 0 to 1", lambda value: _is_number(value) and 0 <= value <= 1)
_LINE = Kind(
    "an intercept and a slope, or empty",
    lambda value: value == {} or (dict_of(_KNOWN).holds(value) and {"intercept", "slope"} <= value.keys()),
)
_CUTPOINTS = Kind(
    'a dict of dicts of numbers, each with a "distance" that is not NaN, one of them "optimal"',
    lambda value: (
        dict_of(dict_of(NUMBER)).holds(value)
        and "optimal" in value
        and all(_is_known(cut.get("distance")) for cut in value.values())
    ),
)


def _is_option(value: Any) -> bool:
    is_pair = isinstance(value, list) and len(value) == 2
    return is_pair and isinstance(value[0], str) and isinstance(value[1], dict)


_OPTION = or_none(Kind("a class and its parameters", _is_option))
_FINGERPRINT = or_none(
    Kind("a list of names and digests", lambda value: isinstance(value, list) and all(map(_is_option, value)))
)
_DICT = Kind("a dict", lambda value: isinstance(value, dict))

CALIBRATION: dict[str, Shape] = {
    "cutpoints": _CUTPOINTS,
    "intervals": dict_of(dict_of(_PAIR)),
    "protocol": Kind("open, closed or pairs", lambda value: value in ("open", "closed", "pairs")),
    "metric": TEXT,
    "n_gallery": whole(1),
    "n_classes": whole(0),
    "n_known": whole(0),
    "n_strangers": whole(0),
    "confidence_level": _SHARE,
    "runner_up_weight": _SHARE,
    "probability": _LINE,
}
GALLERY: dict[str, Shape] = {
    "next_key": whole(0),
    "has_own_ids": BOOLEAN,
    "has_labels": BOOLEAN,
    "has_samples": BOOLEAN,
    "columns": NAMES,
}
SEARCH: dict[str, Shape] = {
    "index": {"class": TEXT, "content": _DICT, "arrays": NAMES},
    "n_neighbors": whole(1),
    "matcher": Kind(f"one of {', '.join(MATCHERS)}", _is_matcher),
    "no_match_label": _LABEL,
    "no_match_label_used": _LABEL,
    "review_label": _LABEL,
    "embedder": or_none(TEXT),
    "embedder_steps": NAMES,
    "fingerprint": _FINGERPRINT,
    "n_components": whole(1),
    "n_features_in": or_none(whole(1)),
    "cutpoint": or_none(TEXT),
    "review": or_none(TEXT),
    "is_stale": BOOLEAN,
    "adapt_metric": BOOLEAN,
    "refit_key": whole(0),
    "refit_from": or_none(_PAIR),
    "ranking": dict_of(_OPTION),
    "rates": NAMES,
    "gallery": GALLERY,
    "calibration": CALIBRATION,
}


def check_types(values: Any, shape: Mapping[str, Shape], name: str = "") -> None:
    """Refuse values of other types, by a TypeError that names the first of them.

    Values that are missing are not looked for: earlier versions wrote fewer.
    """
    if not isinstance(values, Mapping):
        raise TypeError(f"{name or 'the manifest'} must be a dict; got {_short(values)}")
    for key, wanted in shape.items():
        where = f"{name}.{key}" if name else key
        if key not in values:
            continue
        if isinstance(wanted, Kind):
            if not wanted.holds(values[key]):
                raise TypeError(f"{where} must be {wanted.noun}; got {_short(values[key])}")
        elif key != "calibration" or values[key] is not None:
            check_types(values[key], wanted, where)


def check_agreement(content: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Refuse values of a manifest that contradict each other or the arrays beside it."""
    calibration, gallery = content["calibration"], content["gallery"]
    cutpoints = {} if calibration is None else calibration["cutpoints"]
    for name in ("cutpoint", "review"):
        if content.get(name) is not None and content[name] not in cutpoints:
            raise TypeError(f"{name} is {content[name]!r}, and there is no cutpoint of that name")
    if calibration is not None and calibration["protocol"] != "pairs" and not calibration["n_classes"]:
        raise TypeError("calibration.n_classes is 0")
    if content["embedder"] is None and content["n_features_in"] not in (None, content["n_components"]):
        raise TypeError("n_features_in differs from n_components, and there is no embedder")
    if not gallery:  # it is on a server
        return
    has_labels, n_columns = "labels" in arrays, sum(name.startswith("metadata_") for name in arrays)
    if gallery["has_labels"] != has_labels:
        raise TypeError(f"gallery.has_labels is {gallery['has_labels']}, which the arrays are not")
    if has_labels and content["no_match_label_used"] is None:
        raise TypeError("no_match_label_used is null, and the gallery has labels")
    if len(gallery["columns"]) != n_columns or len(set(gallery["columns"])) < n_columns:
        raise TypeError(f"gallery.columns must be {n_columns} different names; got {gallery['columns']}")
    if gallery["next_key"] >= _MOST_KEYS:
        raise TypeError(f"gallery.next_key must be below {_MOST_KEYS}; got {gallery['next_key']}")
    if gallery["next_key"] <= max(arrays["keys"][-1:], default=-1):  # keys ascend
        raise TypeError(f"gallery.next_key is {gallery['next_key']}, and items have that key or a higher one")


def check_parameters(*parts: Any) -> None:
    """Refuse parameters out of range, of a search or an option that a manifest described."""
    for part in parts:
        if part is not None:
            try:
                check_params(part)
            except InvalidParameterError as error:
                raise TypeError(str(error)) from None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
