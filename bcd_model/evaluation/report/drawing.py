"""What drawing the pictures of a report needs: looked for before hours of work."""

from __future__ import annotations

from importlib.util import find_spec

from bcd_model.errors import UsageError


def check_pictures_can_be_drawn() -> None:
    """Look for Matplotlib.

    Raises:
        UsageError: it is not installed.
    """
    if find_spec("matplotlib") is None:
        remedy = "pip install 'bcd-cad[pictures]'"
        raise UsageError("its pictures are drawn with Matplotlib, which is not installed", remedy)
