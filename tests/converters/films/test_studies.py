"""Any heap of files to studies, as somebody would give it on the command line."""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import zipfile
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    ComprehensiveSRStorage,
    ExplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
    SecondaryCaptureImageStorage,
)

from bcd_model.errors import InputError, UsageError
from bcd_model.words import FilmScan, Finding, HeatMap, ModelIdentity, OperatingPoint, Probability
from converters.films.read import read_film
from converters.films.studies import StudyInput, find_studies
from converters.results.study_result import JobIdentity, ScannedFilm, StudyResult
from converters.results.write import write_results
from tests.support.film_forms import FORMS, in_form
from tests.support.reasons import said

NOT_DICOM = "not a DICOM file (no DICM prefix at byte 128)"

SaveFilm = Callable[..., Path]

CERTAIN = Probability(normal=0.0, benign=1.0, malignant=0.0)


def names(study: StudyInput) -> list[str]:
    return [film.path.name for film in study.films]


@pytest.fixture
def two_studies(save_film: SaveFilm, tmp_path: Path) -> Path:
    """Two studies whose files are mixed over folders."""
    for number, (study, folder) in enumerate(
        [("1.2.1", "a"), ("1.2.2", "a"), ("1.2.1", "b/c"), ("1.2.2", ".")]
    ):
        save_film(f"in/{folder}/{number}.dcm", SOPInstanceUID=f"1.2.9.{number}", StudyInstanceUID=study)
    return tmp_path / "in"


def test_studies_are_what_the_films_say(two_studies: Path) -> None:
    found = find_studies([two_studies])
    assert [study.study_instance_uid for study in found.studies] == ["1.2.1", "1.2.2"]
    assert [names(study) for study in found.studies] == [["0.dcm", "2.dcm"], ["1.dcm", "3.dcm"]]
    assert found.skipped == ()
    film = found.studies[0].films[0]
    assert film.sha256 == hashlib.sha256(film.path.read_bytes()).hexdigest()
    assert film.reason is None


def test_digest_follows_from_the_content_alone(two_studies: Path, tmp_path: Path) -> None:
    first = find_studies([two_studies])
    files = sorted(two_studies.rglob("*.dcm"))
    random.Random(1).shuffle(files)
    (tmp_path / "flat").mkdir()
    copies = [shutil.copy(file, tmp_path / "flat" / f"IM{index}") for index, file in enumerate(files)]
    second = find_studies([Path(copy) for copy in copies])
    assert [study.digest for study in second.studies] == [study.digest for study in first.studies]
    assert len({study.digest for study in first.studies}) == 2


def test_facts_change_with_what_the_header_says_and_not_with_the_form(save_film: SaveFilm) -> None:
    path = save_film("film.dcm", PatientName="Doe^Jane")
    before = find_studies([path]).studies[0].films[0].facts
    for name in FORMS:
        (film,) = find_studies([in_form(path, name, path.with_name("form.dcm"))]).studies[0].films
        assert film.facts == before, name
    for keyword, value in (("PatientID", "another"), ("WindowCenter", 101), ("ImageLaterality", "R")):
        changed = save_film("changed.dcm", PatientName="Doe^Jane", **{keyword: value})
        assert find_studies([changed]).studies[0].films[0].facts != before, keyword


def test_digest_changes_with_a_pixel(save_film: SaveFilm) -> None:
    path = save_film("film.dcm")
    before = find_studies([path]).studies[0].digest
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert find_studies([path]).studies[0].digest != before


def test_our_results_among_the_input_change_nothing(two_studies: Path, save_film: SaveFilm) -> None:
    before = [study.digest for study in find_studies([two_studies]).studies]
    ours = {"StudyInstanceUID": "1.2.1", "Manufacturer": "BCD", "ManufacturerModelName": "bcd-cad"}
    save_film("in/r/overlay.dcm", SOPClassUID=SecondaryCaptureImageStorage, **ours)
    save_film("in/r/cad_sr.dcm", SOPClassUID=ComprehensiveSRStorage, **ours)
    found = find_studies([two_studies])
    assert [study.digest for study in found.studies] == before
    reasons = {skipped.path.name: str(skipped.reason) for skipped in found.skipped}
    assert reasons["overlay.dcm"] == "a result of this software"
    assert "SR" in reasons["cad_sr.dcm"]


def test_what_the_writers_of_results_write_is_never_input(two_studies: Path) -> None:
    before = find_studies([two_studies])
    study = before.studies[0]
    finding = Finding((30.0, 40.0), 9.0, ((20.0, 30.0), (20.0, 50.0), (40.0, 40.0)), "benign", CERTAIN)
    heat = HeatMap(np.zeros((2, 2), np.float32), (10.0, 10.0), (20.0, 20.0))
    films = []
    for source in study.films:
        read = read_film(source.path)
        scan = FilmScan("benign", CERTAIN, (finding,), heat)
        films.append(
            ScannedFilm(
                file=source.path.name,
                sop_instance_uid=source.sop_instance_uid,
                header=read.header,
                film=read.film,
                scan=scan,
                gray_scale=read.gray_scale,
            )
        )
    result = StudyResult(
        JobIdentity("job", datetime(2024, 1, 1, tzinfo=timezone.utc)),
        study.study_instance_uid,
        study.digest,
        ModelIdentity("model", "1", "0" * 64),
        OperatingPoint(0.5, 0.4),
        tuple(films),
    )
    (two_studies / "results").mkdir()
    write_results(result, two_studies / "results")
    written = list((two_studies / "results").rglob("*.dcm"))
    after = find_studies([two_studies])
    assert after.studies == before.studies
    assert {skipped.path for skipped in after.skipped} >= set(written)
    assert len(written) == 8  # two reports; a presentation, an overlay and a heat map for each film


def test_only_our_own_results(save_film: SaveFilm, tmp_path: Path) -> None:
    save_film(
        "in/overlay.dcm",
        SOPClassUID=SecondaryCaptureImageStorage,
        Manufacturer="BCD",
        ManufacturerModelName="bcd-cad",
    )
    with pytest.raises(InputError, match="no mammogram among 1 file: a result of this software"):
        find_studies([tmp_path / "in"])


def test_the_same_file_twice(save_film: SaveFilm, tmp_path: Path) -> None:
    path = save_film("film.dcm")
    (study,) = find_studies([tmp_path, path, path]).studies
    assert names(study) == ["film.dcm"]
    assert study.warnings == (f"film {study.films[0].sop_instance_uid} was given 3 times; it is read once",)
    assert study.digest == find_studies([path]).studies[0].digest


def test_a_copy_of_a_film(save_film: SaveFilm, tmp_path: Path) -> None:
    path = save_film("film.dcm")
    alone = find_studies([path]).studies[0]
    shutil.copy(path, tmp_path / "other.dcm")
    (study,) = find_studies([tmp_path]).studies
    assert names(study) == ["film.dcm"]
    assert study.digest == alone.digest
    uid = study.films[0].sop_instance_uid
    assert study.warnings == (f"film {uid} was given 2 times; it is read once",)


def test_two_films_with_one_sop_instance_uid(save_film: SaveFilm, tmp_path: Path) -> None:
    for name, value in (("a.dcm", 0), ("b.dcm", 9)):
        pixels = np.full((64, 64), value, np.uint8)
        save_film(f"in/{name}", pixels, SOPInstanceUID="1.2.9", SeriesDescription=name)
    save_film("in/c.dcm", SOPInstanceUID="1.2.10")
    found = find_studies([tmp_path / "in"])
    (study,) = found.studies
    assert study.warnings == ("2 different files have the SOP Instance UID 1.2.9",)
    assert [[path.name for path in clash] for clash in found.clashes] == [["a.dcm", "b.dcm"]]
    failed, good = study.films[1], study.films[0]
    assert good.reason is None
    assert failed.sop_instance_uid == "1.2.9"
    assert said(failed.reason) == "2 different files have its SOP Instance UID; keep the right one"
    swapped = [tmp_path / "in" / name for name in ("b.dcm", "c.dcm", "a.dcm")]
    assert find_studies(swapped).studies[0].digest == study.digest


def test_films_that_cannot_be_used_are_failed_films(save_film: SaveFilm, tmp_path: Path) -> None:
    save_film("in/good.dcm", SOPInstanceUID="1.2.1")
    cut = save_film("in/cut.dcm", SOPInstanceUID="1.2.2")
    cut.write_bytes(cut.read_bytes()[:-1000])
    save_film("in/burned.dcm", SOPInstanceUID="1.2.3", BurnedInAnnotation="YES")
    header_only = save_film("in/header.dcm", SOPInstanceUID="1.2.4")
    header_only.write_bytes(header_only.read_bytes()[: -6144 - 12])
    (study,) = find_studies([tmp_path / "in"]).studies
    reasons = {film.path.name: said(film.reason) for film in study.films}
    assert reasons == {
        "good.dcm": None,
        "cut.dcm": "cut short: 5144 of 6144 bytes of pixels",
        "burned.dcm": "burned-in annotation: its pixels show more than the breast",
        "header.dcm": "holds no Pixel Data; export it again, with its pixels",
    }


def cut_header(path: Path) -> Path:
    """Cut ``path`` off within its Image Type: a DICOM file that does not tell its study."""
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"ORIGINAL") + 4])
    return path


def test_a_lost_film_belongs_to_the_only_study_of_its_folder(save_film: SaveFilm, tmp_path: Path) -> None:
    save_film("in/good.dcm")
    lost = cut_header(save_film("in/lost.dcm"))
    (study,) = find_studies([tmp_path / "in"]).studies
    (failed,) = [film for film in study.films if film.reason]
    assert (failed.path, failed.sop_instance_uid) == (lost, None)


def test_a_lost_film_among_two_studies_is_named_for_all(save_film: SaveFilm, tmp_path: Path) -> None:
    save_film("in/one.dcm", StudyInstanceUID="1.2.1", SOPInstanceUID="1.2.1.1")
    save_film("in/two.dcm", StudyInstanceUID="1.2.2", SOPInstanceUID="1.2.2.1")
    lost = cut_header(save_film("in/lost.dcm"))
    found = find_studies([tmp_path / "in"])
    assert [unplaced.path for unplaced in found.unplaced] == [lost]
    assert found.skipped == ()
    assert all(film.reason is None for study in found.studies for film in study.films)


def test_study_uid_that_is_a_path_is_no_study(save_film: SaveFilm, tmp_path: Path) -> None:
    path = save_film("film.dcm", StudyInstanceUID="1.2.345")
    path.write_bytes(path.read_bytes().replace(b"1.2.345\0", b"../../x\0"))
    with pytest.raises(InputError, match="Study Instance UID is malformed"):
        find_studies([path])


def test_every_film_refused_is_still_a_study(save_film: SaveFilm) -> None:
    (study,) = find_studies([save_film("film.dcm", BurnedInAnnotation="YES")]).studies
    assert study.films[0].reason is not None


BESIDE_FILMS = {
    "LIESMICH": "Für die Geräte: öffnen, prüfen, schließen.\n".encode("latin-1") * 20,
    "README": ("\ufeff" + "Lisez-moi : à lire d'abord\r\n" * 20).encode("utf-16-le"),
    "LISEZMOI": b"A lire\r\n" * 20 + b"\x1a",
    "dicom.dic": b"(0008,0005) CS SpecificCharacterSet 1-n DICOM_2011\n" * 20,
    "logo.png": b"\x89PNG\r\n" + bytes(500),
    "viewer": b"\x7fELF\x02\x01\x01" + bytes(500),
    "._film.dcm": b"\x00\x05\x16\x07" + bytes(200),
}


@pytest.mark.parametrize("name", BESIDE_FILMS)
def test_what_lies_beside_films_on_a_disc_is_no_damaged_film(
    save_film: SaveFilm, tmp_path: Path, name: str
) -> None:
    film = save_film("in/film.dcm")
    beside = tmp_path / "in" / name
    beside.write_bytes(BESIDE_FILMS[name])
    found = find_studies([film, beside])  # given by name, as an upload's files are
    assert found.unplaced == ()
    assert [each.path for each in found.skipped] == [beside]


def test_what_is_no_film_is_skipped_with_its_reason(save_film: SaveFilm, tmp_path: Path) -> None:
    save_film("in/film.dcm")
    (tmp_path / "in/notes.txt").write_text("no DICOM\n" * 100)
    (tmp_path / "in/README").write_text("Über die Filme\n" * 100, encoding="utf-8")
    (tmp_path / "in/photo.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(2000))
    (tmp_path / "in/empty.txt").write_bytes(b"")
    (tmp_path / "in/DICOMDIR").write_bytes(b"")
    (tmp_path / "in/LOCK").write_bytes(b"")
    (tmp_path / "in/.hidden").write_text("x")
    with zipfile.ZipFile(tmp_path / "in/films.zip", "w") as archive:
        archive.write(tmp_path / "in/film.dcm")
    os.mkfifo(tmp_path / "in/pipe")
    found = find_studies([tmp_path / "in"])
    assert {skipped.path.name: str(skipped.reason) for skipped in found.skipped} == {
        "notes.txt": NOT_DICOM,
        "README": NOT_DICOM,
        "photo.jpg": NOT_DICOM,
        "empty.txt": NOT_DICOM,
        "DICOMDIR": NOT_DICOM,
        "LOCK": NOT_DICOM,
        "films.zip": "an archive; give a zip by its name, or unpack it",
        "pipe": "not a regular file",
    }


def test_dicomdir_is_passed_over(save_film: SaveFilm, tmp_path: Path) -> None:
    save_film("media/film.dcm")
    directory = Dataset()
    directory.FileSetID = "MEDIA"
    directory.DirectoryRecordSequence = []
    directory.file_meta = FileMetaDataset()
    directory.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    directory.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    directory.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    directory.save_as(tmp_path / "media" / "DICOMDIR", enforce_file_format=True)
    found = find_studies([tmp_path / "media"])
    assert (len(found.studies), found.skipped) == (1, ())
    path = tmp_path / "media" / "DICOMDIR"
    path.write_bytes(path.read_bytes()[:139])
    found = find_studies([tmp_path / "media"])
    assert [film.reason for film in found.studies[0].films] == [None]
    assert [str(each.reason) for each in found.skipped] == [
        "a damaged DICOMDIR: cut short: it ends within its header"
    ]


def test_links_do_not_lead_out_of_the_folder(save_film: SaveFilm, tmp_path: Path) -> None:
    inside = save_film("in/film.dcm", SOPInstanceUID="1.2.1")
    outside = save_film("out/other.dcm", SOPInstanceUID="1.2.2")
    (tmp_path / "in/link.dcm").symlink_to(outside)
    (tmp_path / "in/folder").symlink_to(outside.parent)
    (tmp_path / "in/loop").symlink_to(tmp_path / "in")
    found = find_studies([tmp_path / "in"])
    assert [film.path for film in found.studies[0].films] == [inside]
    assert [skipped.path.name for skipped in found.skipped] == ["folder", "link.dcm"]
    given = find_studies([tmp_path / "in/link.dcm"])  # but who names the link means it
    assert given.studies[0].films[0].sop_instance_uid == "1.2.2"


def test_files_that_may_not_be_opened(save_film: SaveFilm, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may open everything")
    save_film("in/film.dcm", SOPInstanceUID="1.2.1")
    save_film("in/closed.dcm", SOPInstanceUID="1.2.2").chmod(0)
    (skipped,) = find_studies([tmp_path / "in"]).skipped
    assert "cannot be opened" in skipped.reason.detail


def test_films_of_different_patients_in_one_study(save_film: SaveFilm, tmp_path: Path) -> None:
    save_film("in/a.dcm", SOPInstanceUID="1.2.1", PatientID="Anna")
    save_film("in/b.dcm", SOPInstanceUID="1.2.2", PatientID="Berta")
    (study,) = find_studies([tmp_path / "in"]).studies
    assert study.patients == 2


def test_files_of_one_uid_name_no_patient(save_film: SaveFilm, tmp_path: Path) -> None:
    """Nobody knows which of them is right, so that the study's other films are of one patient."""
    save_film("in/a.dcm", SOPInstanceUID="1.2.1", PatientID="Anna")
    for number in range(2):
        pixels = np.full((64, 64), number, np.uint8)
        of_berta = {"PatientID": "Berta", "SeriesDescription": f"export {number}"}
        save_film(f"in/b{number}.dcm", pixels, SOPInstanceUID="1.2.2", **of_berta)
    (study,) = find_studies([tmp_path / "in"]).studies
    assert study.patients == 1


DAMAGED: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "a byte": lambda data: data[:1],
    "less than the preamble": lambda data: data[:100],
    "the preamble": lambda data: data[:128],
    "its first kilobyte zeroed": lambda data: bytes(1024) + data[1024:],
    "its first kilobyte overwritten": lambda data: b"\xff" * 1024 + data[1024:],
    "the items of its pixels alone": lambda data: b"\xfe\xff\x00\xe0" + bytes(4) + data[-2000:],
    "pixels as UTF-16 begins": lambda data: b"\xff\xfe" + data[-2000:],
    "a page of a web server": lambda _: b"<html>404</html>",
}


DAMAGED_FILMS = {
    **DAMAGED,
    "a program's first bytes": lambda data: b"MZ" + data[2:128] + bytes(len(data) - 128),
    "an archive's first bytes": lambda data: b"PK\x03\x04" + bytes(len(data)),
}


@pytest.mark.parametrize("name", ["film.dcm", "FILM.DCM", "film.dicom", "film.ima"])
@pytest.mark.parametrize("damage", DAMAGED_FILMS)
def test_kind_5_a_damaged_file_that_is_named_as_a_film_may_be_one_of_any_study(
    damage: str, name: str, save_film: SaveFilm, tmp_path: Path
) -> None:
    save_film("in/good.dcm", SOPInstanceUID="1.2.1")
    path = save_film(f"in/{name}", SOPInstanceUID="1.2.2")
    path.write_bytes(DAMAGED_FILMS[damage](path.read_bytes()))
    found = find_studies([tmp_path / "in"])
    assert [(each.path, str(each.reason)) for each in found.unplaced] == [
        (path, "is named like a DICOM file, but is not one: damaged, or not complete")
    ]
    assert found.skipped == ()
    assert len(found.studies[0].films) == 1


@pytest.mark.parametrize("name", ["IM000001", "1.2.840.113619.2.7", "film.0002", "R.img", "R.DIC"])
@pytest.mark.parametrize("damage", sorted(DAMAGED.keys() - {"a page of a web server"}))
def test_kind_5_a_damaged_file_without_a_suffix_is_one_beside_dicom_files(
    damage: str, name: str, save_film: SaveFilm, tmp_path: Path
) -> None:
    save_film("in/IM000000", SOPInstanceUID="1.2.1")
    data = DAMAGED[damage]((tmp_path / "in/IM000000").read_bytes())
    for folder in ("in", "elsewhere"):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_bytes(data)
    found = find_studies([tmp_path])
    assert [each.path for each in found.unplaced] == [tmp_path / "in" / name]
    assert [each.path for each in found.skipped] == [tmp_path / "elsewhere" / name]


def test_what_a_file_was_called_counts_where_its_path_does_not_say(
    save_film: SaveFilm, tmp_path: Path
) -> None:
    good, empty, photo = save_film("in/a0"), tmp_path / "in/a1", tmp_path / "in/a2"
    empty.write_bytes(b"")
    photo.write_bytes(b"\xff\xd8\xff\xe0" + bytes(2000))
    called = {good: "series/good.dcm", empty: "series/lost.dcm", photo: "photo.jpg"}
    found = find_studies(list(called), called)
    assert [each.path for each in found.unplaced] == [empty]
    assert [each.path for each in found.skipped] == [photo]


@pytest.mark.parametrize("size", [132, 136, 140, 160, 300])
def test_kind_5_a_file_cut_within_its_first_elements_fails_in_the_study_of_its_folder(
    size: int, save_film: SaveFilm, tmp_path: Path
) -> None:
    save_film("in/good.dcm", SOPInstanceUID="1.2.1")
    path = save_film("in/cut.dcm", SOPInstanceUID="1.2.2")
    path.write_bytes(path.read_bytes()[:size])
    found = find_studies([tmp_path / "in"])
    assert found.skipped == found.unplaced == ()
    assert [film.path.name for film in found.studies[0].films if film.reason] == ["cut.dcm"]


NO_CLASS = {
    None: "states no SOP Class UID",
    "": "states no SOP Class UID",
    "1.2.840.10008.5.1.4.1.1.1,2": "its SOP Class UID is malformed: not digits between single dots;"
    " export it with a valid one",
    "1." * 32 + "2": "its SOP Class UID is longer than 64 characters; export it with a valid one",
}


def save_without_class(film: FileDataset, path: Path, sop_class: str | None) -> None:
    del film.file_meta.MediaStorageSOPClassUID
    del film.SOPClassUID
    if sop_class is not None:
        film[0x00080016] = DataElement(0x00080016, "UI", sop_class, validation_mode=config.IGNORE)
    film.save_as(path, enforce_file_format=False)


@pytest.mark.parametrize("sop_class", NO_CLASS)
@pytest.mark.parametrize("missing", ["Modality", "ViewCodeSequence"])
def test_kind_5_a_film_without_a_sop_class_has_failed(
    sop_class: str | None,
    missing: str,
    make_film: Callable[..., FileDataset],
    save_film: SaveFilm,
    tmp_path: Path,
) -> None:
    save_film("in/good.dcm", SOPInstanceUID="1.2.1")
    odd = make_film(SOPInstanceUID="1.2.2", **{missing: None})
    save_without_class(odd, tmp_path / "in/odd.dcm", sop_class)
    found = find_studies([tmp_path / "in"])
    assert found.skipped == ()
    assert [said(film.reason) for film in found.studies[0].films] == [None, NO_CLASS[sop_class]]


def test_an_image_of_something_else_without_a_sop_class_is_skipped(
    make_film: Callable[..., FileDataset], save_film: SaveFilm, tmp_path: Path
) -> None:
    save_film("in/good.dcm", SOPInstanceUID="1.2.1")
    other = make_film(SOPInstanceUID="1.2.2", Modality="CT", ViewCodeSequence=None)
    save_without_class(other, tmp_path / "in/ct.dcm", None)
    found = find_studies([tmp_path / "in"])
    assert [str(each.reason) for each in found.skipped] == ["states no SOP class"]
    assert len(found.studies[0].films) == 1


@pytest.mark.parametrize("frames", ["1\\1", "1\\2", "one", "1.5", "-"])
def test_kind_5_a_number_of_frames_that_cannot_be_read_fails_the_film(
    frames: str, save_film: SaveFilm
) -> None:
    path = save_film(NumberOfFrames=7777777)
    stated = frames.encode().ljust(8, b" ")
    path.write_bytes(path.read_bytes().replace(b"7777777 ", stated))
    (film,) = find_studies([path]).studies[0].films
    assert said(film.reason) == "its Number of Frames is not one whole number"


def test_nothing_to_be_found(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        find_studies([tmp_path / "absent"])
    with pytest.raises(InputError, match="empty"):
        find_studies([tmp_path])
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=f"no DICOM file among 1 file: {re.escape(NOT_DICOM)}; give DICOM"):
        find_studies([tmp_path])
