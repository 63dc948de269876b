"""Images brought to the one size that a network takes, in batches. Imports torch."""
