"""Readers of the packages that carry real speech with its text, one file per family of packages."""
