"""The loss of a fit, and what tells that it fails."""
