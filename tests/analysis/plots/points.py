"""The points that are drawn where it does not matter which."""

PAIRS = [(5.6, 1.0), (5.8, 2.0), (6.4, 3.0), (6.0, 1.5)]  # the last one is dominated
