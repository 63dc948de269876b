"""Images as they come, from files to arrays: found, checked, read and brought to one size. Imports torch."""
