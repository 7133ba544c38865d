"""Films and detectors whose answers are known beforehand."""

from __future__ import annotations

import pytest

from bcd_model.detector.model import Model
from tests.support.blob_films import make_blob_model


@pytest.fixture(scope="session")
def blob_model() -> Model:
    return make_blob_model()
