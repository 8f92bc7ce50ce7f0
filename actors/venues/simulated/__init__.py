"""A Binance-spot venue in one process: a pure exchange engine and the server around it."""
