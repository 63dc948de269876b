"""Images as they come, from files to arrays: found, checked, read. Does not import torch, nor Pillow by itself."""
