"""Queries against the classes of a gallery: what each may see, distances, the runner-up, odd new items."""
