"""The manifest of a saved search: matcher, ranking options, labels and calibration as JSON, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from skmetric._embedding import steps_of
from skmetric._warning import warn
from skmetric.search._calibration._calibration import Calibration
from skmetric.search._calibration._matchers import MATCHERS, ClassCenters
from skmetric.search._ranking._k_reciprocal import KReciprocal
from skmetric.search._ranking._neighbor_average import NeighborAverage

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OPTIONS = {"KReciprocal": KReciprocal, "NeighborAverage": NeighborAverage}


def describe_matcher(matcher: Any) -> str | dict[str, Any]:
    """A matcher as JSON."""
    if isinstance(matcher, str):
        return matcher
    if type(matcher) in MATCHERS.values():
        name = next(name for name, kind in MATCHERS.items() if kind is type(matcher))
        described = {"name": name, "n_centers": int(getattr(matcher, "n_centers", 1))}
        n_best = getattr(matcher, "n_best", None)
        return described if n_best is None else described | {"n_best": int(n_best)}
    raise TypeError(f"a folder cannot hold the matcher {type(matcher).__name__}: use joblib")


def matcher_of(described: str | dict[str, Any]) -> Any:
    """The matcher that `describe_matcher` described."""
    if isinstance(described, str):
        return described
    if described["name"] == "center":
        return ClassCenters(described["n_centers"], described.get("n_best"))
    return MATCHERS[described["name"]]()


def describe_option(option: Any) -> list[Any] | None:
    """A ranking option as JSON."""
    if option is None:
        return None
    if type(option) not in _OPTIONS.values():
        raise TypeError(f"a folder cannot hold the option {type(option).__name__}: use joblib")
    return [type(option).__name__, {name: plain(value) for name, value in option.get_params().items()}]


def option_of(described: list[Any] | None) -> Any:
    """The ranking option that `describe_option` described."""
    return None if described is None else _OPTIONS[described[0]](**described[1])


def plain(label: Any, name: str = "no_match_label") -> str | int | float | None:
    """A label as JSON has it."""
    label = label.item() if isinstance(label, np.generic) else label
    if label is not None and not isinstance(label, str | int | float):
        raise TypeError(f"a folder cannot hold {name}={label!r}: use a number or text")
    return label


def describe_calibration(calibration: Calibration) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """A calibration as JSON, and its arrays by name."""
    arrays = {f"threshold_{name}": rates for name, rates in calibration.thresholds.items()}
    factors = calibration.class_factors
    if factors:
        arrays |= {"factor_labels": np.array(list(factors)), "factors": np.array(list(factors.values()))}
    return asdict(calibration) | {"thresholds": None, "class_factors": None}, arrays


def calibration_of(
    described: dict[str, Any], rates: list[str], arrays: Mapping[str, NDArray[Any]]
) -> Calibration:
    """The calibration that `describe_calibration` described, with its `rates` by name."""
    factors = [arrays[name].tolist() for name in ("factor_labels", "factors") if name in arrays]
    described = described | {
        "thresholds": {name: np.array(arrays[f"threshold_{name}"]) for name in rates},
        "class_factors": dict(zip(*factors, strict=True)) if factors else {},
        "intervals": {
            cut: {rate: tuple(pair) for rate, pair in intervals.items()}
            for cut, intervals in described["intervals"].items()
        },
    }
    names = [field.name for field in fields(Calibration)]  # folders of earlier versions have fewer
    return Calibration(**{name: described[name] for name in names if name in described})


def embedder_steps(embedder: Any) -> list[str]:
    """Names of the classes that make embeddings, in order."""
    return [] if embedder is None else [type(step).__name__ for step in steps_of(embedder)]


def check_embedder(path: Any, content: dict[str, Any], embedder: Any) -> None:
    """Refuse an embedder where the folder has none, and the other way round.

    Where the folder has no fingerprint, warn of an embedder of other steps.
    """
    name = content["embedder"]
    if name is not None and embedder is None:
        if content.get("model") is not None:
            raise ValueError(f"{path} holds the embedder too, a {name}: open it by skmetric.io.load(path)")
        raise ValueError(
            f"{path} was saved with an embedder, a {name}, which the folder does not hold: call "
            "load(path, embedder=...), or save with skmetric.io.save, which keeps both in one folder"
        )
    if name is None and embedder is not None:
        raise ValueError(f"{path} was saved without an embedder, for ready embeddings: load it without one")
    if content.get("fingerprint") is not None:
        return
    saved, given = content.get("embedder_steps"), embedder_steps(embedder)
    wrapper = [type(embedder).__name__]  # which earlier folders name
    if saved is not None and saved not in (given, wrapper):
        warn(
            f"{path} was saved with an embedder of {' -> '.join(saved)}, and this one is of "
            f"{' -> '.join(given)}: if its embeddings differ, distances and thresholds mean nothing; load it "
            "with the embedder that it was saved with"
        )
