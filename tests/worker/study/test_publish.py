"""Publishing against a real file system: whole or not at all."""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bcd_model.errors import InputError, OutputError
from converters.results.result_json import encode, read_result
from converters.results.study_result import StudyResult
from converters.results.write import write_results
from tests.support import result_builder as build
from tests.support.made_results import CREATED, content, make_result
from worker.study.outcome import Tally
from worker.study.publish import check_target, publish
from worker.study.published import job_of, published
from worker.study.staging import ResultsMode


def test_a_result_says_whose_it_is(tmp_path: Path) -> None:
    folder = publish(make_result(), tmp_path / "new" / "root")
    there = published(folder)
    assert folder == tmp_path / "new" / "root" / "1.2.3"
    assert there is not None
    assert (there.job_id, there.created, there.tally) == ("job1", CREATED, Tally(failed=1))
    assert len(there.contents) == 1
    assert content(folder.parent) == ["1.2.3", "1.2.3/report.html", "1.2.3/result.json"]


@pytest.mark.parametrize("created", ["0001-01-01T00:00:00", "", None])
def test_a_time_without_a_zone_is_none(created: str | None, tmp_path: Path) -> None:
    path = publish(make_result(), tmp_path) / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"created": created}))
    there = published(path.parent)
    assert there is not None
    assert (there.job_id, there.created) == ("job1", None)


MODES = {"private": (0o700, 0o600), "group": (0o750, 0o640), "umask": (0o775, 0o664)}


@pytest.mark.parametrize("mode", MODES)
def test_who_may_read_a_result_is_set(tmp_path: Path, mode: ResultsMode) -> None:
    def write(result: StudyResult, folder: Path) -> None:
        write_results(result, folder)
        (folder / "overlay").mkdir()
        (folder / "overlay" / "1.dcm").touch()

    root, (of_folders, of_files) = tmp_path / "root", MODES[mode]
    before = os.umask(0o002)
    try:
        publish(make_result(), root, mode=mode, write=write)
    finally:
        os.umask(before)
    modes = {path.relative_to(root): path.stat().st_mode & 0o777 for path in [root, *root.rglob("*")]}
    assert len(modes) == 6
    assert modes == {path: of_files if path.suffix else of_folders for path in modes} | {
        Path("1.2.3"): of_folders
    }


def test_results_are_private_by_default_even_where_the_umask_is_open(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        folder = publish(make_result(), tmp_path)
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o077 for path in [folder, *folder.rglob("*")]] == [0, 0, 0]


def test_the_group_of_the_results_folder_goes_on(tmp_path: Path) -> None:
    tmp_path.chmod(0o2750)
    folder = publish(make_result(), tmp_path, mode="group")
    assert folder.stat().st_mode & 0o7777 == 0o2750


def test_the_same_job_replaces_its_result(tmp_path: Path) -> None:
    folder = publish(make_result(), tmp_path)
    (folder / "of the first run").touch()
    publish(make_result(), tmp_path)
    assert content(tmp_path) == ["1.2.3", "1.2.3/report.html", "1.2.3/result.json"]


def test_another_jobs_result_is_replaced_only_on_demand(tmp_path: Path) -> None:
    folder = publish(make_result("job1"), tmp_path)
    with pytest.raises(OutputError, match=r"another job \(job1\).*--force"):
        publish(make_result("job2"), tmp_path)
    assert content(tmp_path) == ["1.2.3", "1.2.3/report.html", "1.2.3/result.json"]
    publish(make_result("job2"), tmp_path, replace=True)
    there = published(folder)
    assert there is not None
    assert there.job_id == "job2"


@pytest.mark.parametrize("other", ["job2", None])
def test_what_came_in_between_is_not_replaced(tmp_path: Path, other: str | None) -> None:
    def write(result: StudyResult, folder: Path) -> None:
        (folder / "result.json").write_text("{}")
        if other is None:
            (tmp_path / "1.2.3").mkdir()
        else:
            publish(make_result(other), tmp_path)

    with pytest.raises(OutputError, match="another job" if other else "not a result of this software"):
        publish(make_result("job1"), tmp_path, write=write)
    there = published(tmp_path / "1.2.3")
    assert (there and there.job_id) == other
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("replace", [False, True])
def test_what_is_no_result_is_never_touched(tmp_path: Path, replace: bool) -> None:
    (tmp_path / "1.2.3").mkdir()
    (tmp_path / "1.2.3" / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="not a result of this software"):
        publish(make_result(), tmp_path, replace=replace)
    assert content(tmp_path) == ["1.2.3", "1.2.3/thesis.txt"]


def test_a_failed_writer_leaves_nothing_behind(tmp_path: Path) -> None:
    def write(result: StudyResult, folder: Path) -> None:
        (folder / "half.dcm").write_bytes(b"half")
        raise OutputError("a finding lies outside its film")

    with pytest.raises(OutputError, match="outside"):
        publish(make_result(), tmp_path, write=write)
    assert content(tmp_path) == []


def test_a_result_that_could_not_be_replaced_still_stands(tmp_path: Path) -> None:
    def write(result: StudyResult, folder: Path) -> None:
        raise OutputError("no")

    publish(make_result(), tmp_path)
    before = (tmp_path / "1.2.3" / "result.json").read_bytes()
    with pytest.raises(OutputError):
        publish(make_result(), tmp_path, write=write)
    assert (tmp_path / "1.2.3" / "result.json").read_bytes() == before


def test_a_reader_never_finds_it_missing_or_half(tmp_path: Path) -> None:
    publish(make_result(), tmp_path)
    stop = threading.Event()
    seen: list[object] = []

    def read() -> None:
        while not stop.is_set():
            seen.append(published(tmp_path / "1.2.3"))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(100):
        publish(make_result(warnings=(f"run {number}",)), tmp_path)
    stop.set()
    reader.join()
    assert seen
    assert None not in seen


def test_what_a_killed_process_left_is_cleared_and_what_is_at_work_is_not(tmp_path: Path) -> None:
    dead = tmp_path / ".bcd-staging" / f"stage-{0:032x}"
    held: list[Path] = []

    def write(result: StudyResult, folder: Path) -> None:
        # while this one is being written and held, another job publishes in the same root
        os.utime(folder, (0, 0))
        dead.mkdir()
        os.utime(dead, (0, 0))
        publish(make_result("job2"), tmp_path, write=lambda r, f: (f / "result.json").write_text("{}"))
        held.extend(dead.parent.iterdir())
        shutil.rmtree(tmp_path / "1.2.3")

    publish(make_result("job1"), tmp_path, write=write)
    assert len(held) == 1
    assert dead not in held
    assert not dead.parent.exists()


def test_a_root_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file.*--out") as caught:
        publish(make_result(), tmp_path / "file" / "results")
    assert caught.value.exit_code == 5


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB; needs the right to mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True, check=False
    )
    if mount.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk_is_told_and_left_clean(tiny_disk: Path) -> None:
    def write(result: StudyResult, folder: Path) -> None:
        (folder / "large").write_bytes(bytes(1 << 20))

    with pytest.raises(OutputError, match=r"No space left.*free space"):
        publish(make_result(), tiny_disk, write=write)
    assert content(tiny_disk) == []


def test_a_read_only_disk_is_told(tiny_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", tiny_disk], check=True)
    with pytest.raises(OutputError, match="Read-only"):
        publish(make_result(), tiny_disk)


def test_a_free_place_may_be_used_by_any_job(tmp_path: Path) -> None:
    check_target(tmp_path / "none", "job", replace=False)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"job_id": "x", "films": 3}', "\xff"])
def test_a_damaged_result_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text, encoding="latin-1")
    assert published(tmp_path) is None


def of_version_0_1(result: StudyResult) -> dict[str, Any]:
    """What version 0.1 wrote of it: without digests, and without a word of how much was looked at."""
    told: dict[str, Any] = json.loads(encode(result)) | {"schema_version": 1}
    for key in ("software_version", "looked_at", "not_looked_at"):
        del told[key]
    for film in told["films"]:
        film["probability"] = film.pop("film_probability")
        for key in (
            "sha256",
            "film_digest",
            "facts_digest",
            "pixel_digest",
            "patient",
            "reason_code",
            "rule",
        ):
            del film[key]
    return told


def test_a_result_of_version_0_1_is_known_for_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(json.dumps(of_version_0_1(build.CASES["one film failed"]())))
    there = published(tmp_path)
    assert there is not None
    assert (there.job_id, there.looked_at) == (job_of(tmp_path), "some")
    assert (len(there.contents), there.tally.scanned, there.tally.failed) == (2, 1, 1)
    assert (there.tally.excluded, there.tally.flagged) == (0, 1)
    assert {(film.digest, film.sha256, film.facts) for film in there.contents} == {(None, None, "")}
    with pytest.raises(InputError, match="schema_version should be 2"):
        read_result(tmp_path)


def lost(part: dict[str, Any], key: str) -> None:
    del part[key]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    "damage",
    [
        lambda told: lost(told, "job_id"),
        lambda told: told.update(job_id=7),
        lambda told: lost(told, "films"),
        lambda told: told.update(created="yesterday"),
        lambda told: told.update(looked_at="most"),
        lambda told: lost(told["films"][0], "status"),
        lambda told: told["films"][0].update(status="done"),
        lambda told: lost(told["films"][0], "findings"),
        lambda told: told["films"][0]["findings"].append(None),
        lambda told: lost(told["films"][0]["findings"][0], "presented"),
        lambda told: told["films"][0]["findings"][0].update(presented="no"),
        lambda told: told["films"][0]["findings"][0]["probability"].update(normal=float("nan")),
        lambda told: told["films"][0]["findings"][0]["probability"].update(normal="0.9"),
    ],
)
def test_a_damaged_result_does_not_pass_for_a_whole_one(
    damage: Callable[[dict[str, Any]], None], version: int, tmp_path: Path
) -> None:
    result = build.CASES["one film failed"]()
    told = json.loads(encode(result)) if version == 2 else of_version_0_1(result)
    (tmp_path / "result.json").write_text(json.dumps(told))
    assert published(tmp_path) is not None
    damage(told)
    (tmp_path / "result.json").write_text(json.dumps(told))
    assert published(tmp_path) is None


@pytest.mark.parametrize(
    ("text", "job"),
    [
        ('{"job_id": "another writer", "films": []}', "another writer"),
        ('{"schema_version": 1, "disclaimer": "\\", \\"job_id\\": \\"a", "job_id": "b"}', "b"),
        ('{"x": {"schema_version": 1, "disclaimer": "", "job_id": "a"}, "job_id": "b"}', "b"),
        ("{}", ""),
        ("[" * 100_000, ""),
        ("", ""),
        (None, None),
    ],
)
def test_whose_result_it_is_follows_from_the_file_as_a_whole(
    tmp_path: Path, text: str | None, job: str | None
) -> None:
    if text is not None:
        (tmp_path / "result.json").write_text(text)
    assert job_of(tmp_path) == job
    assert job_of(publish(make_result("0123456789abcdef"), tmp_path)) == "0123456789abcdef"
