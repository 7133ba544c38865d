"""What the BCD Detector module does apart from its panel: no Qt, no torch, no queue.

Runs in Slicer's own Python (3.9 and 3.12, pydicom 2.4 and 3.0) with pydicom, requests and numpy only.
"""
