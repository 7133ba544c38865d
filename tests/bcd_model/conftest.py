"""Films and detectors whose answers are known beforehand."""

from __future__ import annotations

import pytest

from bcd_model.detector.model import Model
from bcd_model.words import ModelIdentity, OperatingPoint
from tests.support.blob_films import BLOB_STEPS, BlobDetector


@pytest.fixture(scope="session")
def blob_model() -> Model:
    return Model(
        BlobDetector().eval(),
        ModelIdentity("blob-detector", "1", "0" * 64),
        OperatingPoint(0.5, 0.4, basis="fixed detector"),
        BLOB_STEPS,
    )
