"""Arrow Flight and Flight SQL."""
