"""Stand-ins for Slicer's DICOMLib and DICOM database, for the DICOM plugins' tests."""

from __future__ import annotations

import sys
import types
from typing import Any

import pydicom
import slicer
from pydicom.tag import Tag


class Loadable:
    """DICOMLib.DICOMLoadable."""


class Plugin:
    """DICOMLib.DICOMPlugin."""

    def __init__(self) -> None:
        self.loadType = ""
        self.tags: dict[str, str] = {}
        self.series: list[tuple[Any, Any]] = []

    def addSeriesInSubjectHierarchy(self, loadable: Any, node: Any) -> None:
        self.series.append((loadable, node))


class Database:
    """slicer.dicomDatabase with the files of a test."""

    isOpen = True

    def __init__(self) -> None:
        self.files: dict[str, str] = {}

    def fileForInstance(self, uid: str) -> str:
        return self.files.get(uid, "")

    def fileValue(self, path: str, tag: str) -> str:
        group, element = tag.split(",")
        header = pydicom.dcmread(path, stop_before_pixels=True)
        return str(header.get(Tag(int(group, 16), int(element, 16))).value)


def install(world: Any) -> Database:
    """Make the DICOM plugins importable; returns the database."""
    module = types.ModuleType("DICOMLib")
    module.DICOMLoadable, module.DICOMPlugin = Loadable, Plugin
    sys.modules["DICOMLib"] = module
    database = Database()
    slicer.dicomDatabase = database
    slicer.mrmlScene = world.scene
    slicer.app = types.SimpleNamespace(applicationLogic=lambda: world.application)
    slicer.modules = types.SimpleNamespace()
    return database
