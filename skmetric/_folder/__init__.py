"""A folder of arrays and a manifest: written atomically, read without running anything."""
