"""The report of an evaluation: its files, one module each."""
