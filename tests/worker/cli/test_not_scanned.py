"""Films in which nothing was scanned, through the command line and the real model: never an all-clear."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

Run = Callable[..., Any]


@pytest.fixture
def pair(patients: list[Path], tmp_path: Path) -> list[Path]:
    """A study of two films, to be changed."""
    paths = []
    for path in sorted(patients[0].glob("*.dcm")):
        paths.append(tmp_path / "study" / path.name)
        paths[-1].parent.mkdir(exist_ok=True)
        paths[-1].write_bytes(path.read_bytes())
    return paths


def change(path: Path, **elements: object) -> None:
    film = pydicom.dcmread(path)
    for keyword, value in elements.items():
        setattr(film, keyword, value)
    film.save_as(path, enforce_file_format=True)


def blank(path: Path, value: int = 0) -> None:
    pixels = pydicom.dcmread(path).pixel_array
    change(path, PixelData=np.full_like(pixels, value).tobytes())


def speckled(path: Path) -> None:
    """A film with a label and no breast."""
    pixels = np.zeros_like(pydicom.dcmread(path).pixel_array)
    pixels[4:9, 4:40:2] = 255
    change(path, PixelData=pixels.tobytes())


UNSEEN: dict[str, Callable[[Path], None]] = {
    "black": blank,
    "white": lambda path: blank(path, 255),
    "no breast": speckled,
    "a step window": lambda path: change(path, WindowCenter="300", WindowWidth="1"),
    "a slope without end": lambda path: change(path, RescaleSlope="1e308", RescaleIntercept="1e308"),
}


def test_a_window_elsewhere_gives_way_to_the_films_own_range(pair: list[Path], local: Run) -> None:
    change(pair[0], WindowCenter="4000", WindowWidth="100")
    answer = local("scan", pair[0].parent, "--out", "out", "--json")
    assert answer.code == 0
    (film,) = (film for film in answer.json["results"][0]["films"] if film["file"] == pair[0].name)
    assert film["status"] == "scanned"
    assert any("its window 4000/100" in warning for warning in film["warnings"])


@pytest.mark.parametrize("kind", sorted(UNSEEN))
def test_a_film_in_which_nothing_was_scanned_has_failed(kind: str, pair: list[Path], local: Run) -> None:
    UNSEEN[kind](pair[0])
    answer = local("scan", pair[0].parent, "--out", "out", "--json")
    assert answer.code == 1
    (result,) = answer.json["results"]
    films = {film["file"]: film for film in result["films"]}
    film = films[pair[0].name]
    assert (film["status"], film["class"], film["film_probability"]) == ("failed", None, None)
    assert film["reason"]
    assert films[pair[1].name]["status"] == "scanned"
    report = pydicom.dcmread(Path(result["folder"]) / "cad_sr.dcm")
    said = {
        item.ConceptNameCodeSequence[0].CodeValue: item.ConceptCodeSequence[0].CodeValue
        for item in report.ContentSequence
        if item.ValueType == "CODE"
    }
    assert said["111017"] in ("111243", "111244")
    assert said["111064"] == "111223"


def test_alone_it_is_code_3(pair: list[Path], local: Run) -> None:
    blank(pair[0])
    answer = local("scan", pair[0], "--out", "out", "--json")
    assert answer.code == 3
    assert answer.json["results"][0]["looked_at"] == "none"


def test_a_spot_view_is_listed_and_never_stands_for_its_view(pair: list[Path], local: Run) -> None:
    spot = pydicom.Dataset()
    spot.CodeValue, spot.CodingSchemeDesignator, spot.CodeMeaning = "399055006", "SCT", "Spot Compression"
    change(pair[0], ViewModifierCodeSequence=[spot])  # at the top level, where some vendors put it
    answer = local("scan", pair[0].parent, "--out", "out")
    assert answer.code == 1
    assert "LOOKED AT IN PART" in answer.out
    assert "excluded: a spot compression or magnification view" in answer.out


def test_a_for_processing_image_beside_its_twin_changes_no_outcome(pair: list[Path], local: Run) -> None:
    raw = pair[0].with_name("raw.dcm")
    raw.write_bytes(pair[0].read_bytes())
    uid = pydicom.dcmread(raw).SOPInstanceUID
    change(raw, SOPInstanceUID=f"{uid[:60]}.9", PresentationIntentType="FOR PROCESSING")
    answer = local("scan", pair[0].parent, "--out", "out", "--json")
    assert answer.code == 0
    films = {film["file"]: film for film in answer.json["results"][0]["films"]}
    assert (films["raw.dcm"]["status"], films["raw.dcm"]["rule"]) == ("excluded", "for processing")
    assert answer.json["results"][0]["looked_at"] == "all"


def test_a_file_that_may_be_a_film_of_any_study_is_named_and_is_no_success(
    studies: Path, tmp_path: Path, local: Run
) -> None:
    for number, path in enumerate(sorted(studies.glob("*/*.dcm"))):
        (tmp_path / f"{number}.dcm").write_bytes(path.read_bytes())
    damaged = tmp_path / "damaged.dcm"
    damaged.write_bytes((tmp_path / "0.dcm").read_bytes()[:400])
    answer = local("scan", *sorted(tmp_path.glob("*.dcm")), "--out", "out", "--json")
    assert answer.code == 1
    assert [item["file"] for item in answer.json["unplaced"]] == [str(damaged)]
    assert "NOT SCANNED" in answer.err
    assert len(answer.json["results"]) == 2


def test_such_a_file_stands_in_the_summary_of_its_batch(kept: Any, studies: Path, tmp_path: Path) -> None:
    for number, path in enumerate(sorted(studies.glob("*/*.dcm"))):
        (tmp_path / f"{number}.dcm").write_bytes(path.read_bytes())
    damaged = tmp_path / "damaged.dcm"
    damaged.write_bytes((tmp_path / "0.dcm").read_bytes()[:400])
    films = sorted(tmp_path.glob("*.dcm"))
    assert kept("submit", *films, "--out", tmp_path / "out", "--batch", "unplaced", "--wait").code == 1
    told = kept("status", "--batch", "unplaced")
    assert told.code == 1
    assert "1 file NOT SCANNED that may be films of any study" in told.out
    damaged.write_bytes((tmp_path / "0.dcm").read_bytes())  # a copy of one of them, after all
    kept("submit", damaged, "--out", tmp_path / "out", "--batch", "unplaced", "--wait")
    assert kept("status", "--batch", "unplaced", "--json").json["files_unplaced"] == 0
