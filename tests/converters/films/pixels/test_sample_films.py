"""Films that others have written (``BCD_DICOM_SAMPLES``, ``BCD_CASES_DIR``), against dcmtk and GDCM."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from tests.support.codestreams import low_bits, stored_in
from tests.support.second_decoders import by_dcmtk, is_there

SAMPLES, CASES = os.environ.get("BCD_DICOM_SAMPLES"), os.environ.get("BCD_CASES_DIR")

pytestmark = pytest.mark.debian


def film(folder: str | None, name: str) -> Path:
    if not folder:
        pytest.skip("needs BCD_DICOM_SAMPLES or BCD_CASES_DIR")
    return next(Path(folder).glob(f"**/{name}"))


@pytest.mark.parametrize(
    ("folder", "name", "tool"),
    [
        (SAMPLES, "MG1_JPLY.dcm", "dcmdjpeg"),
        (SAMPLES, "cbis_ddsm_rle.dcm", "dcmdrle"),
        (CASES, "18-jpeg-lossless-sv1/in/a.dcm", "dcmdjpeg"),
        (CASES, "18-jpeg-lossless-sv1/in/b.dcm", "dcmdjpeg"),
    ],
)
def test_stored_values_are_those_of_dcmtk_and_gdcm(folder: str | None, name: str, tool: str) -> None:
    path = film(folder, name)
    if not is_there(tool):
        pytest.skip(f"{tool} is not installed")
    stored = low_bits(stored_in(path))
    np.testing.assert_array_equal(stored, by_dcmtk(path, tool))
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    slope, intercept = 1.0, 0.0
    reader.ReadImageInformation()
    if reader.HasMetaDataKey("0028|1053"):
        slope = float(reader.GetMetaData("0028|1053"))
        intercept = float(reader.GetMetaData("0028|1052"))
    gdcm = sitk.GetArrayFromImage(reader.Execute()).reshape(stored.shape)
    np.testing.assert_allclose(stored * slope + intercept, gdcm, atol=1e-6)
