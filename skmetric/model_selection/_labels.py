"""Labels as integer codes, or an error that says what is wrong with them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length

from skmetric._checks import encode_labels, read_labels
from skmetric._input._relevance import name_of
from skmetric._input._several_labels import coarsest
from skmetric._params import StrOptions

RELEVANCE = [StrOptions({"labels", "hierarchy"})]  # what has classes to split


def class_codes(X: Any, y: Any, relevance: str = "labels") -> NDArray[np.intp]:
    """Return the class of every row as an integer, from 0 in sorted order; refuse a `y` that has none.

    The classes of a hierarchy are those of its coarsest level.
    """
    if y is None:
        raise ValueError("y is missing: the classes in y are what is split")
    if relevance not in ("labels", "hierarchy"):
        raise ValueError(
            f"relevance={name_of(relevance)} has no classes to split: use 'labels', or 'hierarchy' for the "
            "classes of the coarsest level"
        )
    labels = coarsest(y) if relevance == "hierarchy" else read_labels(y)
    check_consistent_length(X, labels)
    check_classification_targets(labels)
    codes, _, _ = encode_labels(labels)
    return codes  # (n_samples,)
