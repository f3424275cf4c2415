"""The model for real films, which no clip has trained: what it is made of, and how that is made."""
