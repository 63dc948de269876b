"""Warnings in the examples are errors while the gallery is built, as they are in the tests."""

import warnings

KEPT = []


def reset(gallery_conf, fname, when):
    """Turn warnings into errors before an example, and back after it."""
    if when == "before":
        KEPT.append(warnings.filters[:])
        warnings.simplefilter("error")
    elif KEPT:
        warnings.filters[:] = KEPT.pop()
