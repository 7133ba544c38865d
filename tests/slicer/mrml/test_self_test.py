"""The part of leg 4 that needs no panel; the rest waits for a full Slicer."""

from __future__ import annotations

import bcd_detector_self_test


def test_the_scene_of_the_self_test(world):
    bcd_detector_self_test.check_scene(world.scene, world.application)
