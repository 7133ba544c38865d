"""What the gateway answers with, as the OpenAPI document describes it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from bcd_model.words import DISCLAIMER, Label, ModelIdentity, OperatingPoint, Probability
from worker.gateway.problems import Skipped
from worker.gateway.storage.result_files import stands
from worker.queue.job import Record
from worker.queue.records import Answer
from worker.study.outcome import State

Submission = Answer | Literal["refused"]


class Job(BaseModel):
    """One study, one model, one setting."""

    job_id: str = Field(pattern="^[0-9a-f]{16}$")
    study_instance_uid: str
    submission: Submission | None = Field(
        default=None,
        description="what came of it: new work, work under way, done already, or refused, as reason says",
    )
    state: State
    film: int = Field(description="the film at work, from 1; 0 while it waits")
    films: int
    created: str = Field(description="ISO 8601")
    updated: str
    reason: str | None = Field(description="why it failed, or waits")
    reason_code: str | None = Field(description="the kind of that reason, one of a list that is documented")
    superseded_by: str | None = Field(description="the job in its place, which has its films")
    films_scanned: int
    films_failed: int
    films_excluded: int = Field(description="films left out of the scan by a rule")
    films_flagged: int = Field(description="films with a finding at or above the operating point")
    highest_probability: float = Field(description="of abnormality, of any finding; 0 if there is none")
    prevalence: float = Field(description="share of abnormal films where that probability holds")
    result: bool = Field(description="whether its result can be fetched: that of a job done long ago is gone")


class Jobs(BaseModel):
    """Jobs, the last submitted first."""

    jobs: list[Job]
    more: int = Field(default=0, description="how many older ones limit leaves out; absent if none")


class Accepted(BaseModel):
    """What became of an upload."""

    jobs: list[Job]
    skipped: list[Skipped] = Field(description="each file that is part of no study, and why; 200 at most")
    skipped_more: int = Field(default=0, description="how many more such files there are")


class ResultFile(BaseModel):
    """One file of a result."""

    path: str
    size: int
    sha256: str
    content_type: str


class Result(BaseModel):
    """The files of a result."""

    job_id: str
    study_instance_uid: str
    files: list[ResultFile]


class Limits(BaseModel):
    """What one upload may have."""

    bytes: int
    files: int


class Info(BaseModel):
    """What this gateway is."""

    version: str
    disclaimer: str
    model: ModelIdentity = Field(description="that new jobs are scanned with")
    operating_point: OperatingPoint = Field(
        description="where findings are presented from, and what that was measured to be worth"
    )
    limits: Limits
    workers: int
    queued: int
    token: str


class Health(BaseModel):
    """That the gateway runs and reaches its queue."""

    status: Literal["ok"]
    version: str


class RegionAccepted(BaseModel):
    """A region that is to be classified."""

    region_id: str = Field(pattern="^[0-9a-f]{32}$")


class RegionAnswer(BaseModel):
    """What a region is."""

    state: Literal["queued", "done", "failed"]
    label: Label | None = None
    probability: Probability | None = Field(
        default=None, description="the network's own, at its training's prevalence"
    )
    model: ModelIdentity | None = None
    warnings: list[str] = Field(default=[], description="what is to be known of the film")
    reason: str | None = None
    disclaimer: str = DISCLAIMER


class Error(BaseModel):
    """What is wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    skipped: list[Skipped] = Field(default=[], description="files that were no use, and why; 200 at most")
    skipped_more: int = Field(default=0, description="how many more such files there are")


def job_of(record: Record, results: Path, submission: Submission | None = None) -> Job:
    """The job as it is shown to a token; ``results`` is the folder of all results below the gateway."""
    alike = ("job_id", "study_instance_uid", "state", "film", "films")
    return Job(
        **{name: getattr(record, name) for name in alike},
        **{
            f"films_{name}": getattr(record.tally, name)
            for name in ("scanned", "failed", "excluded", "flagged")
        },
        submission=submission,
        created=record.created.isoformat(),
        updated=record.updated.isoformat(),
        reason=record.why() or None,
        reason_code=record.reason.code if record.reason else None,
        superseded_by=record.superseded_by or None,
        highest_probability=record.tally.highest,
        prevalence=record.settings.prevalence,
        result=stands(results, record.job_id, record.study_instance_uid),
    )
