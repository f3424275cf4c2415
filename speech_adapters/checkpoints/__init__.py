"""Weights in files: ours, those of other projects, encoders by name, adapter sets."""
