"""A user's own recordings: read from the usual layouts, checked, trained on and scored."""
