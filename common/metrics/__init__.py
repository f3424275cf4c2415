"""Scores that know no paper: tallies that add, names that carry their convention."""
