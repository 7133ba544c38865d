"""What different files of one SOP Instance UID are: one film in several forms, or a contradiction."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from bcd_model.errors import FilmError
from bcd_model.reasons import Reason
from converters.films.read import stored_values_of
from converters.films.study_input import FilmSource

_DAMAGED = "damaged"
_UNDECODABLE = frozenset({"compressed-image", "cut-short", "transfer-syntax"})
"""Why pixels cannot be decoded, here or anywhere."""


def as_films(files: Sequence[FilmSource]) -> list[list[FilmSource]]:
    """``files`` of one SOP Instance UID and different content, those that are one film together.

    A file that cannot be used is left out where another whose header says the very same can: by its header,
    or because its pixels cannot be decoded. Files whose headers and stored values say the same are one
    film; where none is to be scanned the headers suffice. Everything else stays apart.
    """
    usable = {file.facts for file in files if file.scannable} - {""}
    files = [file for file in files if file.reason is None or file.facts not in usable]
    if len(files) < 2 or not files[0].facts or len({file.facts for file in files}) > 1:
        return [[file] for file in files]
    if any(file.scannable for file in files):
        pixels = {file.sha256: _stored_values(file) for file in files}
        files = [file for file in files if pixels[file.sha256] != _DAMAGED] or files
        left = {pixels[file.sha256] for file in files}
        if len(left) > 1 or left & {_DAMAGED, ""}:
            return [[file] for file in files]
    return [list(files)]


def _stored_values(source: FilmSource) -> str:
    """The digest of the stored values; "damaged" if they cannot be decoded, "" if that is not known."""
    try:
        return stored_values_of(source.path, source.sha256)
    except FilmError as error:
        return _DAMAGED if error.reason.code in _UNDECODABLE else ""


def contradiction(path: Path, sop_instance_uid: str | None, files: Iterable[str]) -> FilmSource:
    """Several files that claim to be the same SOP instance, as one failed film.

    Args:
        path: of one of them.
        files: what identifies each (`FilmSource.digest`).
    """
    known = tuple(sorted(files))
    digest = hashlib.sha256("\n".join(known).encode()).hexdigest()
    reason = Reason(
        "same-uid", f"{len(known)} different files have its SOP Instance UID", "keep the right one"
    )
    return FilmSource(path, sop_instance_uid, digest, reason, all_sha256=known)
