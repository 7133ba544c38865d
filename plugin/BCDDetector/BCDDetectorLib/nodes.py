"""What this module keeps in the MRML scene, and how it finds it again after save and reload.

Everything that must outlive the session stands in attributes of nodes that Slicer saves with the scene:

- a table node for each study (``ROLE`` "study"): its films, model, operating point, prevalence and warnings
  as JSON, and which films the reader has read; its columns are what the panel's table shows;
- a closed curve for each finding (``ROLE`` "finding"): film, class, probabilities, the reader's verdict;
- a scalar volume for each heat map (``ROLE`` "heat map").
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from .words import Film, Probability, Study

ROLE = "BCD.Role"
STUDY = "BCD.Study"
FILM = "BCD.Film"
INFO = "BCD.Result"
FILMS_READ = "BCD.FilmsRead"
TRACKING_UID = "BCD.TrackingUID"
LABEL = "BCD.Class"
PROBABILITY = "BCD.Probability"
NUMBER = "BCD.Number"
PLACE = "BCD.Place"
OUTLINE = "BCD.Outline"
FOUND_AT = "BCD.FoundAt"
"""Where the detector found it, even if the reader has moved it since."""
CAPTION = "BCD.Caption"
VERDICT = "BCD.Verdict"
SOURCE = "BCD.Source"
MOVED = "BCD.Moved"

INSTANCE_UIDS = "DICOM.instanceUIDs"
"""Slicer's own: SOP Instance UIDs of a volume's slices, in their order, with a space between."""
WRAPPED_UID = "BCD.WrappedInstanceUID"
"""The UID under which a volume without DICOM origin was last sent."""
WRAPPED_STUDY = "BCD.WrappedStudyUID"
WRAPPED_AS = "BCD.WrappedAs"
"""What the user said of it."""

ACCEPTED, REJECTED, UNREAD = "accepted", "rejected", "unread"
DETECTOR, READER = "detector", "reader"


def nodes(scene: Any, class_name: str, role: str = "") -> Iterator[Any]:
    """The scene's nodes of a class, in the order in which they were added."""
    for index in range(scene.GetNumberOfNodesByClass(class_name)):
        node = scene.GetNthNodeByClass(index, class_name)
        if not role or node.GetAttribute(ROLE) == role:
            yield node


def study_nodes(scene: Any) -> list[Any]:
    """The table nodes of every study."""
    return list(nodes(scene, "vtkMRMLTableNode", "study"))


def study_node(scene: Any, study_uid: str) -> Any:
    """The table node of a study, None if it has no result in the scene."""
    return next((node for node in study_nodes(scene) if node.GetAttribute(STUDY) == study_uid), None)


def findings(scene: Any, study_uid: str = "") -> list[Any]:
    """The curves of a study's findings, or of every study's."""
    found = nodes(scene, "vtkMRMLMarkupsClosedCurveNode", "finding")
    return [node for node in found if study_uid in ("", node.GetAttribute(STUDY))]


def heat_maps(scene: Any, study_uid: str = "") -> list[Any]:
    """The volumes of a study's heat maps, or of every study's."""
    found = nodes(scene, "vtkMRMLScalarVolumeNode", "heat map")
    return [node for node in found if study_uid in ("", node.GetAttribute(STUDY))]


def volumes(scene: Any) -> list[Any]:
    """The scalar volumes that may be films: no label maps, no heat maps."""
    return [
        node
        for node in nodes(scene, "vtkMRMLScalarVolumeNode")
        if not node.IsA("vtkMRMLLabelMapVolumeNode") and not node.GetAttribute(ROLE)
    ]


def film_uids(volume: Any) -> list[str]:
    """SOP Instance UIDs of the volume's slices, or the one it was sent under; none if it has no origin."""
    stated: str = volume.GetAttribute(INSTANCE_UIDS) or volume.GetAttribute(WRAPPED_UID) or ""
    return stated.split()


def volume_of(scene: Any, film_uid: str) -> Any:
    """The volume that shows the film, None if it is not loaded."""
    return next((volume for volume in volumes(scene) if film_uid in film_uids(volume)), None)


def slice_of(volume: Any, film_uid: str) -> int:
    """Which slice of the volume is the film: four views in one series load as one 4-slice volume."""
    return film_uids(volume).index(film_uid)


def probability(curve: Any) -> Probability | None:
    """The detector's probabilities of a finding; None of one that the reader added."""
    text = curve.GetAttribute(PROBABILITY)
    return Probability(*json.loads(text)) if text else None


def number(curve: Any) -> int:
    """The finding's number on its film, from 1."""
    return int(curve.GetAttribute(NUMBER) or 0)


_OF_STUDY = ("job_id", "model", "threshold", "prevalence", "warnings")
_OF_FILM = ("laterality", "view", "failed", "reason", "warnings")


def set_info(node: Any, study: Study) -> None:
    """Keep what is known of the study, apart from its findings, on its table node."""
    content = {key: getattr(study, key) for key in _OF_STUDY}
    content["films"] = [
        {"uid": film.sop_instance_uid, **{key: getattr(film, key) for key in _OF_FILM}}
        for film in study.films
    ]
    node.SetAttribute(STUDY, study.study_instance_uid)
    node.SetAttribute(INFO, json.dumps(content, separators=(",", ":")))


def info(node: Any) -> Study:
    """The study of a table node, without findings (they are in the curves)."""
    content: dict[str, Any] = json.loads(node.GetAttribute(INFO))
    films = tuple(Film(film["uid"], **_known(film, _OF_FILM)) for film in content["films"])
    return Study(node.GetAttribute(STUDY), films=films, **_known(content, _OF_STUDY))


def _known(content: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """These keys; JSON makes lists of tuples."""
    values = ((key, content[key]) for key in keys)
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values}


def films_read(node: Any) -> set[str]:
    """The films that the reader has declared to be read completely."""
    return set((node.GetAttribute(FILMS_READ) or "").split())


def set_film_read(node: Any, film_uid: str, read: bool) -> None:
    """Declare a film to be read completely, or take that back."""
    known = films_read(node)
    known = known | {film_uid} if read else known - {film_uid}
    node.SetAttribute(FILMS_READ, " ".join(sorted(known)))
