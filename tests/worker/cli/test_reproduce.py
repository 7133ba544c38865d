"""``bcd-admin reproduce`` as a user runs it, on small films in MIAS form."""

import fcntl
import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bcd_model.errors import UsageError
from bcd_model.paper.systems import SYSTEMS, Recipe
from bcd_model.words import Lesion
from converters.mias.collection import info_line
from worker.cli.shared.folder import held


@pytest.fixture
def mias(tmp_path: Path) -> Path:
    """12 patients with a lesion in the left breast; calcifications and masses, benign and malignant."""
    folder = tmp_path / "mias"
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows, columns = np.indices((240, 160))
    lines = []
    for number in range(1, 25):
        pixels = np.where(np.hypot(rows - 120, columns) < 110, 100 + rng.normal(0, 8, rows.shape), 0)
        patient = (number - 1) // 2
        lesion = None
        if number % 2:
            label, kind = ("benign", "malignant")[patient % 2], "CALC" if patient % 4 < 2 else "CIRC"
            lesion = Lesion((float(rng.integers(90, 150)), float(rng.integers(30, 60))), 12.0, label, kind)
            pixels[np.hypot(rows - lesion.center[0], columns - lesion.center[1]) < 8] += 60
        data = pixels.clip(0, 255).astype(np.uint8).tobytes()
        (folder / f"mdb{number:03d}.pgm").write_bytes(b"P5\n160 240\n255\n" + data)
        lines.append(info_line(f"mdb{number:03d}", "F", 240, lesion))
    (folder / "Info.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_the_whole_table_in_a_smoke_run(local: Callable[..., Any], mias: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    paper = ("--protocol", "paper")  # by patient there are five times as many networks
    answer = local("reproduce", "--mias", mias, "--out", out, "--quick", "--steps", 1, *paper)
    assert answer.code == 0, answer.err
    assert answer.out == f"{out / 'report.md'}\n"
    results = json.loads((out / "results.json").read_text())
    done = [(group["system"], group["subset"]) for group in results["paper"]]
    three = ["all", "mass", "calcification"]
    expected = [("S1", s) for s in three] + [("S2", "all"), ("S3", "all")]
    expected += [(system, s) for system in ("S4", "S5") for s in three] + [("S1r", "all"), ("S1u", "all")]
    expected += [("S1f", s) for s in three] + [("S1fr", "all")]
    assert done == expected
    assert f"network {len(expected)} of {len(expected)}" in answer.err
    assert results["comparable"] is False
    assert "Not comparable" in (out / "report.md").read_text()


def test_killed_and_started_again_it_gives_the_same_bytes(admin: Any, mias: Path, tmp_path: Path) -> None:
    arguments = ["reproduce", "--mias", mias, "--system", "S5", "--subset", "all", "--protocol", "paper"]
    arguments += ["--seeds", 1, "--steps", 210]  # the only checkpoint is that of step 200
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert admin(*arguments, "--out", whole).code == 0
    process = subprocess.Popen(
        admin.command(*arguments, "--out", killed),
        cwd=admin.folder,
        env=admin.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 100
        while not list(killed.glob("runs/*/checkpoint.safetensors")):
            assert process.poll() is None, "it ended before its first checkpoint"
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    assert not (killed / "results.json").exists()
    assert admin(*arguments, "--out", killed).code == 0
    for name in ("results.json", "predictions-paper.csv", "losses-paper.csv", "report.md"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name


def test_two_do_not_work_in_one_folder(local: Callable[..., Any], mias: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    descriptor = os.open(out, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        answer = local("reproduce", "--mias", mias, "--out", out, "--quick", "--steps", 1)
    finally:
        os.close(descriptor)
    assert answer.code == 2
    assert "another command is at work in" in answer.error
    assert not list(out.iterdir())


@pytest.mark.parametrize("removed", [False, True])
def test_a_folder_that_another_takes_first_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, removed: bool
) -> None:
    """Both begin at once; the other has the lock first, or was refused and took the folder away."""
    out = tmp_path / "new" / "out"
    lock = fcntl.flock
    others: list[int] = []

    def flock(descriptor: int, how: int) -> None:
        if removed:
            out.rmdir()
        else:
            others.append(os.open(out, os.O_RDONLY))
            lock(others[0], fcntl.LOCK_EX)
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(UsageError, match="another command is at work in"), held(out):
        pytest.fail("it works in a folder that is not its own")
    assert out.exists() is not removed
    assert out.parent.exists()
    for descriptor in others:
        os.close(descriptor)


def test_what_only_diverges_costs_the_others_nothing(
    local: Callable[..., Any], mias: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wild = SYSTEMS["S5"].recipes | {"mass": Recipe(1e30, 4)}
    monkeypatch.setitem(SYSTEMS, "S5", replace(SYSTEMS["S5"], recipes=wild))
    out = tmp_path / "out"
    arguments = ("reproduce", "--mias", mias, "--out", out, "--system", "S5", "--protocol", "paper")
    answer = local(*arguments, "--subset", "mass,calcification", "--steps", 4, "--seeds", 1)
    assert answer.code == 1
    assert "diverged whatever the start weights: S5-mass-paper-seed0-fold0; leave out" in answer.error
    assert "network 2 of 2, S5-calcification-paper-seed0-fold0" in answer.err
    report = (out / "report.md").read_text()
    assert "| S5 | calcification |" in report
    assert "Left because they diverged whatever the start weights: S5-mass-paper-seed0-fold0." in report
    assert json.loads((out / "results.json").read_text())["diverged"] == ["S5-mass-paper-seed0-fold0"]
    alone = local(*arguments[:4], tmp_path / "alone", *arguments[5:], "--subset", "mass", "--steps", 4)
    assert alone.code == 1
    assert not (tmp_path / "alone" / "report.md").exists()


def _lose_a_film(folder: Path) -> None:
    (folder / "mdb007.pgm").unlink()


def _lose_a_row(folder: Path) -> None:
    info = folder / "Info.txt"
    info.write_text("\n".join(line for line in info.read_text().splitlines() if "mdb008" not in line))


def _break_a_row(folder: Path) -> None:
    info = folder / "Info.txt"
    info.write_text(info.read_text().replace("mdb009 F CALC B", "mdb009 F CALC X"))


def _move_a_lesion_out(folder: Path) -> None:
    info = folder / "Info.txt"
    lines = info.read_text().splitlines()
    lines[0] = "mdb001 F CALC B 900 900 12"
    info.write_text("\n".join(lines))


def _cut_a_film_short(folder: Path) -> None:
    film = folder / "mdb003.pgm"
    film.write_bytes(film.read_bytes()[:-5])


def _copy_a_film(folder: Path) -> None:
    (folder / "mdb011.pgm").write_bytes((folder / "mdb003.pgm").read_bytes())


def _one_class(folder: Path) -> None:
    info = folder / "Info.txt"
    info.write_text(info.read_text().replace("CALC M", "ARCH M"))


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (_lose_a_film, "mdb007"),
        (_lose_a_row, "mdb008"),
        (_break_a_row, "line 9: 'X' as severity"),
        (_move_a_lesion_out, "a lesion of mdb001 lies outside the film"),
        (_cut_a_film_short, "mdb003.pgm"),
        (_copy_a_film, "films mdb003 and mdb011 are the same picture, under two patients"),
        (_one_class, "subset calcification has no malignant crop"),
    ],
)
def test_unusable_data_is_refused_by_name_before_any_training(
    spoil: Callable[[Path], None],
    named: str,
    local: Callable[..., Any],
    mias: Path,
    tmp_path: Path,
) -> None:
    spoil(mias)
    answer = local("reproduce", "--mias", mias, "--out", tmp_path / "out", "--quick", "--steps", 1)
    assert answer.code == 3
    assert named in answer.error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("--system", "S6", "unknown system 'S6'"),
        ("--subset", "asymmetry", "unknown subset 'asymmetry'"),
        ("--protocol", "fair", "unknown protocol 'fair'"),
        ("--precision", "int8", "'int8' is not one of 'float32', 'bfloat16'"),
        ("--device", "abacus", "PyTorch cannot use the device 'abacus' here"),
        ("--device", "hpu", "PyTorch cannot use the device 'hpu' here"),
        ("--system", ",", "--system ',' names nothing; leave it out"),
    ],
)
def test_unknown_names_are_usage_errors(
    option: str, value: str, named: str, local: Callable[..., Any], mias: Path, tmp_path: Path
) -> None:
    answer = local("reproduce", "--mias", mias, "--out", tmp_path / "new" / "out", option, value)
    assert answer.code == 2
    assert named in answer.error
    assert not (tmp_path / "new").exists()
