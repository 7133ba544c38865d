"""What the panel asks and says in windows of its own."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Callable

import qt
import slicer

from BCDDetectorLib.errors import DetectorError, InputError

TITLE = "BCD Detector"


def attempt(dialogs: Any, action: Callable[[], Any]) -> bool:
    """Do ``action``; if it cannot be done, say why. Returns whether it was done."""
    try:
        action()
    except DetectorError as error:
        dialogs.error(error)
        return False
    except OSError as error:
        dialogs.error(InputError(f"a film cannot be read ({error.strerror or 'no reason given'})"))
        return False
    return True


class Dialogs:
    """Slicer's own windows; tests put others in their place."""

    def confirm(self, text: str) -> bool:
        """Ask whether to go on."""
        return bool(slicer.util.confirmOkCancelDisplay(text, windowTitle=TITLE))

    def error(self, error: DetectorError) -> None:
        """Say what is wrong, with the details for its repair."""
        logging.warning("BCD Detector: %s", type(error).__name__)
        # Slicer logs the message, and shows details of None as "None".
        slicer.util.errorDisplay(error.message, windowTitle=TITLE, detailedText=error.details or "")

    def save_path(self, title: str, name: str, kinds: str) -> Path | None:
        """Ask where to save; None if the user changes their mind."""
        chosen = qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), title, name, kinds)
        return Path(chosen) if chosen else None

    def open_file(self, path: Path) -> None:
        """Show a file in the browser."""
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(path)))
