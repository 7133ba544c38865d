"""Where labels stand: on the film, over no outline and over no other label."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from converters.results.gsps import build_presentation
from converters.results.pictures.labels import end_for_caption, font_of, place, size_of, tie
from tests.support import result_builder as build
from tests.support.label_geometry import Collisions, count, letters_on_outlines, of_state, sampled

SHAPE = (1024, 800)
FONT = font_of(SHAPE)
SIZE = size_of("1 malignant 62% (abnormal 87%)", FONT)

centers = st.tuples(st.floats(0, SHAPE[0] - 1), st.floats(0, SHAPE[1] - 1))
radii = st.floats(8, 110)
crowds = st.lists(st.tuples(centers, radii), min_size=1, max_size=12)


def on_film(circles, shape=SHAPE):
    """Outlines of circles, cut at the film's border as the writers cut them."""
    rows, columns = shape
    return [
        [
            (min(max(r, -0.5), rows - 0.5), min(max(c, -0.5), columns - 0.5))
            for r, c in build.circle(center, radius, 48)
        ]
        for center, radius in circles
    ]


def lines(outlines):
    return [sampled([(row + 0.5, column + 0.5) for row, column in outline]) for outline in outlines]


@settings(deadline=None, max_examples=60)
@given(crowds)
def test_no_label_runs_over_an_outline_or_another_label(circles):
    outlines = on_film(circles)
    boxes = place([SIZE] * len(circles), outlines, SHAPE)
    assert count(list(boxes), lines(outlines), SHAPE) == Collisions(len(circles), 0, 0, 0)


@settings(deadline=None, max_examples=30)
@given(centers, radii)
def test_a_label_alone_stands_beside_its_outline_also_at_an_edge(center, radius):
    outlines = on_film([(center, radius)])
    (box,) = place([SIZE], outlines, SHAPE)
    assert tie(box, outlines[0]).length < SIZE[0]


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.tuples(centers, st.floats(1, 2000)), min_size=1, max_size=40),
    st.tuples(st.integers(48, 300), st.integers(48, 300)),
)
def test_labels_stay_on_the_film_however_small_or_crowded_it_is(circles, shape):
    outlines = on_film(circles, shape)
    boxes = place([SIZE] * len(circles), outlines, shape)
    assert count(list(boxes), [], shape).outside == 0


def test_where_no_place_is_free_the_one_that_covers_least_is_taken():
    """A film full of outlines, but in one corner a single one, which a label of that size must run over."""
    places = [(float(row), float(column)) for row in range(20, 480, 40) for column in range(20, 480, 40)]
    circles = [(at, 18.0) for at in places if at[0] < 340 or at[1] < 340] + [((410.0, 410.0), 18.0)]
    (box, *_) = place(
        [(110.0, 110.0), *[(1.0, 1.0)] * (len(circles) - 1)], on_film(circles, (480, 480)), (480, 480)
    )
    assert min(box.top, box.left) > 315


def test_what_is_taken_stays_free():
    outlines = on_film([((500, 400), 30)])
    alone = place([SIZE], outlines, SHAPE)[0]
    beside = place([SIZE], outlines, SHAPE, [alone])[0]
    assert count([alone, beside], lines(outlines), SHAPE) == Collisions(2, 0, 0, 0)


def test_labels_keep_off_the_inside_of_outlines_while_there_is_room():
    outlines = on_film([((500, 400), 300), ((500, 400), 20)])
    for box in place([SIZE] * 2, outlines, SHAPE):
        corners = np.array(
            [(box.top + i * box.height, box.left + j * box.width) for i in (0, 1) for j in (0, 1)]
        )
        assert (np.hypot(*(corners - (500, 400)).T) > 295).all()


def test_caption_goes_to_the_end_of_the_film_with_fewer_outlines():
    low, high = on_film([((1000, 400), 30), ((20, 400), 10)])
    assert end_for_caption(80, [], 1024) == "bottom"
    assert end_for_caption(80, [low], 1024) == "top"
    assert end_for_caption(80, [high], 1024) == "bottom"
    assert end_for_caption(80, [low, high], 1024) == "bottom"


def crowded(rng: np.random.Generator, shape: tuple[int, int], count_: int):
    """Findings close together, some at an edge, as wide as a scan's: 3 to 25 mm of radius at 0.2 mm."""
    middle = rng.uniform(0.2, 0.8, 2) * shape
    return [
        build.finding(
            tuple(np.clip(rng.normal(middle, 120), 0, np.array(shape) - 1)),
            float(rng.uniform(15, 125)),
            malignant=float(rng.uniform(0.3, 0.7)),
            benign=0.25,
            corners=64,
        )
        for _ in range(count_)
    ]


def visible_ties(state) -> int:
    texts = (text for item in state.GraphicAnnotationSequence for text in item.TextObjectSequence)
    return sum(text.get("AnchorPointVisibility") == "Y" for text in texts)


@pytest.mark.parametrize("seed", range(6))
def test_presentation_state_and_overlay_keep_outlines_free(seed):
    rng = np.random.default_rng(seed)
    shape = (1024, 1024)
    film = build.scanned(1, crowded(rng, shape, 3 + seed), shape=shape)
    result = build.study(film)
    state = build_presentation(result, film, build.reference_of(film), 1)
    assert of_state(state) == Collisions(3 + seed, 0, 0, 0)
    touching = letters_on_outlines(film, result)
    # The line that ties a label to its outline ends there, and may cross others on its way.
    assert touching == 0 if not visible_ties(state) else touching <= 12 * visible_ties(state)


def test_a_label_far_from_its_outline_is_tied_to_it():
    """Where a ring of outlines leaves no room beside the finding, a line says which it belongs to."""
    ring = [
        build.finding((512 + 70 * r, 512 + 90 * c), 34, malignant=0.4)
        for r in range(-3, 4)
        for c in range(-3, 4)
    ]
    ring.append(build.finding((512.0, 512.0), 20, malignant=0.7))
    film = build.scanned(1, ring, shape=(1024, 1024))
    state = build_presentation(build.study(film), film, build.reference_of(film), 1)
    texts = [t for a in state.GraphicAnnotationSequence for t in a.TextObjectSequence]
    (first,) = (t for t in texts if t.UnformattedTextValue.startswith("1 "))
    assert first.AnchorPointVisibility == "Y"
    assert np.hypot(first.AnchorPoint[0] - 512, first.AnchorPoint[1] - 512) < 22
    assert of_state(state) == Collisions(50, 0, 0, 0)


@pytest.mark.films
def test_none_overlap_on_thirty_films():
    """Findings made up on the grids of real films; ``tests/benchmarks/labels.py`` counts those of scans."""
    folder = os.environ.get("BCD_MIAS_DIR")
    if not folder:
        pytest.skip("BCD_MIAS_DIR is not set")
    rng = np.random.default_rng(30)
    found = []
    for path in sorted(Path(folder).glob("*.pgm"))[:30]:
        with Image.open(path) as image:
            shape = (image.height, image.width)
        film = build.scanned(1, crowded(rng, shape, int(rng.integers(1, 13))), shape=shape)
        found.append(of_state(build_presentation(build.study(film), film, build.reference_of(film), 1)))
    assert len(found) == 30
    assert [(f.on_outline, f.on_label, f.outside) for f in found] == [(0, 0, 0)] * 30
