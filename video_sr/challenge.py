"""What the challenge fixes for every entry."""

FACTOR = 16  # of the enlargement
