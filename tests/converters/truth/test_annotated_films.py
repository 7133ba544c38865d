"""DICOM films and their truth, matched by SOP Instance UID."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from bcd_model.errors import InputError, TruthError
from converters.films.studies import find_studies
from converters.mias.collection import read_collection
from converters.mias.phantom import write_phantom
from converters.mias.to_dicom import convert_mias
from converters.truth.annotated_films import match_truth
from converters.truth.file import read_truth, write_truth


@pytest.fixture
def films(tmp_path: Path) -> tuple[Path, Path]:
    """The PGM films of two patients, and the same as DICOM."""
    write_phantom(tmp_path / "films", patients=2, seed=3, shape=(128, 128))
    convert_mias(tmp_path / "films", tmp_path / "dicom")
    return tmp_path / "films", tmp_path / "dicom"


def studies(dicom: Path) -> tuple:
    return find_studies([dicom]).studies


def test_films_come_with_the_truth_and_the_pixels_of_their_source(films: tuple[Path, Path]) -> None:
    matched = match_truth(studies(films[1]), [films[1] / "truth.json"])
    collection = read_collection(films[0])
    assert (matched.unusable, matched.warnings) == ((), ())
    assert len(matched.films) == len(collection.films) == 4
    for ours, source in zip(matched.films, collection.films, strict=True):
        for what in ("name", "patient", "label", "tissue", "lesions", "unlocated"):
            assert getattr(ours, what) == getattr(source, what)
        assert ours.read().pixels == pytest.approx(source.read().pixels, abs=1e-6)
        # films of 26 mm are none: the spacing that their files state is not believed
        assert ours.read().spacing == (240 / 128, 240 / 128)


def test_a_readers_json_is_truth_one_file_a_study(films: tuple[Path, Path], tmp_path: Path) -> None:
    """As docs/reference/reading-json.md has it: more keys, empty tissue, films not read left out."""
    truth = read_truth(films[1] / "truth.json")
    readings = []
    for study in studies(films[1]):
        first, second = (film.sop_instance_uid for film in study.films)
        found = {
            "file": f"{first}.dcm",
            "name": first,
            "patient": truth[first].patient,
            "label": "malignant",
            "tissue": "",
            "unlocated": False,
            "lesions": [{"center": [40.5, 30.25], "radius": 9.5, "label": "malignant", "kind": ""}],
            "findings": [{"tracking_uid": "1.2.3", "verdict": "accepted"}],
        }
        reading = {
            "schema_version": 1,
            "kind": "reading",
            "reader": "Dr Test",
            "films": {first: found},
            "films_not_read": [second],
        }
        readings.append(tmp_path / f"reading-{len(readings)}.json")
        readings[-1].write_text(json.dumps(reading))
    matched = match_truth(studies(films[1]), readings)
    assert [film.lesions[0].center for film in matched.films] == [(40.5, 30.25)] * 2
    assert [film.tissue for film in matched.films] == ["", ""]
    assert len(matched.warnings) == 1
    assert matched.warnings[0].startswith("2 films (")  # nobody has read them: neither normal nor abnormal
    assert "without truth" in matched.warnings[0]


def test_truth_without_films_and_films_without_truth_are_named_and_counted(films: tuple[Path, Path]) -> None:
    path = films[1] / "truth.json"
    truth = read_truth(path)
    kept = dict(list(truth.items())[1:])
    extra = replace(next(iter(truth.values())), name="phantom999", file="x/phantom999.dcm")
    write_truth(path, {**kept, "1.2.3.4": extra})
    matched = match_truth(studies(films[1]), [path])
    assert len(matched.films) == 3
    assert matched.warnings == (
        "truth.json: 1 film (phantom999) with truth not found among the films",
        f"1 film ({next(iter(truth))}) without truth in truth.json: left out",
    )


def test_a_film_that_cannot_be_used_is_named_and_the_others_go_on(films: tuple[Path, Path]) -> None:
    bad = films[1] / "phantom-001" / "phantom002.dcm"
    data = bad.read_bytes()
    bad.write_bytes(data[: len(data) // 2])
    matched = match_truth(studies(films[1]), [films[1] / "truth.json"])
    assert [film.name for film in matched.films] == ["phantom001", "phantom003", "phantom004"]
    assert len(matched.unusable) == 1
    assert matched.unusable[0].startswith("film phantom002: left out: cut short")


def test_truth_of_other_films_is_refused(films: tuple[Path, Path], tmp_path: Path) -> None:
    truth = read_truth(films[1] / "truth.json")
    other = tmp_path / "other.json"
    write_truth(other, {f"{uid}.9": film for uid, film in truth.items()})
    with pytest.raises(InputError, match=r"other\.json: has the truth of none of these 4 films"):
        match_truth(studies(films[1]), [other])


def test_a_study_under_two_patients_is_refused(films: tuple[Path, Path]) -> None:
    path = films[1] / "truth.json"
    truth = read_truth(path)
    first = next(iter(truth))
    write_truth(path, {**truth, first: replace(truth[first], patient="somebody")})
    with pytest.raises(TruthError, match=r"puts the films of study [0-9.]+ under 2 patients") as caught:
        match_truth(studies(films[1]), [path])
    assert "somebody" not in str(caught.value)


def test_a_lesion_outside_its_film_is_the_truth_of_another(films: tuple[Path, Path]) -> None:
    path = films[1] / "truth.json"
    truth = read_truth(path)
    first = next(uid for uid, film in truth.items() if film.lesions)
    for place, fits in (((127.4, 0.0), True), ((128.0, 5.0), False), ((5.0, -1.0), False)):
        lesion = replace(truth[first].lesions[0], center=place)
        write_truth(path, {**truth, first: replace(truth[first], lesions=(lesion,))})
        if fits:
            assert len(match_truth(studies(films[1]), [path]).films) == 4
            continue
        with pytest.raises(
            TruthError, match=rf"film {truth[first].name}: a lesion at .* is outside its 128 rows"
        ):
            match_truth(studies(films[1]), [path])


def test_a_film_in_two_files_of_truth_is_refused(films: tuple[Path, Path], tmp_path: Path) -> None:
    path = films[1] / "truth.json"
    again = tmp_path / "again.json"
    again.write_bytes(path.read_bytes())
    with pytest.raises(TruthError, match=r"again\.json: film [0-9.]+ is in another file"):
        match_truth(studies(films[1]), [path, again])


def test_pixels_are_those_that_training_saw(films: tuple[Path, Path]) -> None:
    """The film's digest is the same from PGM and from DICOM, or seen films would pass for new ones."""
    from bcd_model.digests import film_digest

    matched = match_truth(studies(films[1]), [films[1] / "truth.json"])
    for ours, source in zip(matched.films, read_collection(films[0]).films, strict=True):
        assert np.array_equal(ours.read().pixels, source.read().pixels)
        assert film_digest(ours.read()) == film_digest(source.read())


def change(path: Path, **elements: str) -> None:
    film = pydicom.dcmread(path)
    for keyword, value in elements.items():
        setattr(film, keyword, value)
    film.save_as(path)


def test_no_name_of_a_file_is_told(films: tuple[Path, Path]) -> None:
    """Two different files with one SOP Instance UID, named as a hospital would."""
    folder = films[1] / "phantom-001"
    (folder / "phantom001.dcm").rename(folder / "DOE (JANE) 1.dcm")
    shutil.copy(folder / "DOE (JANE) 1.dcm", folder / "DOE (JANE) 2.dcm")
    change(folder / "DOE (JANE) 2.dcm", SeriesDescription="again")
    matched = match_truth(studies(films[1]), [films[1] / "truth.json"])
    assert matched.unusable == (
        "film phantom001: left out: 2 different files have its SOP Instance UID; keep the right one",
    )


def test_patients_that_the_headers_contradict_are_told(films: tuple[Path, Path]) -> None:
    for path in films[1].glob("*/*.dcm"):
        change(path, PatientID="4711")
    path = films[1] / "truth.json"
    (told,) = match_truth(studies(films[1]), [path]).warnings
    assert told == "truth.json: 2 of its patients have films of one Patient ID: are they one person?"
    change(films[1] / "phantom-001" / "phantom001.dcm", PatientID="0815")
    told, _ = match_truth(studies(films[1]), [path]).warnings
    assert told.endswith(": its films name 2 patients")
    for path_of_film in films[1].glob("*/*.dcm"):
        change(path_of_film, PatientID="")
    assert match_truth(studies(films[1]), [path]).warnings == ()
