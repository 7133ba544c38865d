"""The study pipeline with a scanner whose answer is known."""

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from bcd_model.errors import FilmError
from bcd_model.reasons import Reason
from bcd_model.words import (
    Film,
    FilmScan,
    HeatMap,
    ModelIdentity,
    OperatingPoint,
    Probability,
)
from converters.films.studies import find_studies
from converters.results.outcome import coverage
from converters.results.page import build_report
from converters.results.patients import by_patient
from converters.results.result_json import to_json
from tests.support.reasons import reason_of
from worker.study.outcome import outcome_of
from worker.study.scan import CONTESTED, new_job, scan_study

CREATED = datetime(2024, 5, 6, tzinfo=timezone.utc)


class MeanScanner:
    """A scanner that says how bright a film is, and which films it was given."""

    identity = ModelIdentity("mean", "1", "none")
    operating_point = OperatingPoint(0.5, 0.4)

    def __init__(self, *, compares: bool = False) -> None:
        self.compares = compares
        self.seen: list[str | None] = []
        self.beside: list[str | None] = []

    def scan(self, film: Film, other: Film | None = None) -> FilmScan:
        self.seen.append(film.sop_instance_uid)
        self.beside.append(None if other is None else other.sop_instance_uid)
        mean = float(film.pixels.mean())
        heat = HeatMap(np.zeros((1, 1), np.float32), (0.0, 0.0), (1.0, 1.0))
        return FilmScan("normal", Probability(1 - mean, mean, 0.0), (), heat)


def copy_studies(studies: Path, folder: Path) -> list[Path]:
    """The films of the first study, as copies that may be damaged."""
    patient = sorted(path for path in studies.iterdir() if path.is_dir())[0]
    copies = []
    for path in sorted(patient.glob("*.dcm")):
        copies.append(folder / path.name)
        copies[-1].write_bytes(path.read_bytes())
    return copies


def test_every_film_is_scanned_once_and_in_order(studies: Path) -> None:
    scanner = MeanScanner()
    study = find_studies([studies]).studies[0]
    steps: list[tuple[int, int]] = []
    result = scan_study(study, scanner, new_job(study, scanner), progress=lambda *s: steps.append(s))
    assert steps == [(1, 2), (2, 2)]
    assert scanner.seen == [film.sop_instance_uid for film in study.films]
    assert [film.outcome for film in result.films] == ["scanned", "scanned"]
    assert result.input_digest == study.digest
    assert outcome_of(result).state == "done"


def test_a_film_is_compared_with_the_other_breast(studies: Path) -> None:
    study = find_studies([studies]).studies[0]
    scanner = MeanScanner(compares=True)
    scan_study(study, scanner, new_job(study, scanner))
    assert scanner.beside == scanner.seen[::-1]
    alone = MeanScanner()
    scan_study(study, alone, new_job(study, alone))
    assert alone.beside == [None, None]


def test_the_films_of_a_pair_are_scanned_one_after_the_other(studies: Path, tmp_path: Path) -> None:
    for path in copy_studies(studies, tmp_path):
        for view in ("CC", "MLO"):
            header = dcmread(path)
            del header.ViewCodeSequence
            header.ViewPosition = view
            header.SOPInstanceUID = f"2.25.{1 + (header.ImageLaterality == 'R') + 2 * (view == 'MLO')}"
            header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
            # In the order of their names the two sides of a view lie apart.
            header.save_as(tmp_path / f"{header.ImageLaterality}-{view}.dcm")
        path.unlink()
    study = find_studies([tmp_path]).studies[0]
    shown = [source.path.stem for source in study.films]
    scanner = MeanScanner(compares=True)
    result = scan_study(study, scanner, new_job(study, scanner))
    assert [film.file.removesuffix(".dcm") for film in result.films] == shown
    name = {source.sop_instance_uid: source.path.stem for source in study.films}
    views = [name[uid].split("-")[1] for uid in scanner.seen]
    assert views in (["CC", "CC", "MLO", "MLO"], ["MLO", "MLO", "CC", "CC"])
    for own, other in zip(scanner.seen, scanner.beside, strict=True):
        assert {name[own], name[other]} == {f"{side}-{name[own].split('-')[1]}" for side in "LR"}


@pytest.mark.parametrize(
    "change", ["cut", "same side", "no view", "other patient", "spot view", "for processing"]
)
def test_a_film_whose_other_breast_cannot_be_used_is_scanned_alone(
    studies: Path, tmp_path: Path, change: str
) -> None:
    good, bad = copy_studies(studies, tmp_path)
    if change == "cut":
        bad.write_bytes(bad.read_bytes()[:20000])
    else:
        header = dcmread(bad)
        if change == "same side":
            header.ImageLaterality = dcmread(good).ImageLaterality
        elif change == "other patient":
            header.PatientID += "-2"
        elif change == "for processing":
            header.PresentationIntentType = "FOR PROCESSING"
            header.WindowCenter, header.WindowWidth = 128, 256
        elif change == "spot view":
            spot = Dataset()
            spot.CodeValue = "399055006"
            header.ViewCodeSequence[0].ViewModifierCodeSequence = [spot]
        else:
            del header.ViewCodeSequence
            header.ViewPosition = ""
        header.save_as(bad)
    study = find_studies([tmp_path]).studies[0]
    scanner = MeanScanner(compares=True)
    result = scan_study(study, scanner, new_job(study, scanner))
    assert set(scanner.beside) == {None}
    became = {"cut": "failed", "spot view": "excluded"}.get(change, "scanned")
    assert {film.file: film.outcome for film in result.films} == {good.name: "scanned", bad.name: became}


def test_films_and_scanner_are_gone_with_the_last_that_holds_them(studies: Path) -> None:
    """Without waiting for Python's search for cycles: a worker would hold many studies' films meanwhile."""
    study = find_studies([studies]).studies[0]
    scanner = MeanScanner(compares=True)
    gc.collect()
    gc.disable()
    try:
        result = scan_study(study, scanner, new_job(study, scanner))
        films = [weakref.ref(film.film.pixels) for film in result.films]
        assert len(films) == 2
        del result
        assert [film() for film in films] == [None, None]
    finally:
        gc.enable()


def test_a_damaged_film_costs_only_itself(studies: Path, tmp_path: Path) -> None:
    good, bad = copy_studies(studies, tmp_path)
    bad.write_bytes(bad.read_bytes()[:20000])
    study = find_studies([tmp_path]).studies[0]
    result = scan_study(study, MeanScanner(), new_job(study, MeanScanner()))
    by_file = {film.file: film for film in result.films}
    assert by_file[good.name].outcome == "scanned"
    assert by_file[bad.name].outcome == "failed"
    assert reason_of(by_file[bad.name])
    header = by_file[bad.name].header
    assert header is not None, "the CAD SR could not list the film as a failed detection"
    assert header.SOPInstanceUID == by_file[bad.name].sop_instance_uid
    outcome = outcome_of(result)
    assert (outcome.state, outcome.exit_code) == ("done with failures", 1)


def test_no_film_left_is_a_failed_study(studies: Path, tmp_path: Path) -> None:
    for path in copy_studies(studies, tmp_path):
        path.write_bytes(path.read_bytes()[:20000])
    study = find_studies([tmp_path]).studies[0]
    outcome = outcome_of(scan_study(study, MeanScanner(), new_job(study, MeanScanner())))
    assert (outcome.state, outcome.exit_code) == ("failed", 3)


@pytest.mark.parametrize("change", ["other content", "deleted"])
def test_a_film_that_changed_since_its_submission_is_not_scanned(
    studies: Path, tmp_path: Path, change: str
) -> None:
    first, second = copy_studies(studies, tmp_path)
    study = find_studies([tmp_path]).studies[0]
    if change == "deleted":
        first.unlink()
    else:
        first.write_bytes(second.read_bytes())
    for compares in (False, True):
        scanner = MeanScanner(compares=compares)
        result = scan_study(study, scanner, new_job(study, scanner))
        reasons = {film.file: reason_of(film) for film in result.films}
        assert "submit the study again" in str(reasons[first.name])
        assert first.name not in str(reasons[first.name])
        assert reasons[second.name] is None
        assert scanner.beside == [None]


def test_no_film_is_scanned_alone_because_the_share_of_the_other_is_away(
    studies: Path, tmp_path: Path
) -> None:
    """The job is tried again: it must not depend on when the share comes back."""
    copy_studies(studies, tmp_path)
    study = find_studies([tmp_path]).studies[0]
    away = replace(study.films[1], path=tmp_path / "share" / study.films[1].path.name)
    study = replace(study, films=(study.films[0], away))
    scanner = MeanScanner(compares=True)

    def back(film: int, _: int) -> None:
        if film == 2:  # the first film is through
            away.path.parent.mkdir()
            away.path.write_bytes((tmp_path / away.path.name).read_bytes())

    with pytest.raises(FilmError, match="cannot be read"):
        scan_study(study, scanner, new_job(study, scanner), progress=back, patient=True)
    assert scanner.seen == []


def test_no_film_is_scanned_alone_because_the_share_of_the_other_went_away(
    studies: Path, tmp_path: Path
) -> None:
    copy_studies(studies, tmp_path)
    study = find_studies([tmp_path]).studies[0]
    share = tmp_path / "share"
    share.mkdir()
    away = replace(study.films[1], path=share / study.films[1].path.name)
    content = (tmp_path / away.path.name).read_bytes()
    away.path.write_bytes(content)
    scanner = MeanScanner(compares=True)

    def comes_and_goes(film: int, _: int) -> None:
        if film == 1:
            away.path.unlink()
            share.rmdir()
        else:
            share.mkdir()
            away.path.write_bytes(content)

    study = replace(study, films=(study.films[0], away))
    with pytest.raises(FilmError, match="cannot be read"):
        scan_study(study, scanner, new_job(study, scanner), progress=comes_and_goes, patient=True)
    assert scanner.seen == []


def test_progress_may_end_the_job(studies: Path) -> None:
    class StopError(Exception):
        pass

    def progress(film: int, _: int) -> None:
        if film == 2:
            raise StopError

    scanner = MeanScanner()
    study = find_studies([studies]).studies[0]
    with pytest.raises(StopError):
        scan_study(study, scanner, new_job(study, scanner), progress=progress)
    assert len(scanner.seen) == 1


@pytest.mark.parametrize("changed", [{"threshold": 0.4}, {"prevalence": 0.01}])
def test_the_job_follows_from_study_model_threshold_and_prevalence(
    studies: Path, changed: dict[str, float]
) -> None:
    study = find_studies([studies]).studies[0]
    one, other = MeanScanner(), MeanScanner()
    other.operating_point = replace(other.operating_point, **changed)
    result = scan_study(study, other, new_job(study, other))
    assert changed.items() <= to_json(result)["settings"].items()
    assert new_job(study, one, created=CREATED) == new_job(study, MeanScanner(), created=CREATED)
    assert new_job(study, one).job_id != new_job(study, other).job_id


class BreakingScanner(MeanScanner):
    """A scanner that one film is too much for."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def scan(self, film: Film, other: Film | None = None) -> FilmScan:
        if not self.seen:
            self.seen.append(film.sop_instance_uid)
            raise self.error
        return super().scan(film, other)


@pytest.mark.parametrize("error", [MemoryError("x"), RuntimeError("x"), RecursionError("x"), KeyError("x")])
def test_whatever_the_scan_of_a_film_raises_costs_that_film_alone(studies: Path, error: Exception) -> None:
    study = find_studies([studies]).studies[0]
    scanner = BreakingScanner(error)
    broke: list[tuple[int, Exception]] = []
    result = scan_study(study, scanner, new_job(study, scanner), broke=lambda *told: broke.append(told))
    assert [film.outcome for film in result.films] == ["failed", "scanned"]
    assert reason_of(result.films[0]) == Reason(
        "unexpected", f"could not be scanned ({type(error).__name__})"
    )
    assert broke == [(1, error)]
    assert outcome_of(result).exit_code == 1


def test_what_ends_the_job_is_no_fault_of_the_film(studies: Path) -> None:
    study = find_studies([studies]).studies[0]
    scanner = BreakingScanner(TimeoutError("the job's time is up"))
    with pytest.raises(TimeoutError):
        scan_study(study, scanner, new_job(study, scanner), ending=(TimeoutError,))


def test_the_same_pixels_under_two_sides_are_warned_of(studies: Path, tmp_path: Path) -> None:
    """Compared with itself, each place of the film would pass for normal."""
    first, second = copy_studies(studies, tmp_path)
    one, two = dcmread(first), dcmread(second)
    two.PixelData = one.PixelData
    two.save_as(second)
    study = find_studies([tmp_path]).studies[0]
    scanner = MeanScanner(compares=True)
    result = scan_study(study, scanner, new_job(study, scanner))
    assert scanner.beside == [None, None]
    for number, film in enumerate(result.films, start=1):
        assert film.scan is not None
        assert (
            f"film {3 - number} of this study has the same pixels under another side"
            in film.scan.warnings[-1]
        )


def under_two_patients(studies: Path, folder: Path) -> tuple[Path, Path]:
    """A film and its other breast, and a third film with the first one's picture under another patient."""
    first, second = copy_studies(studies, folder)
    film = dcmread(first)
    film.PatientName, film.PatientID = "Other^Olga", "P2"
    film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = "1.2.3.7"
    film.save_as(folder / "other.dcm")
    return first, second


@pytest.mark.parametrize("compares", [False, True])
@pytest.mark.parametrize("patient", [False, True])
def test_one_picture_under_two_patients_is_nobodys(
    studies: Path, tmp_path: Path, compares: bool, patient: bool
) -> None:
    """Nobody can tell whose it is: both films fail, and no film is compared with it."""
    first, second = under_two_patients(studies, tmp_path)
    study = find_studies([tmp_path]).studies[0]
    scanner = MeanScanner(compares=compares)
    result = scan_study(study, scanner, new_job(study, scanner), patient=patient)
    outcomes = {film.file: (film.outcome, reason_of(film)) for film in result.films}
    assert outcomes == {
        first.name: ("failed", CONTESTED),
        "other.dcm": ("failed", CONTESTED),
        second.name: ("scanned", None),
    }
    assert scanner.beside == [None]
    assert outcome_of(result).exit_code == 1
    assert result.input_digest == study.digest
    assert result.warnings == ("its films name 2 patients; each has documents of its own",)
    pages = [build_report(part).decode() for part in by_patient(result)]
    assert all(str(CONTESTED) in page for page in pages)
    assert sorted("Olga" in page for page in pages) == [False, True]


@pytest.mark.parametrize(
    ("elements", "contested"),
    [
        ({"WindowCenter": 127, "WindowWidth": 254}, True),
        ({"PatientID": "", "PatientName": ""}, False),
        ({"PatientName": ""}, True),
        ({"PatientID": str.upper, "PatientName": str.upper}, False),
    ],
    ids=[
        "another window",
        "a patient who is not stated",
        "a patient known by another number",
        "a patient whose name is written otherwise",
    ],
)
def test_a_picture_is_told_by_its_stored_pixels_and_a_patient_by_what_is_stated(
    studies: Path, tmp_path: Path, elements: dict[str, object], contested: bool
) -> None:
    first, _ = under_two_patients(studies, tmp_path)
    film = dcmread(tmp_path / "other.dcm")
    for keyword, value in elements.items():
        setattr(film, keyword, value(str(dcmread(first)[keyword].value)) if callable(value) else value)
    film.save_as(tmp_path / "other.dcm")
    study = find_studies([tmp_path]).studies[0]
    result = scan_study(study, MeanScanner(), new_job(study, MeanScanner()))
    assert [reason_of(film) for film in result.films].count(CONTESTED) == (2 if contested else 0)


def inverted(film: Dataset) -> None:
    film.PixelData = (255 - film.pixel_array).tobytes()
    film.PhotometricInterpretation = "MONOCHROME1"


def deeper(film: Dataset) -> None:
    film.PixelData = film.pixel_array.astype("<u2").tobytes()
    film.BitsAllocated = 16


def with_an_overlay(film: Dataset) -> None:
    """A bit above the image's own, as former editions of the standard had it."""
    deeper(film)
    pixels = film.pixel_array.copy()
    pixels[:20, :20] |= 1 << 8
    film.PixelData = pixels.tobytes()


@pytest.mark.parametrize("stored", [inverted, deeper, with_an_overlay])
def test_one_picture_is_one_however_it_is_stored(
    studies: Path, tmp_path: Path, stored: Callable[[Dataset], None]
) -> None:
    under_two_patients(studies, tmp_path)
    film = dcmread(tmp_path / "other.dcm")
    stored(film)
    film.save_as(tmp_path / "other.dcm")
    study = find_studies([tmp_path]).studies[0]
    result = scan_study(study, MeanScanner(), new_job(study, MeanScanner()))
    assert [reason_of(film) for film in result.films].count(CONTESTED) == 2


def test_one_picture_that_several_films_of_two_patients_share(studies: Path, tmp_path: Path) -> None:
    under_two_patients(studies, tmp_path)
    film = dcmread(tmp_path / "other.dcm")
    film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = "1.2.3.8"
    film.save_as(tmp_path / "another.dcm")
    study = find_studies([tmp_path]).studies[0]
    result = scan_study(study, MeanScanner(), new_job(study, MeanScanner()))
    assert [reason_of(film) for film in result.films].count(CONTESTED) == 3


def test_a_film_that_cannot_be_read_contests_no_picture(studies: Path, tmp_path: Path) -> None:
    first, _ = under_two_patients(studies, tmp_path)
    study = find_studies([tmp_path]).studies[0]
    first.write_bytes(b"gone")
    result = scan_study(study, MeanScanner(), new_job(study, MeanScanner()))
    reasons = {film.file: reason_of(film) for film in result.films}
    assert "has changed since" in str(reasons[first.name])
    assert reasons["other.dcm"] is None


@pytest.mark.parametrize("keyword", ["PatientName", "PatientBirthDate", "IssuerOfPatientID", "StudyDate"])
def test_a_film_of_another_patient_is_no_other_breast(studies: Path, tmp_path: Path, keyword: str) -> None:
    _, second = copy_studies(studies, tmp_path)
    film = dcmread(second)
    setattr(film, keyword, "19010101")
    film.save_as(second)
    study = find_studies([tmp_path]).studies[0]
    scanner = MeanScanner(compares=True)
    scan_study(study, scanner, new_job(study, scanner))
    assert scanner.beside == [None, None]


def test_films_without_a_patient_id_are_scanned_alone_and_that_is_told(studies: Path, tmp_path: Path) -> None:
    for path in copy_studies(studies, tmp_path):
        film = dcmread(path)
        film.PatientID = ""
        film.save_as(path)
    study = find_studies([tmp_path]).studies[0]
    scanner = MeanScanner(compares=True)
    result = scan_study(study, scanner, new_job(study, scanner))
    assert scanner.beside == [None, None]
    assert any("no Patient ID" in text for text in result.warnings)


def test_a_failed_film_whose_file_is_anothers_by_now_names_nobody(studies: Path, tmp_path: Path) -> None:
    """It failed as it was submitted; whoever's film stands there now is none of this study."""
    first, _ = copy_studies(studies, tmp_path)
    film = dcmread(first)
    film.NumberOfFrames = 3
    film.save_as(first)
    study = find_studies([tmp_path]).studies[0]
    film.PatientName, film.PatientID = "Other^Olga", "P2"
    film.save_as(first)
    result = scan_study(study, MeanScanner(), new_job(study, MeanScanner()))
    failed = next(film for film in result.films if film.file == first.name)
    assert (failed.outcome, failed.header) == ("failed", None)
    assert len(by_patient(result)) == 1


def test_two_films_of_one_uid_count_for_every_patient(studies: Path, tmp_path: Path) -> None:
    first, _ = copy_studies(studies, tmp_path)
    film = dcmread(first)
    film.PatientName, film.PatientID = "Other^Olga", "P2"
    film.save_as(tmp_path / "other.dcm")
    film.SOPInstanceUID = f"{film.SOPInstanceUID[:60]}.7"
    film.file_meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID
    film.save_as(tmp_path / "hers.dcm")
    study = find_studies([tmp_path]).studies[0]
    result = scan_study(study, MeanScanner(), new_job(study, MeanScanner()))
    assert [coverage(part).extent for part in by_patient(result)] == ["some", "some"]


def test_files_of_one_uid_make_no_second_patient(studies: Path, tmp_path: Path) -> None:
    """They name nobody: the study's films are of one patient, and no document says that they are of two."""
    first, _ = copy_studies(studies, tmp_path)
    film = dcmread(first)
    film.PatientName, film.PatientID, film.SOPInstanceUID = "Other^Olga", "P2", "1.2.3.7"
    film.file_meta.MediaStorageSOPInstanceUID = "1.2.3.7"
    for number in range(2):
        film.SeriesNumber = number
        film.save_as(tmp_path / f"Olga{number}.dcm")
    study = find_studies([tmp_path]).studies[0]
    result = scan_study(study, MeanScanner(), new_job(study, MeanScanner()))
    assert result.warnings == ("2 different files have the SOP Instance UID 1.2.3.7",)
    (part,) = by_patient(result)
    page = build_report(part).decode()
    assert "1.2.3.7" in page
    assert "Olga" not in page
