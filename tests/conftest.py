"""What holds for every test."""

import os

from hypothesis import settings

# Continuous integration judges a change, not the luck of a draw: there, the same examples each time.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
