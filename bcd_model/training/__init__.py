"""From annotated films to a weight file, cross-validated by patient."""
