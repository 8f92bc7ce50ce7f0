"""A folder each for the venues: codecs and sessions; `simulated` is a whole venue of our own."""
