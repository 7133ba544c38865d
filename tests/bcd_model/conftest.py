"""Films and detectors whose answers are known beforehand."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# The helpers beside this file are modules of no package (pytest runs in importlib mode).
sys.path.insert(0, str(Path(__file__).parent))

from blob_films import BLOB_STEPS, BlobDetector

from bcd_model.detector.model import Model
from bcd_model.words import ModelIdentity, OperatingPoint


@pytest.fixture(scope="session")
def blob_model() -> Model:
    return Model(
        BlobDetector().eval(),
        ModelIdentity("blob-detector", "1", "0" * 64),
        OperatingPoint(0.5, 0.4, basis="fixed detector"),
        BLOB_STEPS,
    )
