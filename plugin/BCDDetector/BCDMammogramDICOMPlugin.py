"""DICOM plugin: each mammogram is a single-slice volume of its own, with the right window."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import slicer
from DICOMLib import DICOMLoadable, DICOMPlugin

from BCDDetectorLib import films, mammogram, views
from BCDDetectorLib.errors import InputError

_MODALITY = "0008,0060"


class BCDMammogramDICOMPluginClass(DICOMPlugin):
    """Offers mammograms above Slicer's own volume reader, which would stack the views of a series."""

    def __init__(self) -> None:
        super().__init__()
        self.loadType = "Mammogram"

    def examineForImport(self, file_lists: list[list[str]]) -> list[Any]:
        """What these lists of files can be loaded as."""
        return [loadable for files in file_lists for loadable in self.examineFiles(files)]

    examine = examineForImport

    def examineFiles(self, files: list[str]) -> list[Any]:
        """One loadable for each mammogram of a series."""
        found = []
        for file in files:
            if slicer.dicomDatabase.fileValue(file, _MODALITY) != "MG":
                continue
            try:
                header = films.header(Path(file))
            except InputError as error:
                logging.warning("Mammogram plugin: %s", error.message)
                continue
            if mammogram.is_mammogram(header):
                loadable = DICOMLoadable()
                loadable.files = [file]
                loadable.name = mammogram.name(header)
                loadable.tooltip = "A single mammogram, shown with the window of its header"
                loadable.selected = True
                loadable.confidence = 0.95
                found.append(loadable)
        return found

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


class BCDMammogramDICOMPlugin:
    """Registers the plugin; Slicer makes one of these at its start."""

    def __init__(self, parent: Any) -> None:
        parent.title = "BCD mammogram DICOM plugin"
        parent.categories = ["Developer Tools.DICOM Plugins"]
        parent.contributors = ["BCD contributors"]
        parent.helpText = "Loads each mammogram as a single-slice volume of its own. No panel."
        parent.hidden = True
        plugins = getattr(slicer.modules, "dicomPlugins", None)
        if plugins is None:
            plugins = slicer.modules.dicomPlugins = {}
        plugins["BCDMammogramDICOMPlugin"] = BCDMammogramDICOMPluginClass
