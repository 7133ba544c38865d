"""No reason, warning or document holds the name of a film's file: it may be a patient's."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import FileDataset
from pydicom.uid import JPEGLSLossless, RLELossless

from bcd_model.errors import FilmError
from bcd_model.reasons import Reason
from bcd_model.words import Film, FilmScan
from converters.films.studies import find_studies
from converters.results.result_json import to_json
from converters.results.write import write_results
from tests.support.mammograms import breast, encoded, mammogram, recoded
from tests.support.stand_in import StandIn
from worker.study.outcome import outcome_of
from worker.study.scan import new_job, scan_study

NAME = "QX"
"""Begins the name of every file, and stands in nothing that this software says."""


def changed(**elements: object) -> Callable[[FileDataset], bytes]:
    def change(film: FileDataset) -> bytes:
        for keyword, value in elements.items():
            setattr(film, keyword, value)
        return encoded(film)

    return change


def damaged_rle(film: FileDataset) -> bytes:
    data = encoded(recoded(film, RLELossless))
    return data[:-1500] + bytes(1000) + data[-500:]


FAILING: dict[str, Callable[[FileDataset], bytes]] = {
    "cut": lambda film: encoded(film)[:-1000],
    "cut in its header": lambda film: encoded(film)[:600],
    "burned in": changed(BurnedInAnnotation="YES"),
    "frames": changed(NumberOfFrames=[1, 1]),
    "no contrast": changed(PixelData=bytes(96 * 80)),
    "a slope without end": changed(RescaleSlope="1e308", RescaleIntercept="1e308"),
    "rows and columns exchanged": changed(Rows=80, Columns=96),
    "RLE": damaged_rle,
    "JPEG-LS": lambda film: encoded(recoded(film, JPEGLSLossless))[:-400] + bytes(400),
    "gone": encoded,
    "its folder gone": encoded,
    "another": encoded,
    "a link to itself": encoded,
    "broken down": encoded,
    "refused": encoded,
}

names = st.text(" :;,.'\"^=()[]#%&\\-_aZ7äß\u0416名\u202e\x1b", max_size=20)


class Refusing(StandIn):
    """A scanner that refuses one film, and breaks down at another."""

    def scan(self, film: Film, other: Film | None = None) -> FilmScan:
        if "refused" in film.file:
            raise FilmError("it shows no breast", place=film.file)
        if "broken down" in film.file:
            raise RuntimeError(f"could not scan {film.file}")
        return super().scan(film, other)


@settings(max_examples=10, deadline=None)
@given(names)
def test_no_reason_and_no_document_names_a_file(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths: dict[str, Path] = {}
        for number, (kind, make) in enumerate(FAILING.items()):
            film = mammogram(breast(number=number), name=kind, laterality="LR"[number % 2])
            sub = Path(folder, "films", f"{NAME} folder" if kind == "its folder gone" else "")
            sub.mkdir(parents=True, exist_ok=True)
            paths[kind] = sub / f"{NAME}{name} {kind}.dcm"
            paths[kind].write_bytes(make(film))
        (study,) = find_studies([Path(folder, "films")]).studies
        paths["gone"].unlink()
        paths["its folder gone"].unlink()
        paths["its folder gone"].parent.rmdir()
        paths["another"].write_bytes(b"another")
        paths["a link to itself"].unlink()
        paths["a link to itself"].symlink_to(paths["a link to itself"])
        result = scan_study(study, Refusing(), new_job(study, Refusing()))
        assert {film.file for film in result.films if film.outcome == "failed"} >= {
            path.name for kind, path in paths.items() if kind not in ("JPEG-LS", "RLE")
        }
        out = Path(folder, "out")
        out.mkdir()
        written = write_results(result, out)
        told = to_json(written)
        assert all(film.pop("file").startswith(NAME) for film in told["films"])
        assert NAME not in json.dumps(told)
        assert NAME not in str(outcome_of(written).reason)
        for path in out.rglob("*.dcm"):
            assert NAME.encode() not in path.read_bytes()


def test_a_film_that_fails_later_does_not_name_its_file_on_another_patients_page(tmp_path: Path) -> None:
    """A file of hers that is another one by now: nobody can tell whose it is."""
    for name, patient in (("Adams.dcm", "A"), ("Bergmann.dcm", "B"), ("Bergmann2.dcm", "B")):
        film = mammogram(breast(number=len(name) + ord(patient)), name=name)
        film.PatientID = patient
        (tmp_path / name).write_bytes(encoded(film))
    (study,) = find_studies([tmp_path]).studies
    (tmp_path / "Bergmann.dcm").write_bytes(b"x")
    out = tmp_path / "out"
    out.mkdir()
    write_results(scan_study(study, StandIn(), new_job(study, StandIn())), out)
    pages = {"Adams" in page: page for page in (path.read_text() for path in out.glob("*.html"))}
    assert len(pages) == 2
    assert "Bergmann" not in pages[True]
    assert "Bergmann.dcm" not in pages[False]


@pytest.mark.parametrize("name", ["a: b.dcm", "1.2", "film", "x; y", "'^'"])
def test_the_error_of_a_film_names_its_file_to_a_person(name: str) -> None:
    error = FilmError("is cut short", "send it again", name)
    assert str(error) == f"{name}: is cut short; send it again"
    assert error.reason == Reason("film", "is cut short", "send it again", place=name)
    assert str(error.reason) == "is cut short; send it again"
    kind, arguments = error.__reduce__()
    assert str(kind(*arguments)) == str(error)
