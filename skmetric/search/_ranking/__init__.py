"""Other rankings than the plain distance: re-ranking and averages over neighbours."""
