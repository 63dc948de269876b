"""What galleries on a server share."""
