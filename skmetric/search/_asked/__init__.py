"""What a lookup is asked for, and the table that it gives."""
