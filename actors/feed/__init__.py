"""Feed: one synchronised order book per instrument, proven right or declared lost."""
