"""BCD's ground floor: the words of the field, the networks and the scan.

Importing this package imports numpy and nothing heavier; ``detector`` and ``training`` need PyTorch.
Research use only.
"""

from bcd_model.words import DISCLAIMER, Film, FilmScan, Finding

__all__ = ["DISCLAIMER", "Film", "FilmScan", "Finding", "__version__"]

__version__ = "0.2.0"
