"""The panel's decisions, apart from its widgets: when Apply may be pressed, what consent says."""

from __future__ import annotations

from urllib.parse import urlsplit

from .address import clean_address, is_loopback
from .answers import Info
from .errors import DetectorError, InputError, NotFoundError, OverloadedError, RefusedError, UnreachableError
from .jobs import ScanOutcome
from .words import Study

_OPEN = "The connection is not encrypted (http)"


def why_not(
    *, has_volume: bool, has_origin: bool, films: int, spacing: float, address: str, token: str, busy: bool
) -> str:
    """Why Apply cannot be pressed, "" if it can.

    Args:
        has_volume: whether a volume is chosen.
        has_origin: whether it claims a DICOM origin.
        films: how many can be sent; 0 if the volume has no DICOM origin.
        spacing: mm, as entered for a volume without origin; 0 if it has not been entered.
        busy: whether a job is under way.
    """
    if busy:
        return "A scan is under way; cancel it or wait for its end."
    if not has_volume:
        return "Load a mammogram and choose it as the input."
    if has_origin and films == 0:
        return "The film's DICOM file is not in Slicer's DICOM database; import it there."
    if not has_origin and spacing <= 0:
        return "This volume does not say how large its pixels are; enter the pixel spacing."
    try:
        clean_address(address)
    except InputError as error:
        return f"Gateway address: {error.message}."
    if not token.strip():
        return "Enter the access token of the gateway."
    return ""


OTHER_FILM = (
    "This picture has a result under another spacing, side or view. Described anew it is another film: "
    "its findings and what was said of them go out of sight, until it is described as before.\n\nGo on?"
)
"""What the user is asked before a picture without DICOM origin becomes another film."""


def consent(address: str, films: int, size: int) -> str:
    """What the user agrees to before anything leaves this machine."""
    host = clean_address(address)
    lines = [
        f"{films} film{'s' if films != 1 else ''} ({size / 1e6:.1f} MB) will be sent to {host}: "
        "pixels and the whole DICOM header, with the patient's name if the files have it.",
    ]
    if not is_private(host):
        lines.append(f"{_OPEN}: others on the network can read films and token.")
    lines.append("The answer is for research only, not for diagnosis or screening decisions.")
    lines.append("Send?")
    return "\n\n".join(lines)


def open_line(address: str) -> str:
    """What the user agrees to before the token goes to another machine in the clear."""
    return f"{_OPEN}: others on the network can read the token.\n\nSend the token to {address}?"


def is_private(address: str) -> bool:
    """Whether others on the network cannot read what is sent: https, or this machine."""
    return urlsplit(address).scheme == "https" or is_loopback(address)


def connection_text(outcome: object) -> str:
    """What Test connection says: ``outcome`` is an Info or an error."""
    if isinstance(outcome, Info):
        text = f"Connected: gateway {outcome.version}, {outcome.model}"
        if outcome.workers == 0:
            return f"{text}, but no worker is running: scans will wait"
        return text
    for kind, word in (
        (UnreachableError, "Unreachable"),
        (RefusedError, "Refused"),
        (NotFoundError, "Not found"),
        (OverloadedError, "Overloaded"),
    ):
        if isinstance(outcome, kind):
            return f"{word}: {outcome.message}"
    message = outcome.message if isinstance(outcome, DetectorError) else str(outcome)
    return f"Failed: {message}"


def outcome_text(outcome: ScanOutcome, shown: int, hidden: int, faults: dict[str, str]) -> str:
    """One line on a result.

    Args:
        shown, hidden: findings that reach the threshold, and that do not.
        faults: why, by film UID, a heat map was not loaded.
    """
    films = outcome.study.films
    failed = [f"{film.name}: {film.reason}" for film in films if film.failed]
    scanned = len(films) - len(failed)
    bare = [
        f"{film.name}: {faults[film.sop_instance_uid]}" for film in films if film.sop_instance_uid in faults
    ]
    parts = [f"{shown} finding{'s' if shown != 1 else ''} shown"]
    if hidden:
        parts.append(f"{hidden} below the threshold")
    parts.append(f"{scanned} film{'s' if scanned != 1 else ''} scanned")
    if failed or outcome.skipped:
        parts.append("not scanned: " + "; ".join((*failed, *outcome.skipped)))
    if bare:
        parts.append("without heat map: " + "; ".join(bare))
    if outcome.earlier:
        parts.append("an earlier result, found at the gateway")
    return ", ".join(parts)


def prevalence_text(prevalence: float | None) -> str:
    """Where the probabilities hold; nothing if that is not known as a number."""
    if prevalence is None:
        return ""
    return f"Probabilities hold where {100 * prevalence:.3g} % of films are abnormal."


def limits_text(study: Study) -> str:
    """What holds back a result, a line each: films that were not scanned, then warnings.

    A warning that every scanned film has stands there once.
    """
    scanned = [film for film in study.films if not film.failed]
    shared = (
        [text for text in scanned[0].warnings if all(text in film.warnings for film in scanned)]
        if scanned
        else []
    )
    lines = [f"Not scanned: {film.name}: {film.reason}" for film in study.films if film.failed]
    lines += [*study.warnings, *shared]
    lines += [f"{film.name}: {text}" for film in scanned for text in film.warnings if text not in shared]
    return "\n".join(dict.fromkeys(lines))


def default_threshold(study: Study) -> float:
    """Where the slider begins: the operating point, or below the least finding that is to be presented."""
    if study.threshold is not None:
        return study.threshold
    return min((found.probability.abnormal for found in study.findings if found.presented), default=0.5)
