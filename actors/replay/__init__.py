"""Replay: recordings of market data, read back and checked with the desk's own codec and books."""
