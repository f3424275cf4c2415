"""Verdicts and raw scores turned into tables, figures and pages; no torch."""
