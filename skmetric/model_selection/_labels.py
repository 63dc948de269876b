"""Labels as integer codes, or an error that says what is wrong with them."""

import numpy as np
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length


def class_codes(X, y):
    """Return the class of every row as an integer, from 0 in sorted order; refuse a `y` that has none."""
    if y is None:
        raise ValueError("y is missing: the classes in y are what is split")
    check_consistent_length(X, y)
    encoder = LabelEncoder()
    codes = encoder.fit_transform(y)  # (n_samples,); refuses labels of mixed types
    last = encoder.classes_[-1]  # None and NaN sort last
    if last is None or last != last:
        rows = np.flatnonzero(codes == len(encoder.classes_) - 1)
        raise ValueError(f"y has no label (None or NaN) in {len(rows)} rows, the first of them row {rows[0]}")
    check_classification_targets(y)
    return codes
