"""A result that is quickly made, and what stands in a results folder."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from bcd_model.words import ModelIdentity, OperatingPoint
from converters.results.study_result import FailedFilm, JobIdentity, StudyResult
from tests.support.reasons import because

CREATED = datetime(2024, 5, 6, 7, 8, 9, tzinfo=timezone.utc)


def make_result(job: str = "job1", warnings: tuple[str, ...] = ()) -> StudyResult:
    return StudyResult(
        job=JobIdentity(job, CREATED),
        study_instance_uid="1.2.3",
        input_digest="d",
        model=ModelIdentity("m", "1", "x"),
        operating_point=OperatingPoint(0.5, 0.4),
        films=(
            FailedFilm(
                file="a.dcm",
                sop_instance_uid=None,
                reason=because("its DICOM header cannot be read", "damaged-header"),
            ),
        ),
        warnings=warnings,
    )


def content(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))
