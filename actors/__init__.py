"""Nightdesk's trading half: the tree of actors that feed, decide, check, order and account."""
