"""``bcd-admin train`` refuses unusable films by name, before any training."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bcd_model.training import network
from converters.mias.phantom import write_phantom
from worker.cli.shared.folder import held


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train") / "films"
    write_phantom(folder, patients=6, seed=1, shape=(128, 128))
    return folder


def edit(old: str, new: str, count: int = -1) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        info = folder / "Info.txt"
        info.write_text(info.read_text().replace(old, new, count))

    return change


def one_malignant(folder: Path) -> None:
    info = folder / "Info.txt"
    first, _, rest = info.read_text().replace(" B ", " M ").partition(" M ")
    info.write_text(f"{first} M {rest.replace(' M ', ' B ')}")


def cut(folder: Path) -> None:
    film = folder / "phantom002.pgm"
    film.write_bytes(film.read_bytes()[:500])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "Info.txt").unlink(), "Info.txt: not found"),
        (lambda folder: [path.unlink() for path in folder.glob("*.pgm")], "holds no PGM film"),
        (
            lambda folder: (folder / "phantom003.pgm").unlink(),
            "1 film of Info.txt cannot be used or is not there (phantom003)",
        ),
        (lambda folder: (folder / "phantom003.pgm").write_bytes(b"no film"), "is not there (phantom003)"),
        (cut, "phantom002.pgm: is cut off"),
        (edit("phantom001 ", "phantom001 X ", 1), "Info.txt, line "),
        (edit(" M ", " B "), "no film has a malignant lesion with a place"),
        (one_malignant, "would be trained without a malignant lesion"),
        (
            lambda folder: shutil.copy(folder / "phantom001.pgm", folder / "phantom005.pgm"),
            "films phantom001 and phantom005 are the same picture, under two patients",
        ),
    ],
)
def test_unusable_films_are_refused_by_name_before_any_training(
    change: Callable[[Path], object], said: str, films: Path, local: Any, tmp_path: Path
) -> None:
    shutil.copytree(films, tmp_path / "films")
    change(tmp_path / "films")
    answer = local(
        "train", "--mias", tmp_path / "films", "--out", tmp_path / "out", "--folds", 2, "--steps", 2
    )
    assert (answer.code, answer.out) == (3, "")
    assert said in answer.error
    assert not list(tmp_path.glob("out/*"))


def test_a_folder_that_cannot_be_written_is_told_before_the_films_are_prepared(
    films: Path, local: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "prepare", lambda *_: pytest.fail("it was prepared"))
    (tmp_path / "out").write_text("a file")
    answer = local("train", "--mias", films, "--out", tmp_path / "out", "--steps", 2)
    assert (answer.code, answer.out) == (5, "")
    assert f"{tmp_path / 'out'}: is not a folder" in answer.error


def test_two_do_not_train_in_one_folder(films: Path, local: Any, tmp_path: Path) -> None:
    with held(tmp_path / "out"):
        answer = local("train", "--mias", films, "--out", tmp_path / "out", "--steps", 2)
    assert answer.code == 2
    assert "another command is at work in" in answer.error
