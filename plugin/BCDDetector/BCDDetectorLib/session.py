"""What the panel works on: the chosen film, its study, its result and its reading."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Callable

from pydicom.dataset import Dataset
from vtk.util.numpy_support import vtk_to_numpy

from . import (
    dicom_write,
    films,
    heat_map,
    jobs,
    nodes,
    reading,
    reading_sr,
    rules,
    secondary_capture,
    show,
    verdicts,
    views,
)
from .client import Gateway
from .errors import InputError
from .films import FileOf, Source
from .jobs import ScanOutcome
from .reading import Reading
from .result_reader import REPORT
from .secondary_capture import Description
from .state import State
from .tasks import Task


class Session:
    """One Slicer scene with this module.

    Args:
        application: vtkMRMLApplicationLogic, for the slice views.
        file_of: where Slicer's DICOM database keeps a SOP instance.
    """

    def __init__(self, scene: Any, application: Any, file_of: FileOf) -> None:
        self.scene = scene
        self.application = application
        self.file_of = file_of
        self.state = State(scene)
        self._folder: Path | None = None
        self._reports: dict[str, Path] = {}

    # Input

    @property
    def volume(self) -> Any:
        """The chosen volume, or None."""
        return self.state.input

    def choose_default(self) -> None:
        """Choose the last volume that was loaded, if none is chosen."""
        candidates = nodes.volumes(self.scene)
        if self.volume is None and candidates:
            self.state.input = candidates[-1]

    def sources(self) -> list[Source]:
        """The films that Apply would send."""
        return films.study_sources(self.scene, self.volume, self.file_of) if self.volume is not None else []

    @property
    def has_origin(self) -> bool:
        """Whether the chosen volume claims a DICOM origin."""
        return bool(self.volume is not None and self.volume.GetAttribute(nodes.INSTANCE_UIDS))

    def study_uid(self) -> str:
        """Study Instance UID of the chosen volume, "" if there is none yet."""
        if self.volume is None:
            return ""
        for node in nodes.study_nodes(self.scene):
            known = {film.sop_instance_uid for film in nodes.info(node).films}
            if known & set(nodes.film_uids(self.volume)):
                return str(node.GetAttribute(nodes.STUDY))
        if not self.has_origin:
            return str(self.volume.GetAttribute(nodes.WRAPPED_STUDY) or "")
        own = films.sources(self.volume, self.file_of)
        return own[0].study if own else ""

    @property
    def table(self) -> Any:
        """The table node of the chosen volume's study, None if it has no result."""
        uid = self.study_uid()
        return nodes.study_node(self.scene, uid) if uid else None

    def findings(self) -> list[Any]:
        """The chosen study's curves that reach the threshold; the most suspicious first, added ones last."""
        table = self.table
        if table is None:
            return []
        curves = nodes.findings(self.scene, table.GetAttribute(nodes.STUDY))
        shown = [curve for curve in curves if views.reaches(curve, self.state.threshold)]
        return sorted(shown, key=_suspicion, reverse=True)

    def has_result_under_other(self, description: Description) -> bool:
        """Whether sending the volume so described would part it from a result that it has already."""
        if self.volume is None or self.has_origin or self.table is None:
            return False
        return bool(self.volume.GetAttribute(nodes.WRAPPED_AS) != description.text())

    def prepare(self, description: Description) -> tuple[str, list[Source]]:
        """The study and the films to send; a volume without DICOM origin is wrapped first.

        Raises:
            InputError: nothing can be sent.
        """
        if self.has_origin:
            found = self.sources()
            if not found:
                raise InputError("the film's DICOM file is not in Slicer's DICOM database; import it there")
            return found[0].study, found
        uid, study, path = secondary_capture.wrap(_pixels(self.volume), description, self.folder)
        self.volume.SetAttribute(nodes.WRAPPED_UID, uid)
        self.volume.SetAttribute(nodes.WRAPPED_STUDY, study)
        self.volume.SetAttribute(nodes.WRAPPED_AS, description.text())
        return study, [Source(uid, study, path)]

    # Result

    def scan(self, gateway: Gateway, study: str, found: list[Source], again: bool) -> Callable[[Task], Any]:
        """The work of a scan, for a thread: it touches no node."""
        named = [(source.uid, source.path) for source in found]
        poll, root = jobs.POLL_SECONDS, self.folder
        return lambda task: jobs.scan(task, gateway, study, named, again=again, poll=poll, root=root)

    def finish(self, outcome: ScanOutcome) -> str:
        """Put a result into the scene; returns one line about it.

        Raises:
            InputError: none of its films is loaded any more.
        """
        study = outcome.study
        self._reports[study.study_instance_uid] = outcome.folder / REPORT
        show.show_study(self.scene, study)
        self.state.threshold = rules.default_threshold(study)
        faults = heat_map.load_all(self.scene, study.study_instance_uid, outcome.folder)
        self.refresh_views()
        curves = nodes.findings(self.scene, study.study_instance_uid)  # another may be chosen meanwhile
        shown = sum(views.reaches(curve, self.state.threshold) for curve in curves)
        return rules.outcome_text(outcome, shown, len(curves) - shown, faults)

    def report(self) -> Path | None:
        """The report of the chosen study, if its result was fetched in this session."""
        path = self._reports.get(self.study_uid())
        return path if path is not None and path.exists() else None

    # View

    def refresh_views(self) -> None:
        """Make the slice views show what the state says."""
        views.update(self.scene, self.state.threshold)
        self.refresh_heat_maps()

    def refresh_heat_maps(self) -> None:
        """Lay over each view the heat map of the film that it shows, if they are switched on."""
        views.show_heat_maps(self.scene, self.state.heat_map, self.state.opacity)

    def jump(self, curve: Any) -> None:
        """Show a finding in the middle of its view."""
        views.jump(self.application, self.scene, curve)
        self.refresh_views()

    # Reading

    def changed(self, curve: Any) -> None:
        """A finding has changed: bring the table and the views up to date."""
        table = nodes.study_node(self.scene, curve.GetAttribute(nodes.STUDY))
        if table is not None:
            show.fill_table(self.scene, table)
        self.refresh_views()

    def reading(self, reader: str) -> Reading:
        """What the reader says of the chosen study.

        Raises:
            InputError: the study has no result.
        """
        table = self.table
        if table is None:
            raise InputError("the study has no result yet; press Apply first")
        return verdicts.collect(self.scene, table, reader)

    def export_json(self, found: Reading, path: Path, when: datetime) -> None:
        """Write the reading as JSON; a hash of the identity stands for the patient."""
        header = next((header for _, header in self._headers(found)), None)
        if header is None:
            raise InputError("none of the study's films is loaded; load the study first")
        patient = str(header.get("PatientID") or header.get("PatientName") or found.study.study_instance_uid)
        reading.write_json(reading.to_json(found, when, patient), path)

    def export_sr(self, found: Reading, path: Path, when: datetime) -> None:
        """Write the reading as a TID 1500 SR."""
        dicom_write.write(reading_sr.build(found, dict(self._headers(found)), when), path)

    def _headers(self, found: Reading) -> Iterator[tuple[str, Dataset]]:
        """SOP Instance UID and header of each of the study's films that is loaded."""
        for film in found.study.films:
            uid = film.sop_instance_uid or ""
            volume = nodes.volume_of(self.scene, uid)
            if volume is not None:
                yield uid, films.header(self.file_of_film(volume, uid))

    # Files

    def file_of_film(self, volume: Any, film_uid: str) -> Path:
        """The DICOM file of a film.

        Raises:
            InputError: it is not there any more.
        """
        for source in films.sources(volume, self.file_of):
            if source.uid == film_uid:
                return source.path
        said = secondary_capture.recall(volume.GetAttribute(nodes.WRAPPED_AS))
        if said is not None:  # the same pixels, wrapped once more, are the same instance
            uid, _, path = secondary_capture.wrap(_pixels(volume), said, self.folder)
            if uid == film_uid:
                return path
        raise InputError("the film's DICOM file is not there any more; import it again")

    @property
    def folder(self) -> Path:
        """A folder of this session for films on their way and for results; removed by :meth:`close`."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="bcd-"))
        return self._folder

    def close(self) -> None:
        """End of the session: remove temporary files."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def _suspicion(curve: Any) -> float:
    shares = nodes.probability(curve)
    return shares.abnormal if shares is not None else -1.0


def _pixels(volume: Any) -> Any:
    """(slices, rows, columns) of a volume."""
    image = volume.GetImageData()
    scalars = image.GetPointData().GetScalars() if image is not None else None
    if scalars is None or scalars.GetNumberOfComponents() != 1:
        raise InputError("the volume is not a single gray picture; load one film a volume")
    columns, rows, slices = image.GetDimensions()
    return vtk_to_numpy(scalars).reshape(slices, rows, columns)
