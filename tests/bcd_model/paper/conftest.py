from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from made_films import made_films
from toy_films import StoredFilm


@pytest.fixture(scope="session")
def films() -> list[StoredFilm]:
    return made_films()
