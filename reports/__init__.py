"""Reports of a run, written to reports/out."""
