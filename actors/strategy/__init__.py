"""Strategies: a book or a trade in, wishes out. One file each, found by the name it has in the config."""
