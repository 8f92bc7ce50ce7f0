"""Binance spot: market data, order entry over the websocket API with REST as the second way, and the user
data stream."""
