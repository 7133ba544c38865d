"""What several commands share; each module has one subject."""
