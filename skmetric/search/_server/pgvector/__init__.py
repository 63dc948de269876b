"""A gallery in a table of PostgreSQL with pgvector."""
