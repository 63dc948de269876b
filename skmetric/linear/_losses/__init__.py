"""Losses of learners that descend, as functions of the map or of embeddings, with their gradients."""
