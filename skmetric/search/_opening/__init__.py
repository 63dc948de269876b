"""A search in a folder or on a server, opened again or copied into another index."""
