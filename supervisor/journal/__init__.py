"""The durable event log: what was intended before it was done. SQLite in life, memory in simulation, one
contract for both."""
