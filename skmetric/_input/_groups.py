"""Groups as users give them: what must not be compared with itself, such as a camera or a session."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skmetric._checks import as_array, encode_labels, missing_rows, name_rows, read_labels


def check_groups(groups: Any, n_samples: int | None = None, name: str = "groups") -> NDArray[Any]:
    """Return `groups` as a 1-D array of names of one kind, none missing.

    Parameters
    ----------
    groups : array-like of shape (n_samples,)
        Numbers or strings.
    n_samples : int, default=None
        How many there must be; None if the caller compares.
    name : str, default="groups"
        What error messages call them.
    """
    remedy = "give each of these rows a group that no other row has"
    return _check_column(groups, n_samples, name, "group", remedy)


def check_subgroups(by: Any, n_samples: int, name: str = "by") -> NDArray[Any]:
    """Return `by`, the subgroups of queries that scores are also reported for, like :func:`check_groups`."""
    return _check_column(by, n_samples, name, "subgroup", "name their subgroup, such as 'unknown'")


def _check_column(values: Any, n_samples: int | None, name: str, noun: str, remedy: str) -> NDArray[Any]:
    values = as_array(values)
    missing = missing_rows(values, name)
    if len(missing):
        raise ValueError(f"{name} has no {noun} in {name_rows(missing)}: {remedy}, or drop the rows")
    values = read_labels(values, name)
    if n_samples is not None and len(values) != n_samples:
        raise ValueError(
            f"{name} has {len(values)} values for {n_samples} rows: give one {noun} for each row"
        )
    return values


def group_codes(
    groups: Any, groups_gallery: Any, n_queries: int, n_gallery: int | None
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Integer codes of the groups of queries and of the gallery, the same code for the same group.

    Parameters
    ----------
    groups : array-like of shape (n_queries,)
        Of the queries.
    groups_gallery : array-like of shape (n_gallery,) or None
        Of the gallery; None where each query is searched among the others.
    n_queries, n_gallery : int
        Rows of the two sides; `n_gallery` is None where there is no gallery.

    Raises
    ------
    ValueError
        If one side is missing, lengths differ, a row has no group, or the sides are of different types.
    """
    check_both_groups(groups, groups_gallery, n_gallery is not None)
    groups = check_groups(groups, n_queries)
    if n_gallery is None:
        codes = encode_labels(groups)[0]
        return codes, codes
    of_gallery = check_groups(groups_gallery, n_gallery, "groups_gallery")
    codes, codes_gallery, _ = encode_labels(groups, of_gallery, "groups and groups_gallery")
    assert codes_gallery is not None
    return codes, codes_gallery


def check_both_groups(groups: Any, groups_gallery: Any, has_gallery: bool) -> None:
    """Refuse groups of one side where both are needed, and of a gallery where there is none."""
    if groups_gallery is not None and not has_gallery:
        raise ValueError(
            "groups_gallery is given and gallery is not: without a gallery, groups holds all groups"
        )
    if has_gallery and (groups is None) != (groups_gallery is None):
        raise ValueError("with a gallery, groups and groups_gallery go together: give both or neither")
