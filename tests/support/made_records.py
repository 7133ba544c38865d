"""Records of jobs whose studies exist as UIDs, paths and digests only."""

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, cast

import redis

from bcd_model.words import ModelIdentity
from converters.films.studies import FilmSource, StudyInput
from converters.results.study_result import Shaping
from worker.queue.fields import to_json
from worker.queue.job import Record, from_fields, to_fields
from worker.study.scan import job_id

CREATED = datetime(2024, 5, 6, 7, 8, 9, tzinfo=timezone(timedelta(hours=2)))
MODEL = ModelIdentity("m", "1", "digest")
SHAPE = Shaping(prevalence=0.4, threshold=0.3, uid_root="2.25")


def make_study(uid: str, films: int = 3) -> StudyInput:
    return StudyInput(
        uid, tuple(FilmSource(Path(f"/films/{n}.dcm"), f"{uid}.{n}", f"{n:064x}") for n in range(films))
    )


def record_of(
    study: StudyInput, out: Path | str = "/out", created: datetime = CREATED, **more: Any
) -> Record:
    """The record of a job that scans ``study``, as it is submitted.

    Args:
        more: other fields of the record.
    """
    return Record(
        job_id=job_id(study, MODEL, SHAPE),
        study_instance_uid=study.study_instance_uid,
        input_digest=study.digest,
        model=MODEL,
        settings=SHAPE,
        created=created,
        updated=created,
        films=len(study.films),
        outs=(Path(out),),
        homes=(Path(out),),
        study=study,
        **more,
    )


def out_of_the_queue(record: Record) -> Record:
    """``record`` as it is read from its hash."""
    fields = {name: str(value) for name, value in to_fields(record).items()}
    fields |= {name: to_json([str(out) for out in getattr(record, name)]) for name in ("outs", "homes")}
    found = from_fields(record.job_id, fields | {"state": record.state, "batch": record.batch}, whole=True)
    assert found is not None
    return found


def write_as_version_0_1(client: redis.Redis, job: str) -> None:
    """Put the record of ``job`` into the form in which version 0.1 wrote it."""
    key = f"bcd:job:{job}"
    now = cast("dict[str, str]", client.hgetall(key))
    model, tally, study = (json.loads(now[name]) for name in ("model", "tally", "study"))
    films = [[film["path"], film["sop_instance_uid"], film["sha256"], None, None] for film in study["films"]]
    for name in ("model", "priority", "tally", "software_version", "homes", "refused", "superseded_by"):
        client.hdel(key, name)
    then = {
        **{f"model_{name}": value for name, value in model.items()},
        **{name: tally[name] for name in ("scanned", "flagged", "highest")},
        "failed_films": tally["failed"],
        "lane": now["priority"],
        "study": json.dumps({"films": films, "warnings": study["warnings"]}),
    }
    client.hset(key, mapping=then)
