"""A study before its pixels are read: its films, and what is odd about them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from bcd_model.reasons import Reason
from bcd_model.words import Projection
from converters.films.acceptance import Rule


@dataclass(frozen=True, slots=True)
class Shown:
    """What a film shows and of whom, as far as the films of a study are compared. It holds no name.

    Attributes:
        patient: which of the patients that the films of the study name, from 1; 0 if the header may be cut
            off before it says so.
        stated: whether there is a Patient ID.
        projection: its ``patient`` stands for all that two films must share to be compared.
    """

    patient: int
    stated: bool
    projection: Projection


@dataclass(frozen=True, slots=True)
class FilmSource:
    """One film of a study, before its pixels are read.

    Attributes:
        path: the file.
        sop_instance_uid: None if the file cannot be read that far.
        sha256: of the file, in hexadecimal.
        digest: identifies the film: the SHA-256 of the first file that it came in, by default of this one.
        facts: what its header says (`converters.films.facts`); "" if that is not whole, or has no UID.
        reason: why the film is known to be unusable already.
        rule: why it is not to be scanned although nothing is wrong with it.
        all_sha256: of every film that was given under its SOP Instance UID, sorted; () if there was this one
            alone. If its own is among them, it was taken in the place of the others; else they contradict
            each other (`contradiction`).
        shown: None if it is not to be scanned.
    """

    path: Path
    sop_instance_uid: str | None
    sha256: str
    reason: Reason | None = None
    rule: Rule | None = None
    all_sha256: tuple[str, ...] = ()
    digest: str = ""
    facts: str = ""
    shown: Shown | None = None

    def __post_init__(self) -> None:
        if not self.digest:
            object.__setattr__(self, "digest", self.sha256)

    @property
    def scannable(self) -> bool:
        """Whether it is to be scanned, as far as that is known."""
        return self.reason is None and self.rule is None

    @property
    def contradicts(self) -> bool:
        """Whether it stands for several files of which it is not known which is right."""
        return bool(self.all_sha256) and self.digest not in self.all_sha256


@dataclass(frozen=True, slots=True)
class StudyInput:
    """The films of one study, sorted by SOP Instance UID, and what is odd about them.

    Attributes:
        warnings: without the names of files, which may be other patients' than the document's they stand in.
        patients: how many its films name.
        may_be_one: pairs of these (`Shown.patient`), the lower first, that may be one: nothing that both
            state of a patient differs.
    """

    study_instance_uid: str
    films: tuple[FilmSource, ...]
    warnings: tuple[str, ...] = ()
    patients: int = 1
    may_be_one: tuple[tuple[int, int], ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 over the study's content: its UID, its films' UIDs and what identifies each.

        Names, folders and the order in which files were given do not change it.
        """
        lines = sorted(f"{film.sop_instance_uid or ''} {film.digest}" for film in self.films)
        return hashlib.sha256("\n".join((self.study_instance_uid, *lines)).encode()).hexdigest()
