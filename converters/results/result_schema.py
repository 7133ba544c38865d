"""The keys of ``result.json``, as its readers check them; docs/reference/result.schema.json says the same."""

from __future__ import annotations

import json
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, model_validator

from bcd_model.words import Label, ModelIdentity, Point, Probability
from converters.films.acceptance import Rule
from converters.results.outcome import Extent
from converters.results.study_result import FilmOutcome

R = TypeVar("R", bound="AnyResult")


class _Part(BaseModel, strict=True, allow_inf_nan=False):
    """A key with a default is missing from results of earlier versions."""


class Finding(_Part):
    """What is reported of one place of a film."""

    tracking_uid: str
    center: Point
    radius: float
    outline: tuple[Point, ...]
    label: Literal["benign", "malignant"] = Field(alias="class")
    probability: Probability
    presented: bool


class AnyFilm(_Part):
    """One film, in a result of any version."""

    sop_instance_uid: str | None
    sha256: str | None = None
    film_digest: str | None = None
    facts_digest: str | None = None
    pixel_digest: str | None = None
    all_sha256: tuple[str, ...] = ()
    status: FilmOutcome
    findings: tuple[Finding, ...]


class AnyResult(_Part):
    """A result of any version: whose it is, and what became of the films."""

    schema_version: int
    job_id: str
    created: str | None = None
    looked_at: Extent | None = None
    films: tuple[AnyFilm, ...]


class Film(AnyFilm):
    """One film: scanned, failed or excluded."""

    file: str
    sha256: str | None
    patient: int | None
    laterality: str | None
    view: str | None
    rows: int | None
    columns: int | None
    spacing: Point | None
    spacing_assumed: bool | None
    reason: str | None
    reason_code: str | None = None
    rule: Rule | None
    warnings: tuple[str, ...]
    label: Label | None = Field(alias="class")
    film_probability: Probability | None

    @model_validator(mode="after")
    def _has_what_its_status_needs(self) -> Film:
        if self.status == "scanned" and (self.label is None or self.film_probability is None):
            raise ValueError("a scanned film needs class and film_probability")
        if self.status == "excluded" and self.rule is None:
            raise ValueError("an excluded film needs a rule")
        return self


class OperatingPoint(_Part):
    """From where findings are presented, and what that was measured to be worth."""

    threshold: float
    prevalence: float = Field(gt=0, lt=1)
    sensitivity: float | None
    false_marks_per_film: float | None
    basis: str


class Result(AnyResult):
    """``result.json`` of this schema version."""

    schema_version: Literal[2]
    disclaimer: str
    created: str
    study_instance_uid: str
    input_digest: str
    software_version: str | None = None
    model: ModelIdentity
    settings: dict[str, Any]
    operating_point: OperatingPoint
    looked_at: Extent
    not_looked_at: tuple[str, ...]
    warnings: tuple[str, ...]
    films: tuple[Film, ...]


def checked(found: object, kind: type[R]) -> R:
    """What ``json.loads`` has made of a ``result.json``.

    Raises:
        ValidationError: it is not of ``kind``.
    """
    # A file's name that is not UTF-8 has lone surrogates, which pydantic does not take.
    return kind.model_validate_json(json.dumps(found, ensure_ascii=False).encode(errors="replace"))
