"""Pixel Data to the stored values of one image: its bytes, what they are, the decoders."""
