"""DICOM plugin: each mammogram is a single-slice volume of its own, with the right window."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import slicer
from DICOMLib import DICOMLoadable, DICOMPlugin

from BCDDetectorLib import dicom_plugins, films, mammogram, views
from BCDDetectorLib.errors import InputError

_MODALITY = "0008,0060"


class BCDMammogramDICOMPluginClass(DICOMPlugin):
    """Offers mammograms above Slicer's own volume reader, which would stack the views of a series."""

    def __init__(self) -> None:
        super().__init__()
        self.loadType = "Mammogram"

    def examineForImport(self, file_lists: list[list[str]]) -> list[Any]:
        """One loadable for each mammogram of these lists of files."""
        return dicom_plugins.loadables(file_lists, _examine, "Mammogram plugin")

    def load(self, loadable: Any) -> Any:
        """Load one mammogram; None if it cannot be read."""
        try:
            volume = mammogram.load(slicer.mrmlScene, Path(loadable.files[0]))
        except InputError as error:
            logging.error("Mammogram plugin: %s", error.message)
            return None
        self.addSeriesInSubjectHierarchy(loadable, volume)
        views.show_volume(slicer.app.applicationLogic(), slicer.mrmlScene, volume)
        return volume


def _examine(file: str) -> Any | None:
    if slicer.dicomDatabase.fileValue(file, _MODALITY) != "MG":
        return None
    header = films.header(Path(file))
    if not mammogram.is_mammogram(header):
        return None
    tooltip = "A single mammogram, shown with the window of its header"
    return dicom_plugins.fill(DICOMLoadable(), file, mammogram.name(header), tooltip)


class BCDMammogramDICOMPlugin:
    """Registers the plugin; Slicer makes one of these at its start."""

    def __init__(self, parent: Any) -> None:
        dicom_plugins.register(
            slicer.modules,
            parent,
            BCDMammogramDICOMPluginClass,
            "BCD mammogram DICOM plugin",
            "Loads each mammogram as a single-slice volume of its own. No panel.",
        )
