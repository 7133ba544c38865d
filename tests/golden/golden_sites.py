"""The films whose results are held, and the commands whose answers are: all through the real command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset

from converters.mias.collection import read_collection
from converters.mias.phantom import write_phantom
from converters.mias.to_dicom import convert_mias
from tests.golden.golden_content import Names, of_answer, of_results, rounded
from tests.support.length import long

HERE = Path(__file__).parent
MIAS_STUDIES = 20
MIAS_STUDIES_IN_SHORT = 3


def demo(work: Path) -> dict[str, Any]:
    """The results of ``bcd-admin demo``, and what the other commands say of them."""
    site = _Site(work)
    site.run("demo", "--out", "demo")
    results = work / "demo" / "results"
    names = Names()
    found = of_results(results, names)
    study = min(results.iterdir()).name
    patients = [path for path in (work / "demo" / "dicom").iterdir() if path.is_dir()]
    films = next(f"demo/dicom/{path.name}" for path in patients if _study_uid(path) == study)
    night = ("submit", films, "--out", "results", "--batch", "night")
    found["submit"] = site.answer(names, *night)
    found["submit again"] = site.answer(names, *night)
    found["jobs"] = site.answer(names, "jobs")
    found["status"] = site.answer(names, "status", study)
    found["status of a batch"] = site.answer(names, "status", "--batch", "night")
    found["results"] = site.answer(names, "results", study)
    found["results of a batch"] = site.answer(names, "results", "--batch", "night")
    found["model"] = site.answer(names, "model")
    return found


def four_views(work: Path) -> dict[str, Any]:
    """One phantom study of both breasts in both views, and a file that is no film."""
    films, dicom, study = work / "films", work / "dicom", work / "study"
    write_phantom(films, patients=2, seed=3)
    convert_mias(films, dicom)
    study.mkdir()
    paths = sorted(dicom.rglob("*.dcm"))
    first = pydicom.dcmread(paths[0])
    for number, path in enumerate(paths):
        film = pydicom.dcmread(path)
        for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "StudyDate", "StudyTime", "StudyID"):
            setattr(film, keyword, first.get(keyword))
        if number >= 2:
            film.ViewCodeSequence = [_code("399162004", "cranio-caudal")]
        film.save_as(study / f"film{number}.dcm")
    (study / "notes.txt").write_text("no film")
    site = _Site(work)
    names = Names()
    answer = site.answer(names, "scan", "study", "--out", "results")
    return {"scan": answer} | of_results(work / "results", names)


def mias(work: Path) -> dict[str, Any]:
    """Twenty studies of MIAS, evenly over the collection; in short the first of them by their UIDs."""
    collection = Path(os.environ["BCD_MIAS_DIR"]).resolve()
    films = read_collection(collection).films
    patients = sorted({film.patient for film in films})
    chosen = patients[:: len(patients) // MIAS_STUDIES][:MIAS_STUDIES]
    (work / "films").mkdir()
    for path in (collection / "Info.txt", *(film.path for film in films if film.patient in chosen)):
        (work / "films" / path.name).symlink_to(path)
    convert_mias(work / "films", work / "dicom")
    by_uid = sorted((_study_uid(work / "dicom" / patient), patient) for patient in chosen)
    scanned = by_uid if long() else by_uid[:MIAS_STUDIES_IN_SHORT]
    site = _Site(work)
    site.run("scan", *(f"dicom/{patient}" for _, patient in scanned), "--out", "results")
    return of_results(work / "results", Names())


def _study_uid(folder: Path) -> str:
    header = pydicom.dcmread(next(folder.rglob("*.dcm")), stop_before_pixels=True)
    return str(header.StudyInstanceUID)


SITES: dict[str, Callable[[Path], dict[str, Any]]] = {"demo": demo, "four_views": four_views, "mias": mias}


def content(name: str, work: Path) -> dict[str, Any]:
    """What is held of the site ``name``, made below ``work``."""
    found: dict[str, Any] = rounded(SITES[name](work))
    return found


class _Site:
    """Commands that run in one folder, with records and settings of their own."""

    def __init__(self, work: Path) -> None:
        self._work = work
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BCD_")}
        self._environment = kept | {
            "BCD_STATE_DIR": str(work / "state"),
            "BCD_TORCH_THREADS": "1",  # sums in the same order on every machine
        }

    def run(self, *arguments: str) -> str:
        ran = subprocess.run(
            [sys.executable, "-m", "worker", *arguments],
            cwd=self._work,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode not in (0, 1):
            raise RuntimeError(f"{arguments}: exit code {ran.returncode}: {ran.stderr}")
        return ran.stdout

    def answer(self, names: Names, *arguments: str) -> Any:
        told = json.loads(self.run(*arguments, "--json"))
        if arguments == ("jobs",):  # those of one second are in another order than those of two
            told["jobs"].sort(key=lambda job: job["job_id"], reverse=True)
        return of_answer(told, names)


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    return item


def paths_of(name: str) -> list[Path]:
    """The files that hold the golden content of ``name``."""
    found = [path for path in HERE.glob(f"{name}*.json") if path.stem.partition("-")[0] == name]
    return sorted(found, key=lambda path: (len(path.stem), path.stem))


def golden(name: str) -> dict[str, Any]:
    """The golden content of ``name``: as much of it as `content` makes."""
    found: dict[str, Any] = {}
    for path in paths_of(name):
        found |= json.loads(path.read_text())
    if name != "mias" or long():
        return found
    studies = accumulate(key.endswith("/result.json") for key in found)
    return {
        key: value
        for (key, value), study in zip(found.items(), studies, strict=True)
        if study <= MIAS_STUDIES_IN_SHORT
    }
