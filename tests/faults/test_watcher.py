"""The watcher sees what the table of faults relies on: no row could fail if it did not."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.watcher import Watcher


@pytest.fixture
def watcher(tmp_path: Path) -> Iterator[Watcher]:
    """A watcher that has seen one result, and looks only when it is told to."""
    publish(tmp_path / "results", "study", "first")
    watcher = Watcher(tmp_path / "results")
    watcher.look()
    assert watcher.published == 1
    assert not watcher.doubled()
    yield watcher


def publish(root: Path, name: str, content: str) -> None:
    """A result of two files, made visible in one step; one that is there is replaced."""
    stage = root.parent / "stage"
    (stage / "overlay").mkdir(parents=True)
    (stage / "result.json").write_text(content)
    (stage / "overlay" / "film.dcm").write_text(content)
    root.mkdir(exist_ok=True)
    if (root / name).exists():
        shutil.rmtree(root / name)
    stage.rename(root / name)


def test_the_same_bytes_again_are_no_doubling(watcher: Watcher) -> None:
    publish(watcher.root, "study", "first")
    watcher.look()
    assert watcher.seen["study"].publications == 2
    assert not watcher.doubled()


def test_other_bytes_are(watcher: Watcher) -> None:
    publish(watcher.root, "study", "second")
    watcher.look()
    publish(watcher.root, "study", "first")  # and back again: it was there once
    watcher.look()
    assert "study/result.json has changed after it was published" in watcher.doubled()


def test_so_is_a_file_that_is_overwritten_in_its_place(watcher: Watcher) -> None:
    (watcher.root / "study" / "overlay" / "film.dcm").write_text("other")
    watcher.look(closely=True)
    assert watcher.doubled() == ["study/overlay/film.dcm has changed after it was published"]


def test_so_is_a_result_that_was_not_whole_when_it_became_visible(watcher: Watcher) -> None:
    (watcher.root / "half").mkdir()
    watcher.look()
    (watcher.root / "half" / "result.json").write_text("late")
    watcher.look()
    assert watcher.doubled() == ["half/result.json has changed after it was published"]


def test_and_one_that_is_taken_away(watcher: Watcher) -> None:
    shutil.rmtree(watcher.root / "study")
    watcher.look()
    assert watcher.doubled() == ["study was taken away"]


def test_what_is_staged_is_no_result_and_is_told_if_it_stays(watcher: Watcher) -> None:
    (watcher.root / ".bcd-staging").mkdir()
    watcher.look()
    assert watcher.published == 1
    assert watcher.left_over() == [".bcd-staging"]


def test_it_looks_by_itself(tmp_path: Path) -> None:
    from tests.faults.sites import wait_for

    with Watcher(tmp_path / "results") as watcher:
        publish(tmp_path / "results", "study", "first")
        wait_for(lambda: watcher.published == 1, 10, "the result is seen")
        publish(tmp_path / "results", "study", "second")
        wait_for(watcher.doubled, 10, "the change is seen")
