"""A file is opened once to be submitted and once to be scanned; in each it is parsed and judged once."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from converters.dicom import file as dicom_file
from converters.films import read, studies
from converters.films.studies import StudyInput, find_studies
from tests.support.film_forms import with_other_pixels
from tests.support.made_records import out_of_the_queue, record_of
from tests.support.stand_in import StandIn
from worker.queue.job import reason_field
from worker.study.publish import publish
from worker.study.scan import new_job, scan_study

_opened: list[str] | None = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _opened is not None and event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
        _opened.append(os.fsdecode(arguments[0]))


sys.addaudithook(_hook)  # for ever: there is no way to remove one


@contextmanager
def openings() -> Iterator[Callable[[Path], Counter[str]]]:
    """Counts how often each file of a folder is opened meanwhile."""
    global _opened
    _opened = names = []
    try:
        yield lambda folder: Counter(name for name in names if Path(name).parent == folder)
    finally:
        _opened = None


@pytest.fixture
def folder(patients: list[Path], tmp_path: Path) -> Path:
    """A study of four files: L and R of one view, a film that is cut short, one that a rule excludes."""
    made = tmp_path / "films"
    made.mkdir()
    sources = sorted(film for patient in patients for film in patient.glob("*.dcm"))[:4]
    for number, source in enumerate(sources):
        film = dcmread(source)
        film.StudyInstanceUID, film.PatientID, film.StudyDate = "2.25.1000", "one", "20240102"
        film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = f"2.25.2000.{number}"
        if number == 3:
            film.ImageType = ["ORIGINAL", "PRIMARY", "TOMO"]
        film.save_as(made / f"{number}.dcm")
    damaged = made / "2.dcm"
    damaged.write_bytes(damaged.read_bytes()[:-500])
    return made


def from_the_queue(study: StudyInput) -> StudyInput:
    """The study as it comes out of a job's record."""
    found = out_of_the_queue(record_of(study)).study
    assert found is not None
    return found


@pytest.mark.parametrize("compares", [True, False])
def test_each_file_is_opened_once_on_either_side(folder: Path, tmp_path: Path, compares: bool) -> None:
    scanner = StandIn()
    scanner.compares = compares
    with openings() as count:
        (study,) = find_studies([folder]).studies
        submitted = count(folder)
    assert len(study.films) == 4
    assert set(submitted.values()) == {1}, submitted
    given = from_the_queue(study)
    assert given.films == study.films
    with openings() as count:
        result = scan_study(given, scanner, new_job(given, scanner))
        publish(result, tmp_path / "results")
        scanned = count(folder)
    assert len(scanned) == 4
    assert set(scanned.values()) == {1}, scanned
    assert [film.outcome for film in result.films] == ["scanned", "scanned", "failed", "excluded"]


def test_each_header_is_parsed_and_judged_once_on_either_side(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: Counter[str] = Counter()

    def counted(module: Any, name: str) -> None:
        function = getattr(module, name)

        def spy(*given: Any) -> Any:
            calls[name] += 1
            return function(*given)

        monkeypatch.setattr(module, name, spy)

    for module, name in ((dicom_file, "parse"), (studies, "judge"), (read, "judge")):
        counted(module, name)
    (study,) = find_studies([folder]).studies
    assert calls["parse"] == len(study.films) == 4
    assert calls["judge"] <= 4
    calls.clear()
    scan_study(study, StandIn(), new_job(study, StandIn()))
    assert calls["parse"] == 4
    assert calls["judge"] <= 4


def test_a_film_that_is_exchanged_between_hash_and_reading_is_not_scanned(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whoever replaces the file once it is open changes nothing; before that, the film has changed."""
    (study,) = find_studies([folder / "0.dcm"]).studies
    other = with_other_pixels(folder / "0.dcm", tmp_path / "other" / "0.dcm").read_bytes()
    as_it_was = read.read_film(folder / "0.dcm")
    seen: list[bytes] = []
    parse = dicom_file.parse

    def exchanged(stream: Any) -> Any:
        seen.append((folder / "0.dcm").read_bytes())
        (folder / "0.dcm").write_bytes(other)
        return parse(stream)

    monkeypatch.setattr(dicom_file, "parse", exchanged)
    first = scan_study(study, StandIn(), new_job(study, StandIn()))
    assert seen[0] != other
    assert first.films[0].pixel_digest == as_it_was.pixel_digest
    again = scan_study(study, StandIn(), new_job(study, StandIn()))
    assert [film.outcome for film in (*first.films, *again.films)] == ["scanned", "failed"]
    assert again.films[0].reason is not None
    assert again.films[0].reason.code == "changed"
    assert reason_field(again.films[0].reason)
