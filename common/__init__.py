"""What the four papers share: one trainer, data loading, metrics, results, claims and the report."""
