"""From distances to the score that a threshold cuts."""
