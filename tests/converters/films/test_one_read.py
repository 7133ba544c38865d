"""A file is read once: its hash, its header and its pixels are of the same bytes, whatever a writer does."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from bcd_model.errors import FilmError
from converters.dicom import file as dicom_file
from converters.dicom.file import load, parse_dicom, read_dicom, survey
from converters.films.read import film_of, read_film
from converters.films.studies import FilmSource
from worker.study.scan import _read, may_pass

SaveFilm = Callable[..., Path]

SIDE = 96
RAMP = np.add.outer(np.arange(SIDE), np.arange(SIDE)).astype(np.uint8)
UIDS = {"1.2.3.1": RAMP, "1.2.3.2": RAMP[::-1].copy()}


@pytest.fixture
def two(save_film: SaveFilm) -> tuple[Path, Path]:
    """Two films of the same length that differ in UID and pixels."""
    first, second = (
        save_film(f"{uid}.dcm", pixels, SOPInstanceUID=uid, StudyInstanceUID=f"{uid}.7")
        for uid, pixels in UIDS.items()
    )
    return first, second


@contextmanager
def writer(step: Callable[[int], None]) -> Iterator[None]:
    """``step(0)``, ``step(1)`` ... again and again, as long as the block runs."""
    over = threading.Event()

    def write() -> None:
        number = 0
        while not over.is_set():
            step(number)
            number += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def is_one_of_them(film: object, uid: str | None) -> bool:
    return np.array_equal(film.pixels, (UIDS[uid] / 255).astype(np.float32))  # type: ignore[index, attr-defined]


def test_a_film_that_is_replaced_after_it_was_loaded_is_read_as_it_was(two: tuple[Path, Path]) -> None:
    first, second = two
    file = load(first)
    second.replace(first)
    read = film_of(file, parse_dicom(file))
    assert read.film.sop_instance_uid == "1.2.3.1"
    assert is_one_of_them(read.film, "1.2.3.1")
    assert load(first).sha256 != file.sha256


def test_never_a_mix_under_a_writer_that_replaces_the_file(two: tuple[Path, Path], tmp_path: Path) -> None:
    data = [path.read_bytes() for path in two]
    digests = {hashlib.sha256(each).hexdigest(): uid for each, uid in zip(data, UIDS, strict=True)}
    target = tmp_path / "target.dcm"
    target.write_bytes(data[0])

    def step(number: int) -> None:
        new = tmp_path / "new"
        new.write_bytes(data[number % 2])
        new.replace(target)

    seen = set()
    with writer(step):
        for _ in range(150):
            film = read_film(target).film
            assert is_one_of_them(film, film.sop_instance_uid)
            found = survey(target)
            assert found.dicom is not None
            assert found.dicom.header.SOPInstanceUID == digests[found.sha256]
            seen.add(film.sop_instance_uid)
    assert seen == set(UIDS)


def test_never_a_mix_under_a_writer_in_place(two: tuple[Path, Path], tmp_path: Path) -> None:
    """What is scanned has the hash that was submitted, or is a failed film."""
    data = [path.read_bytes() for path in two]
    target = tmp_path / "target.dcm"
    target.write_bytes(data[0])
    source = FilmSource(target, "1.2.3.1", hashlib.sha256(data[0]).hexdigest())

    def step(number: int) -> None:
        with target.open("r+b") as file:
            file.write(data[number % 2])

    outcomes = set()
    with writer(step):
        for _ in range(150):
            picture = _read([source], 0, patient=False)
            if picture.read is None:
                assert picture.reason is not None
                assert picture.reason.code == "changed"
                outcomes.add("changed")
            else:
                film = picture.read.film
                assert film.sop_instance_uid == "1.2.3.1"
                assert is_one_of_them(film, "1.2.3.1")
            found = survey(target)
            if found.sha256 == source.sha256:
                assert found.dicom is not None
                assert found.dicom.header.SOPInstanceUID == "1.2.3.1"
    assert outcomes == {"changed"}


def test_a_survey_keeps_no_pixels_in_memory(save_film: SaveFilm, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_film("large.dcm", np.zeros((4000, 4000), np.uint16), BitsStored=12)
    most = 0
    real = dicom_file.HashedFile.take

    def take(stream: dicom_file.HashedFile, count: int) -> bytes:
        nonlocal most
        most = max(most, len(stream._buffer))
        return real(stream, count)

    monkeypatch.setattr(dicom_file.HashedFile, "take", take)
    found = survey(path)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.dicom is not None
    assert found.dicom.pixel_data is not None
    assert found.dicom.pixel_data.present == 32_000_000
    assert 0 < most < 1 << 20


def test_a_file_larger_than_any_mammogram_is_not_read(tmp_path: Path, save_film: SaveFilm) -> None:
    path = save_film("film.dcm")
    os.truncate(path, dicom_file.FILM_BYTES + 1)  # sparse: it takes no room
    with pytest.raises(FilmError, match=r"film\.dcm: has 536870913 bytes: more than any mammogram"):
        load(path)


@pytest.mark.parametrize("reader", [load, read_film, read_dicom])
def test_the_systems_error_stays_the_cause(tmp_path: Path, reader: Callable[[Path], object]) -> None:
    """The worker tells by it whether trying again may help."""
    with pytest.raises(FilmError, match=r"absent\.dcm: cannot be opened: No such file") as caught:
        reader(tmp_path / "unmounted" / "absent.dcm")
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    assert may_pass(caught.value)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FilmError, match="not a regular file"):
        load(tmp_path / "pipe")


def test_headers_are_read_by_many_threads_at_once(two: tuple[Path, Path]) -> None:
    """Nothing that reading does is seen outside of it: no level of a logger, no filter of a warning."""
    paths = [path for path in two for _ in range(8)]
    found: list[object] = []

    def read(path: Path) -> None:
        for _ in range(25):
            found.append(read_dicom(path).header.SOPInstanceUID == path.stem)

    threads = [threading.Thread(target=read, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * (25 * len(paths))
