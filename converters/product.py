"""What this software calls itself in the objects that it writes."""

from __future__ import annotations

from bcd_model import __version__

MANUFACTURER = "BCD"


PRODUCT = "bcd-cad"
"""Manufacturer and Manufacturer's Model Name of every result object: how our own are known again."""


SOFTWARE_VERSION = __version__


RESEARCH = "Research use only"
