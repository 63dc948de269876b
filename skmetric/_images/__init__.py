"""Images as they come, from files to arrays: found, checked, read. Imports neither torch nor Pillow."""
