"""Measurements behind the promises of speed: each against the plain way of doing the same, in the same
run."""
