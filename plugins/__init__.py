"""The official providers' type tokens, served in Python where their plugins cannot be had."""
