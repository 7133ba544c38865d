"""Records of jobs whose studies exist as UIDs, paths and digests only."""

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from bcd_model.words import ModelIdentity
from converters.films.studies import FilmSource, StudyInput
from worker.queue.job import Record
from worker.study.scan import job_id

CREATED = datetime(2024, 5, 6, 7, 8, 9, tzinfo=timezone(timedelta(hours=2)))
MODEL = ModelIdentity("m", "1", "digest")
SHAPE = {"prevalence": 0.4, "threshold": 0.3, "uid_root": "2.25"}


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
