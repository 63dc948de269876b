"""Columns beside embeddings: their types, values as users give them, and filters on them."""
