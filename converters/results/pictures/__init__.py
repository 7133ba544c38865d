"""What is drawn: overlays, heat maps, the pictures of the page, and where their labels go."""
