"""What one job says of one study: the objects, the page and the JSON."""
