"""Recipes of self-supervised pre-training, and what their encoders know of phones."""
