"""Pre-trained networks of others that more than one paper looks through."""
