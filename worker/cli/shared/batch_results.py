"""``results --batch`` and ``results --csv``: many studies, for those who read or count them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from bcd_model.errors import InputError
from bcd_model.words import DISCLAIMER
from converters.results import wording
from converters.results.result_json import read_result
from worker.cli.shared.console import say, say_csv, say_json, say_table, warn
from worker.cli.shared.figures import counted, percent
from worker.cli.shared.selection import ids_of_batch, lost_of
from worker.cli.shared.session import open_queue
from worker.queue.job import Record, Standing
from worker.queue.summary import values_of
from worker.settings import load_settings
from worker.study.outcome import ENDINGS

COLUMNS = (
    "study",
    "sop_instance",
    "file",
    "laterality",
    "view",
    "finding",
    "row",
    "column",
    "radius",
    "class",
    "p_normal",
    "p_benign",
    "p_malignant",
    "presented",
    "prevalence",
    "tracking_uid",
    "job",
    "state",
    "reason",
    "film",
    "warnings",
)
"""Of ``--csv``. Places are in pixels of the film, as in ``result.json``; its findings are counted from 1.

``film`` is what became of the film: scanned, failed or excluded; ``reason`` says why it was not scanned.
"""

_HAVE_RESULT = frozenset({"done", "done with failures"})
_NAMED = 20  # studies without their result that are named
_NO_RECORD = "its record is gone or cannot be read"


def show_batch(batch: str, *, as_csv: bool, as_json: bool) -> None:
    """The studies of a batch, those with the most probable abnormality first."""
    with open_queue(load_settings()) as queue:
        ids = ids_of_batch(queue.records, batch)
        records = sorted(queue.shown(queue.records.each(ids)), key=_urgency)
    lost = lost_of(ids, records)
    if as_csv:
        _say_findings(records, lost)
        return
    places = {record.job_id: record.standing() for record in records}
    if as_json:
        _say_json(batch, records, places, lost)
    else:
        _say_table(records, places)
    gone = [_gone(r, places[r.job_id]) for r in records if has_result(r) and not places[r.job_id].folder]
    _warn_of_missing([*gone, *map(_lost, lost)])


def show_csv(job: str) -> None:
    """The findings of one study: a job's, or those in a result's folder."""
    if job and Path(job).is_dir():
        say_csv([COLUMNS, *_rows(read_result(Path(job)))])
        return
    with open_queue(load_settings()) as queue:
        records = queue.shown([queue.records.find_result(job)])
    _say_findings(records, ())


def has_result(record: Record) -> bool:
    """Whether the job has published a result, wherever that is by now."""
    return record.state in _HAVE_RESULT


def _urgency(record: Record) -> tuple[bool, float, str]:
    return (record.tally.scanned == 0, -record.tally.highest, record.study_instance_uid)


def _say_table(records: Sequence[Record], places: Mapping[str, Standing]) -> None:
    rows = [
        (
            record.job_id,
            record.study_instance_uid,
            record.state,
            f"{record.tally.flagged} of {record.films}" if record.tally.scanned else "",
            (percent(record.tally.highest) if record.tally.highest else "none").rjust(7)
            if record.tally.scanned
            else "",
            places[record.job_id].folder or "",
        )
        for record in records
    ]
    if not rows:
        return
    say_table(("JOB", "STUDY", "STATE", "FLAGGED", "HIGHEST", "FOLDER"), rows)
    points = " or ".join(map(percent, values_of(records, "threshold")))
    holding = wording.prevalence(*values_of(records, "prevalence"))
    say(f"FLAGGED: films with a finding from P(abnormal) {points}. HIGHEST: of all findings; {holding}.")
    say(DISCLAIMER)


def _say_json(
    batch: str, records: Sequence[Record], places: Mapping[str, Standing], lost: Sequence[str]
) -> None:
    studies = [
        {
            "job_id": record.job_id,
            "study_instance_uid": record.study_instance_uid,
            "state": record.state,
            "reason": record.why(with_place=True) or None,
            "films": record.films,
            "films_scanned": record.tally.scanned,
            "films_failed": record.tally.failed,
            "films_excluded": record.tally.excluded,
            "films_flagged": record.tally.flagged,
            "highest_probability": record.tally.highest,
            "prevalence": record.settings.prevalence,
            "result": str(places[record.job_id].folder) if places[record.job_id].folder else None,
            "result_replaced_by": places[record.job_id].other_job or None,
        }
        for record in records
    ]
    facts = {"batch": batch, "disclaimer": DISCLAIMER, "lost": lost}
    say_json(facts | {"studies": studies})


def _say_findings(records: Sequence[Record], lost: Sequence[str]) -> None:
    """The findings of every study that has a result; of the others why they have none."""
    missing: list[str] = []

    def rows() -> Iterator[Sequence[object]]:
        yield COLUMNS
        for record in records:
            yield from _rows_of(record, missing)
        for job in lost:
            missing.append(_lost(job))
            yield _row(job=job, reason=_NO_RECORD)

    say_csv(rows())
    _warn_of_missing(missing)


def _rows_of(record: Record, missing: list[str]) -> Iterator[Sequence[object]]:
    standing = record.standing()
    folder = standing.folder
    if folder is None:
        if has_result(record):
            missing.append(_gone(record, standing))
        else:
            yield _row(
                study=record.study_instance_uid,
                job=record.job_id,
                state=record.state,
                reason=record.why(with_place=True),
            )
        return
    try:
        result = read_result(folder)
    except InputError as error:
        missing.append(f"study {record.study_instance_uid}: {error}")
        return
    if result["job_id"] != record.job_id:  # replaced since it was looked at
        missing.append(_gone(record, Standing(None, folder, result["job_id"])))
        return
    yield from _rows(result)


def _rows(result: Mapping[str, Any]) -> Iterator[Sequence[object]]:
    """A row for every finding; a film without one has a row as well."""
    state, _ = ENDINGS[result["looked_at"]]
    for film in result["films"]:
        of_film = {
            "study": result["study_instance_uid"],
            "sop_instance": film["sop_instance_uid"],
            "file": film["file"],
            "laterality": film["laterality"],
            "view": film["view"],
            "prevalence": result["operating_point"]["prevalence"],
            "job": result["job_id"],
            "state": state,
            "film": film["status"],
            "reason": film["reason"] or film["rule"],
            "warnings": "; ".join((*result["warnings"], *film["warnings"])),
        }
        if not film["findings"]:
            yield _row(**of_film)
        for number, finding in enumerate(film["findings"], start=1):
            yield _row(
                **of_film,
                **{"class": finding["class"]},
                finding=number,
                row=finding["center"][0],
                column=finding["center"][1],
                radius=finding["radius"],
                p_normal=finding["probability"]["normal"],
                p_benign=finding["probability"]["benign"],
                p_malignant=finding["probability"]["malignant"],
                presented="true" if finding["presented"] else "false",
                tracking_uid=finding["tracking_uid"],
            )


def _row(**values: object) -> list[object]:
    """The values in the order of `COLUMNS`; None is written as nothing."""
    return [values.get(column) for column in COLUMNS]


def _gone(record: Record, standing: Standing) -> str:
    if standing.other is not None:
        shown = f"; bcd-admin results {standing.other} shows it" if standing.other_job else ""
        return f"study {record.study_instance_uid}: {standing.explained()}{shown}"
    where = record.outs[-1] / record.study_instance_uid
    return f"study {record.study_instance_uid}: its result is not in {where} any more"


def _lost(job: str) -> str:
    return f"job {job}: {_NO_RECORD}"


def _warn_of_missing(missing: Sequence[str]) -> None:
    """Name the studies whose result cannot be shown, and end with 1 if there are any."""
    for text in missing[:_NAMED]:
        warn(text)
    if missing[_NAMED:]:
        warn(f"and {counted(len(missing) - _NAMED, 'more study', 'more studies')} like these")
    if missing:
        warn("look whether this machine has the disk; to make a result again, submit its study again")
        raise typer.Exit(1)
