"""The embedder of a search: fitted, and known again by its fingerprint."""
