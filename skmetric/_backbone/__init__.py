"""Networks that others have trained: built by name, with weights of a file, their output pooled."""
