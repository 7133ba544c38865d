from __future__ import annotations

import pytest

from tests.support.made_films import made_films
from tests.support.toy_films import StoredFilm


@pytest.fixture(scope="session")
def films() -> list[StoredFilm]:
    return made_films()
