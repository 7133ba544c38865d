"""Job records of version 0.1, which may wait in a Redis that outlived it, in the form of today's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from bcd_model.reasons import reason_of_earlier_version
from worker.queue.fields import to_json

_MODEL = ("name", "version", "digest")
_TALLY = {"scanned": "scanned", "failed": "failed_films", "flagged": "flagged", "highest": "highest"}
_FILM = ("path", "sop_instance_uid", "sha256", "reason", "rule", "all_sha256")  # in a list, cut short

FIELDS: Final = ("lane", *(f"model_{name}" for name in _MODEL), *_TALLY.values())
"""What such a record has in place of today's fields."""

_NOT_WRITTEN = {
    "software_version": "0.1.0",
    "batch": "",
    "homes": "[]",
    "refused": "0",
    "superseded_by": "",
}


def is_earlier(fields: Mapping[str, str]) -> bool:
    """Whether ``fields`` are those of a record of version 0.1."""
    return "model" not in fields and "model_name" in fields


def in_todays_form(fields: Mapping[str, str]) -> dict[str, str]:
    """The fields of a record of version 0.1, as this version writes them.

    Raises:
        KeyError, TypeError, ValueError: it cannot be read.
    """
    found = {**_NOT_WRITTEN, **fields}
    found["priority"] = fields.get("priority") or fields["lane"]
    found["model"] = to_json({name: fields[f"model_{name}"] for name in _MODEL})
    if "tally" not in fields:  # as long as no worker of this version has ended it
        found["tally"] = to_json({name: fields[stored] for name, stored in _TALLY.items()})
    if not fields["reason"].startswith("{"):
        found["reason"] = to_json(_reason(fields["reason"]))
    if "study" in fields:
        study = json.loads(fields["study"])
        study["films"] = [_film(film) for film in study["films"]]
        found["study"] = to_json({"study_instance_uid": fields["study_instance_uid"], **study})
    return found


def _film(parts: object) -> dict[str, Any]:
    if not isinstance(parts, list):
        raise TypeError("version 0.1 kept a film as a list")
    film = dict(zip(_FILM, parts, strict=False))
    return film | {"reason": _reason(film.get("reason"))}


def _reason(sentence: str | None) -> dict[str, Any] | None:
    return asdict(reason_of_earlier_version(sentence)) if sentence else None
