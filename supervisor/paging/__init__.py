"""Reaching a person: an event becomes an incident, incidents of one kind are folded, and each channel
delivers on its own."""
