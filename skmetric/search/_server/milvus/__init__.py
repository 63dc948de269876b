"""A gallery in a collection of Milvus."""
