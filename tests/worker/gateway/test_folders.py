"""What the gateway deletes, and when: old things of its own, by a clock that did not leap."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from bcd_model.errors import OutputError
from converters.films.studies import FilmSource, StudyInput
from worker.gateway.storage.folders import Folders

JOB, OTHER = "0123456789abcdef", "fedcba9876543210"
REGION = f"{JOB}{JOB}.dcm"
DAY, YEAR = 86400.0, 365 * 86400.0
KEPT = (DAY, 30 * DAY)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The system's clock as it is set, and the steady one that is never set."""

    class Clocks:
        wall = time.time()
        steady = 1000.0

        def passes(self, seconds: float) -> None:
            self.wall += seconds
            self.steady += seconds

    clocks = Clocks()
    monkeypatch.setattr(time, "time", lambda: clocks.wall)
    monkeypatch.setattr("worker.gateway.storage.clock._steady", lambda: clocks.steady)
    return clocks


def upload(folders: Folders, wall: float, job: str = JOB) -> Path:
    """Keep a film, and publish a result beside it as a worker does: with the time that the system says."""
    folder, held = folders.begin()
    film = folder / "film"
    film.write_bytes(b"film")
    folders.keep(StudyInput("1.2.3", (FilmSource(film, "1.2.3.4", "0" * 64),)), job, folder)
    folders.end(folder, held)
    (folders.results / job / "1.2.3").mkdir(parents=True, exist_ok=True)
    os.utime(folders.results / job, (wall, wall))
    return folders.uploads / job


def none_under_way(_: list[str]) -> Iterable[str]:
    return ()


def old(path: Path) -> None:
    os.utime(path, (1e9, 1e9), follow_symlinks=False)


def test_what_is_old_goes_and_what_is_not_stays(root: Path, clock: Any) -> None:
    folders = Folders(root)
    film = upload(folders, clock.wall)
    assert folders.expire(none_under_way, *KEPT) == (0, 0)
    clock.passes(DAY + 60)
    upload(folders, clock.wall, OTHER)
    assert folders.expire(lambda _: [JOB], *KEPT) == (0, 0)
    assert folders.expire(none_under_way, *KEPT) == (1, 0)
    assert not film.exists()
    clock.passes(29 * DAY)
    assert folders.expire(none_under_way, *KEPT) == (1, 1)
    assert [path.name for path in folders.results.iterdir()] == [OTHER]


@pytest.mark.parametrize("leap", [5 * YEAR, -5 * YEAR, 400 * DAY, -2 * DAY])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_clock_that_leaps_makes_nothing_old(root: Path, clock: Any, leap: float, restarted: bool) -> None:
    folders = Folders(root)
    upload(folders, clock.wall)
    for step in (leap, -leap, leap):  # wrong, right, wrong again
        folders.expire(none_under_way, *KEPT)
        clock.wall += step
        if restarted:
            clock.passes(60)
            folders = Folders(root)
        assert folders.expire(none_under_way, *KEPT) == (0, 0)
        upload(folders, clock.wall, OTHER)
        clock.passes(600)
        assert folders.expire(none_under_way, *KEPT) == (0, 0)
    clock.passes(31 * DAY)
    assert folders.expire(none_under_way, *KEPT) == (2, 2), "and in the end they go all the same"


def test_a_clock_file_that_is_damaged_makes_nothing_old(root: Path, clock: Any) -> None:
    upload(Folders(root), clock.wall)
    for content in ("", "{}", '{"system": "x", "now": []}', '{"system": 1e999, "now": 1}', "[" * 900):
        (root / "clock.json").write_text(content)
        assert Folders(root).expire(none_under_way, *KEPT) == (0, 0)


def test_what_bears_a_time_to_come_is_as_old_as_if_it_had_come_now(root: Path, clock: Any) -> None:
    folders = Folders(root)
    film = upload(folders, clock.wall + 10 * YEAR)
    os.utime(film, (clock.wall + 10 * YEAR,) * 2)
    assert folders.expire(none_under_way, *KEPT) == (0, 0)
    clock.passes(31 * DAY)
    assert folders.expire(none_under_way, *KEPT) == (1, 1)


def test_links_are_not_followed_where_things_are_deleted(root: Path, tmp_path: Path) -> None:
    (root / "gateway").mkdir()
    folders = Folders(root / "gateway")
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("x")
    inside = folders.uploads / JOB
    inside.mkdir()
    (inside / "link").symlink_to(precious)
    (inside / "link.dcm").symlink_to(precious / "file")
    links = [folders.uploads / OTHER, folders.results / OTHER, folders.uploads / ".incoming" / "upload-x"]
    links += [folders.results / ".gone-0123456789abcdef"]
    for link in links:
        link.symlink_to(precious)
    (folders.regions / REGION).symlink_to(precious / "file")
    for path in (inside, *links, folders.regions / REGION, precious, precious / "file"):
        old(path)
    folders.expire(none_under_way, *KEPT)
    assert (precious / "file").read_text() == "x"
    assert not inside.exists()
    film = _film(folders)
    folders.keep(StudyInput("1.2.3", (FilmSource(film, "1.2.3.4", "0" * 64),)), OTHER, film.parent)
    assert (folders.uploads / OTHER / f"1.2.3.4-{'0' * 32}.dcm").read_bytes() == b"film"
    assert [path.name for path in precious.iterdir()] == ["file"]


def _film(folders: Folders) -> Path:
    folder, _ = folders.begin()
    (folder / "film").write_bytes(b"film")
    return folder / "film"


def test_what_has_another_name_or_kind_is_left(root: Path) -> None:
    folders = Folders(root)
    names = ["notes", "0123456789ABCDEF", f"{JOB}0", ".hidden", "regions2", ".gone-x"]
    kept = [place / name for place in (folders.uploads, folders.results) for name in names]
    for path in kept:
        path.mkdir()
    kept += [folders.uploads / OTHER, folders.regions / "notes.dcm"]  # a file in a folder's place
    for path in kept[-2:]:
        path.write_text("x")
    (folders.regions / REGION).mkdir()  # and a folder in a film's
    for path in (*kept, folders.regions / REGION):
        old(path)
    assert folders.expire(none_under_way, *KEPT) == (0, 0)
    assert all(path.exists() for path in (*kept, folders.regions / REGION))


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to give a file away")
def test_what_is_another_users_is_left(root: Path) -> None:
    folders = Folders(root)
    theirs = folders.results / OTHER
    theirs.mkdir()
    (theirs / "file").write_text("x")
    os.chown(theirs, 12345, -1)
    mixed = folders.results / JOB
    (mixed / "1.2.3").mkdir(parents=True)
    for name in ("ours", "theirs"):
        (mixed / "1.2.3" / name).write_text("x")
    os.chown(mixed / "1.2.3" / "theirs", 12345, -1)
    for path in (theirs, mixed):
        old(path)
    assert folders.expire(none_under_way, *KEPT) == (0, 1)
    assert (theirs / "file").exists()
    assert {path.name for path in folders.results.rglob("*") if path.is_file()} == {"file", "theirs"}


@pytest.mark.parametrize("name", ["uploads", "results", "uploads/regions", "uploads/.incoming"])
def test_a_folder_that_is_a_link_is_refused_at_the_start(root: Path, tmp_path: Path, name: str) -> None:
    Folders(root)
    place, aside = root / name, tmp_path / "aside"
    place.rename(aside)
    place.symlink_to(aside)
    with pytest.raises(OutputError, match="cannot be used"):
        Folders(root)


def test_uploads_of_a_killed_gateway_go_at_the_next_start_and_those_under_way_stay(
    root: Path, clock: Any
) -> None:
    folders = Folders(root)
    mine, held = folders.begin()
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from worker.gateway.storage.folders import Folders\n"
        "folder, _ = Folders(Path(sys.argv[1])).begin(); (folder / 'film').write_bytes(b'x')\n"
        "print(folder, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script, str(root)], capture_output=True, text=True, check=False, timeout=60
    )
    left = Path(killed.stdout.strip())
    assert left.is_dir()
    clock.wall += 5 * YEAR
    folders.expire(none_under_way, *KEPT)
    assert not left.exists()
    assert mine.is_dir()
    folders.end(mine, held)
    assert not mine.exists()


def test_no_upload_waits_while_what_is_old_is_deleted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A submission takes the same lock; it is free while the files are deleted one by one."""
    folders = Folders(root)
    upload(folders, 1e9)
    free = []

    def watched(*_: object) -> bool:
        with (folders.uploads / ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free.append(True)
        return True

    monkeypatch.setattr("worker.gateway.storage.folders.remove_folder", watched)
    assert folders.expire(none_under_way, *KEPT) == (0, 1)
    assert free == [True]
