"""The part of leg 4 that needs no panel; the rest waits for a full Slicer."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "plugin" / "BCDDetector" / "Testing" / "Python"))

import bcd_detector_self_test


def test_the_scene_of_the_self_test(world):
    bcd_detector_self_test.check_scene(world.scene, world.application)
