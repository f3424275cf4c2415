"""From results to tables, figures and panels; no torch is imported here."""
