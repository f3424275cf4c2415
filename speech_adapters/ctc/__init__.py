"""Connectionist temporal classification: loss, decoding, n-grams, scores."""
