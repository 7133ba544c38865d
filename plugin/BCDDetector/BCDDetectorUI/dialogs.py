"""What the panel asks and says in windows of its own."""

from __future__ import annotations

import logging
from pathlib import Path

import qt
import slicer

from BCDDetectorLib.errors import DetectorError

TITLE = "BCD Detector"


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
