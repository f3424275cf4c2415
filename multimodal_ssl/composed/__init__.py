"""Clips composed of cut-out pictures over photographs: planned, rendered, stored; every caption's truth is known."""
