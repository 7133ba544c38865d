"""From a film to its findings: breast, scan of all windows, marks, second stage, probabilities."""
