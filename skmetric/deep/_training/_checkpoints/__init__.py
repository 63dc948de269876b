"""State of training kept, compared and read back."""
