"""From files to films: studies, what is taken, pixels in [0, 1] with their place in the source."""
