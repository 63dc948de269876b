"""Pairs of rows, dense or sparse, with their squared distances and scatters."""
