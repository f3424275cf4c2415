"""A user study: which of two pictures is liked better, asked on a local page, kept in a file, ranked."""
