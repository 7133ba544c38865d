"""The scene of slicer-core; skipped where it is not installed."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("slicer", reason="needs slicer-core: make slicer-test has it")

from scene_world import World

PICTURES = Path(__file__).parents[3] / "build" / "slicer"


@pytest.fixture
def world():
    made = World()
    yield made
    made.close()


@pytest.fixture
def shown(world, case):
    """The study of two films, loaded and shown: its words, volumes by UID and table node."""
    from BCDDetectorLib import show
    from BCDDetectorLib.result_reader import read_result

    folder, films = case("two-films")
    study = read_result(folder)
    volumes = {uid: world.add_film(path) for uid, path in sorted(films.items())}
    return study, volumes, show.show_study(world.scene, study)


@pytest.fixture
def pictures() -> Path:
    PICTURES.mkdir(parents=True, exist_ok=True)
    return PICTURES
