"""Input as users give it, checked and coded: tuples, groups, weights, and which samples belong together."""
