"""Pixels without DICOM origin become a film that says no more than is known."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest

from BCDDetectorLib import errors, secondary_capture
from BCDDetectorLib.secondary_capture import Description, recall, wrap

KNOWN = Description((0.2, 0.1), "R", "CC")
PIXELS = np.arange(60 * 50).reshape(60, 50)


@pytest.mark.parametrize(("kind", "bits"), [(np.uint8, 8), (np.uint16, 16), (np.int32, 16)])
def test_whole_numbers_are_kept_bit_for_bit(tmp_path, kind, bits):
    pixels = (PIXELS % 251).astype(kind) if bits == 8 else PIXELS.astype(kind)
    uid, study, path = wrap(pixels, KNOWN, tmp_path)
    document = pydicom.dcmread(path)
    assert (document.pixel_array == pixels).all() and document.BitsStored == bits
    assert (document.SOPInstanceUID, document.StudyInstanceUID) == (uid, study)
    assert list(document.PixelSpacing) == [0.2, 0.1]
    assert document.ImageLaterality == "R" and document.ViewCodeSequence[0].CodeValue == "399162004"
    assert not document.PatientName and not document.PatientID


def test_other_numbers_are_spread_over_16_bits(tmp_path):
    pixels = np.linspace(-1.5, 2.5, 64 * 64, dtype=np.float32).reshape(1, 64, 64)
    document = pydicom.dcmread(wrap(pixels, KNOWN, tmp_path)[2])
    stored = document.pixel_array.astype(float)
    assert stored.min() == 0 and stored.max() == 65535
    assert np.allclose(stored / 65535 * 4 - 1.5, pixels[0], atol=1e-4)


def test_the_same_picture_is_the_same_instance_and_another_is_not(tmp_path):
    first = wrap(PIXELS, KNOWN, tmp_path)
    assert wrap(PIXELS.copy(), KNOWN, tmp_path) == first
    for pixels, said in (
        (PIXELS + 1, KNOWN),
        (PIXELS, Description((0.2, 0.2), "R", "CC")),
        (PIXELS.T, KNOWN),
    ):
        assert wrap(pixels, said, tmp_path)[:2] != first[:2]


def test_nothing_is_made_up(tmp_path):
    document = pydicom.dcmread(wrap(PIXELS, Description((0.2, 0.2)), tmp_path)[2])
    assert "ViewCodeSequence" not in document and "ImageLaterality" not in document


@pytest.mark.parametrize(
    ("pixels", "spacing"),
    [
        (np.zeros((3, 60, 50)), 0.2),
        (np.zeros((60, 50, 3)), 0.2),
        (np.full((60, 50), np.nan), 0.2),
        (PIXELS, 0.0),
        (PIXELS, 5.0),
    ],
)
def test_what_cannot_be_wrapped(tmp_path, pixels, spacing):
    with pytest.raises(errors.InputError):
        wrap(pixels, Description((spacing, spacing)), tmp_path)


def test_a_folder_that_is_gone(tmp_path):
    with pytest.raises(errors.InputError, match="cannot be written"):
        wrap(PIXELS, KNOWN, tmp_path / "gone")


def test_what_was_said_is_recalled():
    assert recall(KNOWN.text()) == KNOWN
    assert recall(None) is None and recall("x") is None
    assert secondary_capture.recall(Description((0.2, 0.2)).text()) == Description((0.2, 0.2))
