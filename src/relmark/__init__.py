"""relmark."""
