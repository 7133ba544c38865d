"""Stored values to gray values: layout, padding, the gray scale, and what the pixels show."""
