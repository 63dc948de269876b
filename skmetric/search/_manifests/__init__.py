"""What the folder of a search says of it, and of which types."""
