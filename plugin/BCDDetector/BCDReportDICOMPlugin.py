"""DICOM plugin: shows our Mammography CAD SR, which Slicer does not, as outlines over the films."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import slicer
from DICOMLib import DICOMLoadable, DICOMPlugin

from BCDDetectorLib import dicom_plugins, films, mammogram, nodes, rules, show, sr_reader, views
from BCDDetectorLib.errors import InputError
from BCDDetectorLib.state import State
from BCDDetectorLib.words import Study

_SOP_CLASS = "0008,0016"


class BCDReportDICOMPluginClass(DICOMPlugin):
    """Reads the report from Slicer's DICOM database, for instance after it came from a PACS."""

    def __init__(self) -> None:
        super().__init__()
        self.loadType = "BCD mammography CAD report"

    def examineForImport(self, file_lists: list[list[str]]) -> list[Any]:
        """One loadable for each report in these lists of files, naming the films that it is about."""
        return dicom_plugins.loadables(file_lists, _examine, "CAD report plugin")

    def load(self, loadable: Any) -> Any:
        """Show the report, and load those of its films that are not loaded; None if that fails."""
        scene = slicer.mrmlScene
        try:
            study = sr_reader.read_cad_sr(Path(loadable.files[0]))
            _load_films(scene, study)
            table = show.show_study(scene, study)
        except InputError as error:
            logging.error("CAD report plugin: %s", error.message)
            return None
        threshold = rules.default_threshold(study)
        State(scene).threshold = threshold
        self.addSeriesInSubjectHierarchy(loadable, table)
        views.update(scene, threshold)
        return table


def _examine(file: str) -> Any | None:
    if slicer.dicomDatabase.fileValue(file, _SOP_CLASS) != sr_reader.CAD_SR_CLASS:
        return None
    if not sr_reader.is_ours(films.header(Path(file))):
        return None
    study = sr_reader.read_cad_sr(Path(file))
    name = f"CAD report, {len(study.findings)} findings - research use only"
    tooltip = "Outlines and probabilities over the films of the study"
    loadable = dicom_plugins.fill(DICOMLoadable(), file, name, tooltip)
    loadable.referencedInstanceUIDs = [film.sop_instance_uid for film in study.films]
    return loadable


def _load_films(scene: Any, study: Study) -> None:
    for film in study.films:
        uid = film.sop_instance_uid or ""
        path = slicer.dicomDatabase.fileForInstance(uid)
        if path and nodes.volume_of(scene, uid) is None:
            volume = mammogram.load(scene, Path(path))
            views.show_volume(slicer.app.applicationLogic(), scene, volume)


class BCDReportDICOMPlugin:
    """Registers the plugin; Slicer makes one of these at its start."""

    def __init__(self, parent: Any) -> None:
        dicom_plugins.register(
            slicer.modules,
            parent,
            BCDReportDICOMPluginClass,
            "BCD CAD report DICOM plugin",
            "Shows the Mammography CAD SR of bcd-cad as outlines over the films. No panel.",
        )
