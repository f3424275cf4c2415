"""A user's own captioned videos: read from the usual layouts, checked, trained on, scored and made vectors of."""
