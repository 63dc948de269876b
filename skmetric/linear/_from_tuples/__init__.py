"""Linear learners of pairs, triplets and quadruplets."""
