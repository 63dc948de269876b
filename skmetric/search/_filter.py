"""Filters on metadata: which rows hold what is asked for."""

import numpy as np

_KINDS = {"numbers": "iuf", "text": "US", "booleans": "b", "dates": "M"}


def passing(where, columns, labels=None):
    """Which rows pass a filter.

    Parameters
    ----------
    where : dict of str to value or list of values
        Columns and what they must hold; of a list, one of what. ``"label"`` is the label.
    columns : dict of str to ndarray of shape (n_items,)
        Metadata.
    labels : LabelColumn, default=None
        Labels of the items, if they have some.

    Returns
    -------
    passes : ndarray of shape (n_items,), bool
        Rows that pass all of it.

    Raises
    ------
    ValueError
        If a column is unknown or a value is of another type than its column.
    """
    if not isinstance(where, dict) or not where:
        raise ValueError(f"where must be a dict of columns and values, as {{'shop': 'A'}}; got {where!r}")
    known = sorted(columns) + ["label"] * (labels is not None and "label" not in columns)
    masks = []
    for name, wanted in where.items():
        if name not in known:
            raise ValueError(
                f"where: there is no column {name!r}; the gallery has {', '.join(known) or 'none'}"
            )
        wanted = values_of(wanted)
        if name in columns:
            masks.append(np.isin(columns[name], _of_kind(name, wanted, columns[name].dtype)))
        else:
            masks.append(np.isin(labels.codes.values, _codes_of(wanted, labels)))
    return np.logical_and.reduce(masks)


def values_of(wanted):
    """Values of a filter as a list: those of a list, tuple, set or array, or the one given."""
    if isinstance(wanted, list | tuple | set | frozenset | np.ndarray):
        return list(wanted)
    return [wanted]


def _of_kind(name, wanted, dtype):
    """Values as an array of the kind of their column."""
    kind = next((kind for kind, letters in _KINDS.items() if dtype.kind in letters), None)
    values = np.asarray(wanted, dtype="datetime64" if kind == "dates" else None)
    if len(wanted) and values.dtype.kind not in _KINDS.get(kind, dtype.kind):
        raise ValueError(f"where: column {name!r} holds {kind}; got {wanted[0]!r}")
    return values


def _codes_of(wanted, labels):
    return [labels.code_of[value] for value in wanted if value in labels.code_of]
