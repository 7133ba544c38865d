"""A results folder that others may write: the worker deletes, and writes, nothing but its own."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bcd_model.errors import OutputError
from converters.results.study_result import StudyResult
from converters.results.write import write_results
from tests.support.made_results import content, make_result
from worker.study.publish import check_target, prepare_root, publish
from worker.study.published import published
from worker.study.staging import ResultsRoot, open_folder, staged

ABANDONED = f"stage-{7:032x}"
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: another user's files, a mount")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    folder.mkdir()
    return folder


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """Somebody's folder beside the results, as deep as what is attacked; it must be as it was."""
    folder = tmp_path / "victim"
    for inner in (folder, folder / ABANDONED, folder / "1.2.3"):
        inner.mkdir()
        (inner / "thesis.txt").write_text("years of work")
        (inner / "deep").mkdir()
        (inner / "deep" / "data.bin").write_bytes(b"1")
        for old in (inner / "deep", inner):
            os.utime(old, (0, 0))
    before = snapshot(folder)
    yield folder
    assert snapshot(folder) == before


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
    }


def job_of(folder: Path) -> str | None:
    there = published(folder)
    return there and there.job_id


# Links and other things in the place of what is ours


@pytest.mark.parametrize("step", [prepare_root, lambda root: publish(make_result(), root)])
def test_a_link_in_the_place_of_the_staging_folder(
    root: Path, victim: Path, step: Callable[[Path], object]
) -> None:
    (root / ".bcd-staging").symlink_to(victim)
    with pytest.raises(OutputError, match=r"\.bcd-staging: is not a folder of this software.*remove it"):
        step(root)
    assert content(root) == [".bcd-staging"]


def test_a_file_in_the_place_of_the_staging_folder(root: Path) -> None:
    (root / ".bcd-staging").write_text("mine")
    with pytest.raises(OutputError, match=r"\.bcd-staging: is not a folder"):
        prepare_root(root)
    assert (root / ".bcd-staging").read_text() == "mine"


def test_links_in_the_staging_folder(root: Path, victim: Path) -> None:
    staging = root / ".bcd-staging"
    staging.mkdir()
    (staging / ABANDONED).symlink_to(victim)
    (staging / "tmpabcdefg1").symlink_to(victim)
    publish(make_result(), root)
    assert job_of(root / "1.2.3") == "job1"
    assert content(staging) == [ABANDONED, "tmpabcdefg1"]


def test_a_folder_in_the_staging_folder_that_was_not_made_here(root: Path) -> None:
    theirs = root / ".bcd-staging" / "tmpabcdefg1"
    theirs.mkdir(parents=True)
    (theirs / "thesis.txt").write_text("years of work")
    os.utime(theirs, (0, 0))
    publish(make_result(), root)
    assert (theirs / "thesis.txt").read_text() == "years of work"


def test_links_in_what_a_killed_process_left(root: Path, victim: Path) -> None:
    abandoned = root / ".bcd-staging" / ABANDONED
    (abandoned / "overlay").mkdir(parents=True)
    (abandoned / "deep").symlink_to(victim)
    (abandoned / "overlay" / "1.dcm").symlink_to(victim / "thesis.txt")
    (abandoned / "overlay" / "2.dcm").symlink_to(victim / "deep")
    prepare_root(root)
    assert content(root) == []


@pytest.mark.parametrize("force", [False, True])
def test_a_link_in_the_place_of_a_result(root: Path, victim: Path, force: bool) -> None:
    elsewhere = victim.with_name("elsewhere")
    folder = publish(make_result(), elsewhere)
    (folder / "thesis.txt").write_text("years of work")
    before = snapshot(elsewhere)
    (root / "1.2.3").symlink_to(folder)
    with pytest.raises(OutputError, match=r"1\.2\.3: is there already and is not a folder"):
        check_target(root / "1.2.3", "job1", replace=force)
    with pytest.raises(OutputError, match=r"1\.2\.3: is there already and is not a folder"):
        publish(make_result(), root, replace=force)
    assert snapshot(elsewhere) == before
    assert (root / "1.2.3").readlink() == folder


def test_links_in_a_result_that_is_replaced(root: Path, victim: Path) -> None:
    folder = publish(make_result(), root)
    (folder / "overlay").symlink_to(victim)
    (folder / "deep").mkdir()
    (folder / "deep" / "report.html").symlink_to(victim / "thesis.txt")
    publish(make_result("job2"), root, replace=True)
    assert content(root) == ["1.2.3", "1.2.3/report.html", "1.2.3/result.json"]


@pytest.mark.parametrize("uid", ["..", ".", "", "../victim", "a/../../victim", "1.2\x00"])
def test_a_study_uid_that_is_a_path(root: Path, victim: Path, uid: str) -> None:
    result = make_result()
    forged = StudyResult(result.job, uid, "d", result.model, result.operating_point, result.films)
    with pytest.raises(OutputError, match="is not a Study Instance UID"):
        publish(forged, root, replace=True)
    assert content(root) == []


def test_a_pipe_in_the_place_of_a_results_file_holds_nobody_up(root: Path) -> None:
    (root / "1.2.3").mkdir()
    os.mkfifo(root / "1.2.3" / "result.json")
    assert published(root / "1.2.3") is None
    with pytest.raises(OutputError, match="not a result of this software"):
        publish(make_result(), root)


def test_a_lock_that_another_user_holds_on_the_results_folder_holds_nobody_up(root: Path) -> None:
    theirs = os.open(root, os.O_RDONLY)
    fcntl.flock(theirs, fcntl.LOCK_EX)  # anybody who may read the folder can
    publish(make_result(), root)
    os.close(theirs)


# Other users, other file systems


@root_only
def test_a_staging_folder_of_another_user(root: Path) -> None:
    theirs = root / ".bcd-staging" / ABANDONED
    theirs.mkdir(parents=True)
    os.chown(theirs.parent, 4711, 4711)
    with pytest.raises(OutputError, match="belongs to another user"):
        publish(make_result(), root)
    assert content(root) == [".bcd-staging", f".bcd-staging/{ABANDONED}"]


@root_only
def test_a_stage_of_another_user(root: Path) -> None:
    theirs = root / ".bcd-staging" / ABANDONED
    theirs.mkdir(parents=True)
    (theirs / "thesis.txt").write_text("years of work")
    os.chown(theirs, 4711, 4711)
    os.utime(theirs, (0, 0))
    publish(make_result(), root)
    assert (theirs / "thesis.txt").read_text() == "years of work"


@root_only
def test_a_result_of_another_user_is_not_replaced(root: Path) -> None:
    folder = publish(make_result(), root)
    os.chown(folder, 4711, 4711)
    with pytest.raises(OutputError, match="belongs to another user"):
        publish(make_result("job2"), root, replace=True)
    assert job_of(folder) == "job1"


@pytest.mark.parametrize(
    "where", [".bcd-staging", f".bcd-staging/{ABANDONED}", f".bcd-staging/{ABANDONED}/d"]
)
def test_another_file_system(root: Path, where: str) -> None:
    place = root / f".bcd-staging{where}"
    place.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        theirs = place / ABANDONED
        theirs.mkdir()
        (theirs / "thesis.txt").write_text("years of work")
        if not where:
            with pytest.raises(OutputError, match="on another file system"):
                publish(make_result(), root)
        else:
            publish(make_result(), root)
        assert (theirs / "thesis.txt").read_text() == "years of work"
    finally:
        subprocess.run(["umount", "-l", place], check=True)


# Outside the folders that are allowed


def test_a_results_folder_outside_those_that_are_allowed(root: Path, victim: Path) -> None:
    (root / "link").symlink_to(victim)
    for path in (victim, root / "link", root / ".." / "victim"):
        with pytest.raises(OutputError, match="BCD_OUTPUT_ROOTS"):
            publish(make_result(), path, replace=True, roots=[root])
    assert publish(make_result(), root / "in", roots=[root]) == root / "in" / "1.2.3"


def test_a_link_to_an_allowed_folder_is_no_obstacle(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    publish(make_result(), tmp_path / "link", roots=[tmp_path / "link"])
    assert job_of(root / "1.2.3") == "job1"


# What changes while it is worked on


def test_what_is_written_stays_in_its_folder_whatever_becomes_of_the_names(root: Path, victim: Path) -> None:
    def write(result: StudyResult, folder: Path) -> None:
        staging = root / ".bcd-staging"
        (stage,) = staging.iterdir()
        staging.rename(root / "moved")
        staging.symlink_to(victim)
        (victim / stage.name).symlink_to(victim / "1.2.3")
        write_results(result, folder)
        (victim / stage.name).unlink()

    publish(make_result(), root, write=write)
    assert job_of(root / "1.2.3") == "job1"


@pytest.mark.parametrize("exchange", [True, False])
def test_what_takes_the_place_of_a_result_in_the_last_moment_goes_back(
    root: Path, victim: Path, exchange: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exchange:  # as where a file system cannot
        monkeypatch.setattr("worker.study.staging.sys.platform", "other")
    folder = publish(make_result(), root)
    with ResultsRoot(root) as opened, staged(opened) as stage:
        there = open_folder(opened, "1.2.3")
        assert there is not None
        folder.rename(root / "away")
        folder.symlink_to(victim)
        with pytest.raises(FileExistsError, match="something else has taken its place"):
            stage.show("1.2.3", there)
        os.close(there)
    assert folder.readlink() == victim
    assert job_of(root / "away") == "job1"
    assert not (root / ".bcd-staging").exists()


@pytest.mark.parametrize("exchange", [True, False])
def test_a_result_is_replaced_where_names_can_be_exchanged_and_where_not(
    root: Path, exchange: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exchange:
        monkeypatch.setattr("worker.study.staging.sys.platform", "other")
    publish(make_result(), root)
    publish(make_result("job2"), root, replace=True)
    assert job_of(root / "1.2.3") == "job2"
    assert content(root) == ["1.2.3", "1.2.3/report.html", "1.2.3/result.json"]


SWAP = """
import os, sys
place, victim = sys.argv[1:]
print(flush=True)
while True:
    for step in (
        lambda: os.symlink(victim, place + ".link"),
        lambda: os.rename(place, place + ".aside"),
        lambda: os.rename(place + ".link", place),
        lambda: os.rename(place, place + ".link"),
        lambda: os.rename(place + ".aside", place),
    ):
        try:
            step()
        except OSError:
            pass
"""


@pytest.mark.parametrize("what", [".bcd-staging", "1.2.3", "."])
def test_a_race_of_links_costs_nobody_anything(root: Path, victim: Path, what: str) -> None:
    """Another process exchanges a folder for a link to the victim, again and again, while results appear."""
    done, inner = 0, root / "inner"
    inner.mkdir()
    command = [sys.executable, "-c", SWAP, str(inner / what), str(victim)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as swapper:
        assert swapper.stdout is not None
        swapper.stdout.readline()
        for number in range(300):
            try:
                publish(make_result(f"job{number}"), inner, replace=True, make_root=False, roots=[root])
                done += 1
            except OutputError:
                continue
        swapper.kill()
    assert done


def test_what_a_process_that_was_killed_left_is_cleared_at_once(root: Path) -> None:
    killed = os.fork()
    if killed == 0:
        publish(make_result(), root, write=lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        os._exit(1)
    os.waitpid(killed, 0)
    assert len(list((root / ".bcd-staging").iterdir())) == 1
    prepare_root(root)
    assert content(root) == []
