"""Orders: sends what risk approved, believes only the venue, and never leaves a position without its stop."""
