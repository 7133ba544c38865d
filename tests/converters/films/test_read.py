"""One DICOM file to a film, or to a line that says why not."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    BasicTextSRStorage,
    BreastTomosynthesisImageStorage,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalMammographyXRayImageStorageForProcessing,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRBigEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from bcd_model.errors import FilmError
from converters.films.acceptance import judge
from converters.films.read import read_film
from tests.support.reasons import said

MakeFilm = Callable[..., FileDataset]
SaveFilm = Callable[..., Path]

RAMP = np.add.outer(np.arange(64), np.arange(96)).astype(np.uint8)


def test_film_like_those_of_the_training(save_film: SaveFilm) -> None:
    read = read_film(save_film("film.dcm", RAMP, SOPInstanceUID="1.2.3.9"))
    film = read.film
    np.testing.assert_array_equal(film.pixels, (RAMP / 255).astype(np.float32))
    assert film.pixels.dtype == np.float32
    assert (film.spacing, film.spacing_assumed) == ((1.0, 1.0), False)
    assert (film.laterality, film.view) == ("L", "MLO")
    assert (film.sop_instance_uid, film.file) == ("1.2.3.9", "film.dcm")
    (warning,) = film.warnings  # of nothing but the size of its pixels: the file is small
    assert "1 x 1 mm pixels;" in warning
    assert "PixelData" not in read.header
    assert read.header.StudyInstanceUID == "1.2.3.4.1"


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_every_uncompressed_transfer_syntax(make_film: MakeFilm, tmp_path: Path, syntax: str) -> None:
    stored = RAMP.astype(np.uint16) * 16
    film = make_film(stored.astype(">u2" if syntax == ExplicitVRBigEndian else "<u2"), BitsStored=12)
    film.WindowCenter, film.WindowWidth = 2048, 4096
    film.file_meta.TransferSyntaxUID = syntax
    implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    pydicom.dcmwrite(tmp_path / "film.dcm", film, implicit_vr=implicit, little_endian=little)
    np.testing.assert_allclose(read_film(tmp_path / "film.dcm").film.pixels, stored / 4095, atol=1e-6)


def test_words_of_a_big_endian_file_are_handed_on_as_little_endian(
    make_film: MakeFilm, tmp_path: Path
) -> None:
    """A presentation state takes the LUT from the header and is little endian itself."""
    lut = Dataset()
    lut.LUTDescriptor, lut.LUTExplanation = [256, 0, 16], ""
    lut["LUTDescriptor"].VR = "US"
    lut.add_new("LUTData", "OW", (np.arange(256) * 257).astype(">u2").tobytes())
    film = make_film(RAMP, VOILUTSequence=[lut])
    film.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    pydicom.dcmwrite(tmp_path / "film.dcm", film, implicit_vr=False, little_endian=False)
    read = read_film(tmp_path / "film.dcm")
    np.testing.assert_allclose(read.film.pixels, RAMP / 255, atol=1e-6)
    (found,) = read.header.VOILUTSequence
    assert np.frombuffer(found.LUTData, "<u2").tolist() == (np.arange(256) * 257).tolist()


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_lossless_compression(make_film: MakeFilm, tmp_path: Path, syntax: str) -> None:
    pytest.importorskip({JPEGLSLossless: "jpeg_ls", JPEG2000Lossless: "openjpeg"}.get(syntax, "numpy"))
    stored = RAMP.astype(np.uint16) * 16
    film = make_film(stored, BitsStored=12, WindowCenter=2048, WindowWidth=4096)
    film.compress(syntax, generate_instance_uid=False)
    film.save_as(tmp_path / "film.dcm", enforce_file_format=True)
    np.testing.assert_allclose(read_film(tmp_path / "film.dcm").film.pixels, stored / 4095, atol=1e-6)


def jpeg(film: FileDataset, path: Path, pixels: np.ndarray = RAMP) -> Path:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=98)
    film.PixelData = encapsulate([stream.getvalue()])
    film["PixelData"].is_undefined_length = True
    film.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    film.save_as(path, enforce_file_format=True)
    return path


def test_jpeg_baseline(make_film: MakeFilm, tmp_path: Path) -> None:
    film = make_film(RAMP, LossyImageCompression="01")
    read = read_film(jpeg(film, tmp_path / "film.dcm")).film
    np.testing.assert_allclose(read.pixels, RAMP / 255, atol=3 / 255)
    assert any("loss" in warning for warning in read.warnings)


def test_compressed_image_of_another_size_is_not_decoded(make_film: MakeFilm, tmp_path: Path) -> None:
    path = jpeg(make_film(RAMP), tmp_path / "film.dcm", np.zeros((64, 4096), np.uint8))
    with pytest.raises(FilmError, match="another size"):
        read_film(path)


def test_compression_without_a_decoder_is_named(make_film: MakeFilm, tmp_path: Path) -> None:
    film = make_film(RAMP)
    film.PixelData = encapsulate([b"\xff\x0a" + bytes(100)])  # JPEG XL (ISO/IEC 18181)
    film["PixelData"].VR = "OB"
    film["PixelData"].is_undefined_length = True
    film.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.66"
    film.save_as(tmp_path / "film.dcm", enforce_file_format=True)
    with pytest.raises(FilmError, match=r"no decoder here for JPEG.*convert it"):
        read_film(tmp_path / "film.dcm")


def test_signed_pixels(save_film: SaveFilm) -> None:
    stored = RAMP.astype(np.int16) * 8 - 1000
    path = save_film("film.dcm", stored, BitsStored=12, WindowCenter=0, WindowWidth=4096)
    np.testing.assert_allclose(read_film(path).film.pixels, (stored + 2048) / 4095, atol=1e-6)


def test_bits_above_bits_stored_do_not_count(save_film: SaveFilm) -> None:
    stored = RAMP.astype(np.uint16)
    path = save_film("film.dcm", stored | 0xF000, BitsStored=12, WindowCenter=128, WindowWidth=256)
    np.testing.assert_allclose(read_film(path).film.pixels, stored / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("elements", "word"),
    [
        ({"DetectorType": "DIRECT"}, "digital detector"),
        ({"ImagerPixelSpacing": None}, "assumed"),
        ({"ImageLaterality": None}, "which breast"),
        ({"ViewCodeSequence": None}, "which view"),
        ({"BreastImplantPresent": "YES"}, "implant"),
        ({"SOPClassUID": SecondaryCaptureImageStorage}, "secondary capture"),
        ({"SOPClassUID": ComputedRadiographyImageStorage}, "computed radiography"),
        ({"SOPClassUID": DigitalMammographyXRayImageStorageForProcessing}, "For Processing"),
    ],
)
def test_what_the_reader_of_the_results_must_know(
    save_film: SaveFilm, elements: dict[str, object], word: str
) -> None:
    if elements.get("SOPClassUID") == DigitalMammographyXRayImageStorageForProcessing:
        elements = {**elements, "PresentationIntentType": "FOR PROCESSING"}
    assert any(word in warning for warning in read_film(save_film("film.dcm", **elements)).film.warnings)


def test_minimal_header(save_film: SaveFilm) -> None:
    """No breast, no view, no spacing, no window: read, and told."""
    stored = RAMP.astype(np.uint16) * 100
    names = [
        *("DetectorType", "ImagerPixelSpacing", "ImageLaterality", "ViewCodeSequence", "ImageType"),
        *("BurnedInAnnotation", "PresentationIntentType", "WindowCenter", "WindowWidth"),
    ]
    film = read_film(save_film("film.dcm", stored, **dict.fromkeys(names))).film
    assert (film.laterality, film.view, film.spacing_assumed) == (None, None, True)
    assert film.pixels.max() == 1


@pytest.mark.parametrize(
    ("elements", "kind", "word"),
    [
        ({"SOPClassUID": BasicTextSRStorage}, "no film", "Text SR"),
        ({"SOPClassUID": GrayscaleSoftcopyPresentationStateStorage}, "no film", "Presentation State"),
        ({"SOPClassUID": SegmentationStorage}, "no film", "Segmentation"),
        ({"SOPClassUID": CTImageStorage, "Modality": "CT"}, "no film", "CT Image"),
        ({"SOPClassUID": DigitalXRayImageStorageForPresentation}, "film", ""),
        (
            {
                "SOPClassUID": SecondaryCaptureImageStorage,
                "Manufacturer": "BCD",
                "ManufacturerModelName": "bcd-cad",
            },
            "no film",
            "result of this software",
        ),
        (
            {
                "SOPClassUID": SecondaryCaptureImageStorage,
                "ImageType": ["DERIVED", "SECONDARY"],
                "ViewCodeSequence": None,
            },
            "no film",
            "secondary",
        ),
        ({"ImageType": ["DERIVED", "SECONDARY"]}, "film", ""),  # the class says that it is a mammogram
        (
            {
                "SOPClassUID": SecondaryCaptureImageStorage,
                "ImageType": ["DERIVED", "SECONDARY"],
                "ConversionType": "DF",
            },
            "film",
            "",
        ),
        ({"SOPClassUID": SecondaryCaptureImageStorage, "SamplesPerPixel": 3}, "unusable", "colour"),
        ({"QualityControlImage": "YES"}, "no film", "quality control"),
        ({"Modality": "OT"}, "film", ""),  # the class says mammography
        ({"SOPClassUID": SecondaryCaptureImageStorage, "Modality": "RG"}, "film", ""),  # the view does
        (
            {"SOPClassUID": SecondaryCaptureImageStorage, "Modality": "US", "ViewCodeSequence": None},
            "no film",
            "neither",
        ),
        ({"SOPClassUID": BreastTomosynthesisImageStorage}, "unusable", "tomosynthesis"),
        ({"ImageType": ["DERIVED", "PRIMARY", "TOMO_PROJ"]}, "unusable", "tomosynthesis"),
        ({"ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D"]}, "film", ""),
        ({"NumberOfFrames": 4}, "unusable", "4 frames"),
        ({"NumberOfFrames": 1}, "film", ""),
        ({"BurnedInAnnotation": "YES"}, "unusable", "burned-in"),
        ({"SamplesPerPixel": 3}, "unusable", "colour"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "unusable", "Photometric"),
        ({"Rows": None}, "unusable", "Rows"),
        ({"Rows": 20}, "unusable", "at least"),
        ({"Rows": 60000, "Columns": 60000}, "unusable", "more than any mammogram"),
        ({"BitsAllocated": 32, "BitsStored": 32}, "unusable", "8 to 16 bits"),
        ({"HighBit": 5}, "unusable", "High Bit"),
        ({"SOPInstanceUID": None}, "unusable", "SOP Instance UID"),
        (
            {"PresentationIntentType": "FOR PROCESSING", "WindowCenter": None, "WindowWidth": None},
            "unusable",
            "For Processing",
        ),
        ({"PresentationIntentType": "FOR PROCESSING", "WindowWidth": 0}, "unusable", "For Processing"),
        ({"PresentationIntentType": "FOR PROCESSING"}, "film", ""),
    ],
)
def test_which_images_are_films(
    make_film: MakeFilm, elements: dict[str, object], kind: str, word: str
) -> None:
    verdict = judge(make_film(RAMP, **elements))
    assert (verdict.kind, word in (said(verdict.reason) or "")) == (kind, True)


def test_our_own_picture_is_known_by_its_contributing_equipment(make_film: MakeFilm) -> None:
    contribution = Dataset()
    contribution.Manufacturer = "BCD"
    picture = make_film(
        RAMP,
        SOPClassUID=SecondaryCaptureImageStorage,
        Manufacturer="Some Archive",
        ContributingEquipmentSequence=[contribution],
    )
    assert said(judge(picture).reason) == "a result of this software"


def test_refusal_is_one_line_with_the_file_and_without_the_patient(save_film: SaveFilm) -> None:
    path = save_film("cut.dcm")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FilmError) as caught:
        read_film(path)
    assert str(caught.value) == "cut.dcm: cut short: 6044 of 6144 bytes of pixels"


def test_no_dicom_file(tmp_path: Path) -> None:
    (tmp_path / "notes.dcm").write_text("Dear colleague, the films are on their way.\n" * 5)
    with pytest.raises(FilmError, match=r"notes\.dcm: not a DICOM file \(no DICM prefix at byte 128\)"):
        read_film(tmp_path / "notes.dcm")


def test_values_against_the_standard_stay_inside(
    make_film: MakeFilm, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """pydicom quotes what it finds odd; neither log nor terminal may show it."""
    path = tmp_path / "film.dcm"
    make_film(RAMP, StudyDate="20240101", PatientBirthDate="19500101").save_as(path)
    path.write_bytes(path.read_bytes().replace(b"19500101", b"19Secret"))
    read_film(path)
    out, err = capfd.readouterr()
    assert "Secret" not in caplog.text + out + err


@pytest.mark.skipif(
    "BCD_DICOM_SAMPLES" not in os.environ, reason="needs other hands' files (BCD_DICOM_SAMPLES)"
)
def test_other_hands_files_are_read_or_refused_by_name() -> None:
    files = sorted(Path(os.environ["BCD_DICOM_SAMPLES"]).rglob("*.dcm"))
    assert files
    for path in files:
        try:
            film = read_film(path).film
        except FilmError as error:
            assert str(error).startswith(path.name)
        else:
            assert 0 <= film.pixels.min() < film.pixels.max() <= 1
