"""Sets of the literature, read from the user's own download: one file a set, over `_reading`."""
