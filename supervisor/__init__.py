"""Supervision on Trio: restart, watch, fail over, page. Knows no trading."""
