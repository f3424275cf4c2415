"""A user's own films and pictures: read, checked, made small by the protocol, trained on and scored."""
