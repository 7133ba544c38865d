"""Pixel Data to gray values: codestreams, layout, the gray scale."""
