"""Who may act: one holder at a time, each with a number higher than every holder before it."""
