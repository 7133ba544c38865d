"""A second file of a film that is known: damaged, with other pixels, refused, or taken by force."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import MPEG2MPML

from bcd_model.errors import OutputError
from converters.films.studies import find_studies
from tests.support.film_forms import in_form, with_other_pixels
from tests.support.reasons import because
from worker.study.same_film import films_submitted, recognised

pytestmark = pytest.mark.redis


@pytest.fixture
def two(films: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Two films of one study."""
    folder = tmp_path / "original"
    folder.mkdir()
    one, other = (Path(shutil.copy(films / f"film{number}.dcm", folder)) for number in (1, 2))
    return one, other


def of_nobody(source: Path, target: Path) -> Path:
    film = dcmread(source)
    film.PatientID = ""
    target.parent.mkdir(exist_ok=True)
    film.save_as(target)
    return target


def undecodable(source: Path, target: Path) -> Path:
    """``source`` in RLE with its pixels spoilt: its header says the same."""
    data = in_form(source, "RLE", target).read_bytes()
    target.write_bytes(data[:-1500] + bytes(1000) + data[-500:])
    return target


def without_decoder(source: Path, target: Path) -> Path:
    """``source`` as a video, for which there is no decoder."""
    film = dcmread(source)
    film.file_meta.TransferSyntaxUID = MPEG2MPML
    film.PixelData = encapsulate([b"\0\0\1\xb3" + bytes(64)])
    film["PixelData"].VR = "OB"
    target.parent.mkdir(exist_ok=True)
    film.save_as(target)
    return target


SPOILT = [
    pytest.param(undecodable, id="undecodable"),
    pytest.param(without_decoder, id="without decoder"),
]


def done(queue: Any, film: Path, holder: str = "one/node/1", **more: Any) -> Any:
    answer = queue.submit(film, **more)
    record = queue.run(answer.job_id, holder)
    assert record.state == "done"
    return record


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_file_that_cannot_be_decoded_ousts_no_film(
    queue: Any, two: tuple[Path, Path], tmp_path: Path, spoil: Any
) -> None:
    done(queue, two[0])
    bad = spoil(two[0], tmp_path / "bad" / "film.dcm")
    again = queue.submit(bad)
    assert (again.answer, again.reason.code) in (
        ("refused", "compressed-image"),
        ("refused", "transfer-syntax"),
    )
    assert queue.submit(two[0]).answer == "done"
    late = queue.submit(two[1])
    record = queue.run(late.job_id, "two/node/1")
    assert (record.state, record.tally.scanned) == ("done", 2)
    (study,) = find_studies([two[0], bad]).studies
    assert [film.reason for film in study.films] == [None]
    assert any("cannot be used and is left out" in text for text in study.warnings)


def test_where_the_earlier_file_is_gone_one_that_cannot_be_decoded_is_refused(
    queue: Any, two: tuple[Path, Path], tmp_path: Path
) -> None:
    done(queue, two[0])
    bad = undecodable(two[0], tmp_path / "bad" / "film.dcm")
    queue.client.flushall()
    answer = queue.submit(bad)
    assert (answer.answer, answer.reason.code) == ("refused", "compressed-image")
    (film,) = json.loads(next(queue.out.rglob("result.json")).read_text())["films"]
    assert film["status"] == "scanned"


def test_the_very_file_is_not_refused_though_an_earlier_version_could_use_it(two: tuple[Path, Path]) -> None:
    (study,) = find_studies([two[0]]).studies
    (film,) = study.films
    now = replace(study, films=(replace(film, reason=because("no decoder any more")),))
    known = [films_submitted([study])]
    assert recognised(now, known) == now
    other = replace(now, films=(replace(now.films[0], sha256="0" * 64, digest="0" * 64),))
    with pytest.raises(OutputError, match="came before; this file of it cannot be used"):
        recognised(other, known)


def test_a_refusal_takes_no_part_in_the_study(queue: Any, two: tuple[Path, Path], tmp_path: Path) -> None:
    done(queue, two[0])
    other = with_other_pixels(two[0], tmp_path / "other" / "film.dcm")
    assert queue.submit(other).answer == "refused"
    other.unlink()
    late = queue.submit(two[1])
    record = queue.run(late.job_id, "two/node/1")
    assert (record.state, record.tally.scanned) == ("done", 2)
    assert queue.submit(two[0].parent).answer == "done"


def test_a_refusal_is_a_job_of_its_own(queue: Any, two: tuple[Path, Path], tmp_path: Path) -> None:
    """The job that it would have been is somebody else's, who may have cancelled it, or whom it failed."""
    other = with_other_pixels(two[0], tmp_path / "other" / "Doe_Jane.dcm")
    theirs = queue.submit(other, out=tmp_path / "theirs")
    assert queue.records.cancel(theirs.job_id, "by hand")
    before = queue.record(theirs.job_id)
    done(queue, two[0])
    refused = queue.submit(other)
    assert (refused.answer, refused.job_id != theirs.job_id) == ("refused", True)
    assert queue.record(theirs.job_id) == before
    assert queue.records.retry(theirs.job_id)


def test_what_is_refused_is_over_once_the_study_is_whole(
    queue: Any, two: tuple[Path, Path], tmp_path: Path
) -> None:
    done(queue, two[0])
    kept = two[0].rename(tmp_path / "kept.dcm")
    refused = queue.submit(two[1])
    assert (refused.answer, refused.reason.code) == ("refused", "films-missing")
    kept.rename(two[0])
    whole = queue.submit(two[0].parent)
    assert queue.run(whole.job_id, "two/node/1").state == "done"
    assert queue.record(refused.job_id).superseded_by == whole.job_id


def test_what_stands_in_the_results_folder_decides(
    queue: Any, two: tuple[Path, Path], tmp_path: Path
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    other = with_other_pixels(two[0], tmp_path / "other" / "film.dcm")
    first = done(queue, two[0], out=here)
    queue.client.flushall()
    second = done(queue, other, "two/node/1", out=there)
    assert queue.submit(two[0], out=here).answer == "done"
    refused = queue.submit(two[0], out=there)
    assert (refused.answer, refused.reason.code) == ("refused", "other-pixels")
    assert (queue.submit(other, out=there).job_id, first.job_id) == (second.job_id, first.job_id)


def test_a_result_whose_job_is_forgotten_is_looked_at_beside_other_jobs(
    queue: Any, two: tuple[Path, Path], tmp_path: Path
) -> None:
    first = done(queue, two[0])
    queue.client.flushall()
    queue.submit(two[1], out=tmp_path / "elsewhere")
    again = queue.submit(in_form(two[0], "RLE", tmp_path / "rle" / "film.dcm"))
    assert (again.job_id, again.answer) == (first.job_id, "done")


def test_force_takes_other_pixels_of_nobodys_film(queue: Any, two: tuple[Path, Path], tmp_path: Path) -> None:
    film = of_nobody(two[0], tmp_path / "nobody" / "film.dcm")
    done(queue, film)
    other = with_other_pixels(film, tmp_path / "other" / "film.dcm")
    assert queue.submit(other).answer == "refused"
    forced = queue.submit(other, force=True)
    record = queue.run(forced.job_id, "two/node/1")
    assert (record.state, record.tally.scanned) == ("done", 1)


def test_force_forgets_what_was_refused(queue: Any, two: tuple[Path, Path], tmp_path: Path) -> None:
    done(queue, two[0])
    assert queue.submit(with_other_pixels(two[0], tmp_path / "other" / "film.dcm")).answer == "refused"
    corrected = dcmread(two[0])
    corrected.AccessionNumber = "CORRECTED"
    corrected.save_as(tmp_path / "corrected.dcm")
    forced = queue.submit(tmp_path / "corrected.dcm", force=True)
    record = queue.run(forced.job_id, "two/node/1")
    assert (record.state, record.tally.scanned) == ("done", 1)


def test_a_damaged_result_is_replaced_by_force(queue: Any, two: tuple[Path, Path]) -> None:
    record = done(queue, two[0])
    path = next(queue.out.rglob("result.json"))
    content = json.loads(path.read_text())
    content["films"][0]["findings"] = [{"radius": "12"}]
    path.write_text(json.dumps(content, indent=1))
    refused = queue.submit(two[0])
    assert (refused.answer, refused.reason.remedy) == (
        "refused",
        "replace it with --force, or give another --out",
    )
    forced = queue.submit(two[0], force=True)
    assert (forced.job_id, forced.answer) == (record.job_id, "queued")
    assert queue.run(forced.job_id, "two/node/1").state == "done"
    assert json.loads(path.read_text()) != content


@pytest.mark.parametrize("kind", ["tomosynthesis", "burned in"])
def test_what_is_not_scanned_is_the_same_in_other_forms_too(
    queue: Any, two: tuple[Path, Path], tmp_path: Path, kind: str
) -> None:
    image = dcmread(two[1])
    if kind == "tomosynthesis":
        image.ImageType = ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "NONE"]
    else:
        image.BurnedInAnnotation = "YES"
    image.save_as(two[1])
    first = queue.submit(two[0].parent)
    queue.run(first.job_id)
    forms = tmp_path / "forms"
    for film in two:
        in_form(film, "RLE", forms / film.name)
    again = queue.submit(forms)
    assert again.job_id == first.job_id
    (study,) = find_studies([two[0].parent, forms]).studies
    assert len(study.films) == 2
    assert not [film.reason for film in study.films if film.reason and film.reason.code == "same-uid"]
    queue.client.flushall()
    assert queue.submit(forms).job_id == first.job_id
