"""A finding lies at the same place in ``result.json`` and in every object beside it."""

from __future__ import annotations

import base64
import dataclasses
import json
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from PIL import Image

from bcd_model.words import HeatMap
from converters.results.write import write_results
from tests.support import result_builder as build

HALF = 0.5
HEAT_STEP = (3.7, 2.9)


def heat_of(findings, shape) -> HeatMap:
    """A bump at each finding, as wide as it is, on a grid that fits the film's pixels nowhere."""
    rows, columns = (-0.5 + step * np.arange(n // step + 1) for n, step in zip(shape, HEAT_STEP, strict=True))
    values = np.zeros((len(rows), len(columns)), np.float32)
    for found in findings:
        distance = np.hypot(rows[:, None] - found.center[0], columns - found.center[1])
        values = np.maximum(values, np.exp(-((distance / (found.radius / 2)) ** 2)).astype(np.float32))
    return HeatMap(values, (-0.5, -0.5), HEAT_STEP)


@dataclasses.dataclass
class Drawing:
    """The first film of a report: the drawing's size, its picture, its polygons as (x, y)."""

    width: int
    height: int
    picture: Image.Image
    polygons: list[np.ndarray]


def drawing(page: Path) -> Drawing:
    """What a browser finds in the page."""
    found: list[tuple[str, dict[str, str]]] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append((tag, dict(attributes)))
    parser.feed(page.read_text(encoding="utf-8"))
    box = next(attributes["viewbox"] for tag, attributes in found if tag == "svg").split()
    jpeg = next(attributes["href"] for tag, attributes in found if tag == "image").partition("base64,")[2]
    points = [attributes["points"] for tag, attributes in found if tag == "polygon"]
    return Drawing(
        int(box[2]),
        int(box[3]),
        Image.open(BytesIO(base64.b64decode(jpeg))),
        [np.array([pair.split(",") for pair in text.split()], dtype=float) for text in points],
    )


def distances(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Of each point to the closed polygon; plain formula, apart from the writer's own."""
    best = np.full(len(points), np.inf)
    for a, b in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        along = np.clip(((points - a) @ (b - a)) / max(((b - a) ** 2).sum(), 1e-12), 0, 1)
        best = np.minimum(best, np.linalg.norm(points - a - along[:, None] * (b - a), axis=1))
    return best


def items(dataset: pydicom.Dataset):
    """Every content item below ``dataset``."""
    for item in dataset.get("ContentSequence", ()):
        yield item
        yield from items(item)


def value(item: pydicom.Dataset, code: str) -> pydicom.Dataset:
    """The child of ``item`` whose concept is ``code``."""
    (found,) = (
        child
        for child in item.ContentSequence
        if "ConceptNameCodeSequence" in child and child.ConceptNameCodeSequence[0].CodeValue == code
    )
    return found


def follow(document: pydicom.Dataset, identifier: list[int]) -> pydicom.Dataset:
    """The content item at a position (PS3.3 C.17.3.2.5): the root is 1."""
    item = document
    for position in identifier[1:]:
        item = item.ContentSequence[position - 1]
    return item


def as_points(graphic_data) -> np.ndarray:
    """Graphic Data to (row, column) of pixel centres."""
    pairs = np.asarray(graphic_data, dtype=float).reshape(-1, 2)
    return pairs[:, ::-1] - 0.5


@pytest.mark.parametrize("laterality", ["L", "R"])
@pytest.mark.parametrize("spacing", [(0.2, 0.2), (0.1, 0.25)])
@pytest.mark.parametrize("shape", [(200, 150), (150, 200)])
def test_outline_and_center_agree_everywhere(laterality, spacing, shape, tmp_path):
    # Off the film's middle and off whole pixels, near one edge, so that no swap or flip goes unseen.
    found = [
        build.finding((30.3, 110.8), 17.4),
        build.finding((110.9, 21.25), 9.7, malignant=0.2, benign=0.6),
    ]
    film = build.scanned(1, found, laterality=laterality, spacing=spacing, shape=shape)
    film = dataclasses.replace(film, scan=dataclasses.replace(film.scan, heat_map=heat_of(found, shape)))
    write_results(build.study(film), tmp_path)
    (told,) = json.loads((tmp_path / "result.json").read_bytes())["films"]
    (state,) = (tmp_path / "presentation").iterdir()
    (picture,) = (tmp_path / "overlay").iterdir()
    (heat,) = (tmp_path / "heatmap").iterdir()

    document = pydicom.dcmread(tmp_path / "cad_sr.dcm")
    findings = [
        item
        for item in items(document)
        if "ConceptNameCodeSequence" in item and item.ConceptNameCodeSequence[0].CodeValue == "111059"
    ]
    assert len(findings) == len(told["findings"]) == 2
    for item, entry in zip(findings, told["findings"], strict=True):
        assert entry["tracking_uid"] == value(item, "112040").UID
        center, outline = value(item, "111010"), value(item, "111041")
        assert (center.GraphicType, outline.GraphicType) == ("POINT", "POLYLINE")
        np.testing.assert_allclose(as_points(center.GraphicData)[0], entry["center"], atol=1e-3)
        points = as_points(outline.GraphicData)
        np.testing.assert_array_equal(points[0], points[-1])
        np.testing.assert_allclose(points[:-1], entry["outline"], atol=1e-3)

    groups = highdicom.sr.srread(tmp_path / "measurement_sr.dcm").content.get_planar_roi_measurement_groups()
    for group, entry in zip(groups, told["findings"], strict=True):
        assert group.tracking_uid == entry["tracking_uid"]
        points = as_points(group.roi.value)
        np.testing.assert_array_equal(points[0], points[-1])
        np.testing.assert_allclose(points[:-1], entry["outline"], atol=1e-3)
        np.testing.assert_allclose(
            as_points(value(group[0], "111010").GraphicData)[0], entry["center"], atol=1e-3
        )

    seg = highdicom.seg.segread(heat)
    (laid,) = seg.get_pixels_by_source_instance([told["sop_instance_uid"]], rescale_fractional=True)
    assert laid.shape == (*shape, 1)
    for entry in told["findings"]:
        row, column = np.ogrid[: shape[0], : shape[1]]
        near = np.hypot(row - entry["center"][0], column - entry["center"][1]) < entry["radius"]
        mass = laid[..., 0] * near
        place = [(mass * axis).sum() / mass.sum() for axis in (row, column)]
        np.testing.assert_allclose(place, entry["center"], atol=max(HEAT_STEP) / 4)

    shown = drawing(tmp_path / "report.html")
    assert shown.width / shown.height == pytest.approx(
        shape[1] * spacing[1] / (shape[0] * spacing[0]), rel=0.01
    )
    scale = np.array([shown.height / shape[0], shown.width / shape[1]])
    drawn = sorted((polygon[:, ::-1] / scale - 0.5 for polygon in shown.polygons), key=lambda p: p[0][0])
    outlines = sorted((np.array(entry["outline"]) for entry in told["findings"]), key=lambda p: p[0][0])
    for polygon, outline in zip(drawn, outlines, strict=True):
        np.testing.assert_allclose(polygon, outline, atol=0.06 / scale.min())
    assert shown.picture.size == (shown.width, shown.height)

    graphics = [
        graphic
        for annotation in pydicom.dcmread(state).GraphicAnnotationSequence
        for graphic in annotation.get("GraphicObjectSequence", ())
    ]
    lines = sorted((as_points(graphic.GraphicData) for graphic in graphics), key=lambda p: p[0][0])
    wanted = sorted((np.array(entry["outline"]) for entry in told["findings"]), key=lambda p: p[0][0])
    for line, outline in zip(lines, wanted, strict=True):
        np.testing.assert_array_equal(line[0], line[-1])
        np.testing.assert_allclose(line[:-1], outline, atol=1e-3)

    pixels = pydicom.dcmread(picture).pixel_array.astype(int)
    colored = np.argwhere(np.ptp(pixels, axis=2) > 0)
    assert pixels.shape == (*shape, 3)
    assert np.min([distances(colored, outline) for outline in wanted], axis=0).max() <= HALF + 1e-6
    for outline in wanted:
        edges = zip(outline, np.roll(outline, -1, axis=0), strict=True)
        along = np.concatenate([np.linspace(start, end, 9) for start, end in edges])
        # A pixel covers half a pixel around its centre: the line is drawn all the way round.
        beside = np.maximum(np.abs(along[:, None] - colored[None]) - HALF, 0)
        assert np.min(np.linalg.norm(beside, axis=2), axis=1).max() <= HALF


@pytest.mark.parametrize("case", ["two films", "many findings", "one film failed", "all films failed"])
def test_references_point_to_the_right_film(case, written):
    study = written(case)
    document = pydicom.dcmread(study.folder / "cad_sr.dcm")
    told = {
        finding["tracking_uid"]: film["sop_instance_uid"]
        for film in json.loads((study.folder / "result.json").read_bytes())["films"]
        for finding in film["findings"]
    }
    seen = {}
    for item in items(document):
        for child in item.get("ContentSequence", ()):
            if child.get("ValueType") == "SCOORD":
                (selected,) = child.ContentSequence
                image = follow(document, list(selected.ReferencedContentItemIdentifier))
                assert image.ValueType == "IMAGE"
                seen.setdefault(value(item, "112040").UID, set()).add(
                    image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
                )
    assert seen == {tracking: {film} for tracking, film in told.items()}

    for code, status in (("111063", "scanned"), ("111025", "failed")):
        listed = [
            follow(document, list(reference.ReferencedContentItemIdentifier))
            .ReferencedSOPSequence[0]
            .ReferencedSOPInstanceUID
            for container in items(document)
            if "ConceptNameCodeSequence" in container
            and container.ConceptNameCodeSequence[0].CodeValue == code
            for reference in container.ContentSequence[0].ContentSequence
            if "ReferencedContentItemIdentifier" in reference
        ]
        expected = [film.sop_instance_uid for film in study.result.films if film.outcome == status]
        assert listed == expected


@pytest.mark.parametrize("case", sorted(build.CASES))
def test_coordinates_lie_on_the_film(case, written):
    study = written(case)
    document = pydicom.dcmread(study.folder / "cad_sr.dcm")
    for item in items(document):
        if item.get("ValueType") == "SCOORD":
            pairs = np.asarray(item.GraphicData).reshape(-1, 2)
            image = follow(document, list(item.ContentSequence[0].ReferencedContentItemIdentifier))
            uid = image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
            (film,) = (film for film in study.result.films if film.sop_instance_uid == uid)
            assert (pairs >= 0).all()
            assert (pairs <= (film.header.Columns, film.header.Rows)).all()


@pytest.mark.parametrize("case", sorted(build.CASES))
def test_presentation_states_use_what_they_define(case, written):
    study = written(case)
    for path in study.files("presentation/*.dcm"):
        state = pydicom.dcmread(path)
        defined = {layer.GraphicLayer for layer in state.GraphicLayerSequence}
        used = {annotation.GraphicLayer for annotation in state.GraphicAnnotationSequence}
        assert used == defined
        (series,) = state.ReferencedSeriesSequence
        (image,) = series.ReferencedImageSequence
        (film,) = (film for film in study.result.films if film.sop_instance_uid == path.stem)
        assert image.ReferencedSOPInstanceUID == path.stem
        assert image.ReferencedSOPClassUID == film.header.SOPClassUID
        assert series.SeriesInstanceUID == film.header.SeriesInstanceUID
        area = state.DisplayedAreaSelectionSequence[0]
        assert area.DisplayedAreaTopLeftHandCorner == [1, 1]
        assert area.DisplayedAreaBottomRightHandCorner == [film.header.Columns, film.header.Rows]
