"""What comes with samples to enrol: labels, ids and metadata, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sklearn.utils.multiclass import check_classification_targets

from ._labels import check_y
from ._layout import check_user_ids
from ._metadata import check_metadata, n_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray


def check_targets(y: Any, n_samples: int) -> NDArray[Any] | None:
    labels = check_y(y, n_samples)
    if labels is None:
        return None
    if labels.dtype.kind not in "biuUS" and not isinstance(labels[0], str):
        check_classification_targets(labels)  # of others it would only say that classes of one item are many
    return labels


def check_what_comes_with(X: Any, y: Any, ids: Any, metadata: Any) -> None:
    """Refuse labels, ids and metadata that do not go with samples, where these can be counted."""
    n_items = n_rows(X)
    if n_items is None:  # the embedder says what is wrong with samples
        return
    check_targets(y, n_items)
    if ids is not None:
        check_user_ids(ids, n_items)
    check_metadata(metadata, n_items)
