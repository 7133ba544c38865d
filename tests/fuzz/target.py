"""One mutant through grouping, reading, the stand-in scanner and writing, and what was wrong on the way.

The mutant is put through twice: alone, and in one folder with a good film of the other breast. Whatever is
wrong with it may cost only itself: the good film is scanned and its objects are written. A fault is

* an exception of another kind than the documented ones, or one at a place that documents none;
* a file that is in no result and in no list of what was passed over;
* a reason that nothing that was done to the mutant may cause (`reasons`);
* the good film not scanned, or one of its objects missing;
* an object that pydicom cannot read again, or that names another patient than its film;
* the patient in an exception, in the log, on the terminal, in ``result.json`` or in a file's name;
* pixels or a spacing that `bcd_model.words.Film` does not allow, or pixels from more or fewer bytes than
  the header says.

Time and memory are watched from outside (`children`).
"""

from __future__ import annotations

import io
import itertools
import json
import logging
import os
import re
import shutil
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pydicom
from pydicom import config
from pydicom.charset import python_encoding
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import RLELossless

from bcd_model.errors import BcdError, InputError
from converters.films.codecs.encoding import of_bytes
from converters.films.studies import Discovery, find_studies
from converters.results.study_result import FailedFilm, FilmResult
from tests.fuzz.mutators import Mutant
from tests.fuzz.seeds import good_film
from tests.support.mammograms import MARKER
from tests.support.stand_in import StandIn
from worker.study.publish import publish
from worker.study.scan import new_job, scan_study

GOOD, MUTANT = "good.dcm", "mutant.dcm"
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_IDENTITY = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex")
_AMBIGUOUS = frozenset(
    {
        "character set", "element: VR", "element: length", "element: order", "element: twice", "file: cut",
        "file: header bytes", "meta: syntax", "sequence: lengths", "sequence: out of place",
    }
)  # fmt: skip
"""Damage after which two readers may rightly see different patients in one header."""
_LARGE = 8 << 20
"""Bytes of a file above which it is not looked into here: pydicom has no bound of its own."""
_DIRECTORY = "1.2.840.10008.1.3.10"
_OWN_OBJECTS = {  # what is written for each scanned film
    "1.2.840.10008.5.1.4.1.1.11.1": "presentation state",
    "1.2.840.10008.5.1.4.1.1.7": "overlay",
    "1.2.840.10008.5.1.4.1.1.66.4": "heat map",
}
_HERE = Path(__file__).parents[2]


@dataclass
class Verdict:
    """What came of a mutant.

    Attributes:
        outcome: "scanned", "failed", "excluded", or "refused": in no study.
        reason: the code of why it was not scanned; "" if it was, or no reason is needed.
        faults: (where it showed, what it was), of no fixed wording.
        cpu: seconds of processor time that it took alone or beside the good film, whichever was more.
        memory: bytes that it took, or asked for, likewise.
    """

    number: int
    outcome: str = "refused"
    reason: str = ""
    faults: list[tuple[str, str]] = field(default_factory=list)
    cpu: float = 0.0
    memory: int = 0

    def fault(self, where: str, what: str) -> None:
        self.faults.append((where, what))


class _StoppedError(Exception):
    """A fault after which nothing more can be looked at."""


def examine(mutant: Mutant, *, thorough: bool, scanner: StandIn | None = None, twice: bool = True) -> Verdict:
    """Put ``mutant`` through.

    Args:
        scanner: by default a `StandIn` for each study.
        thorough: whether its results are written. Writing takes most of the time.
        twice: whether it is put through alone even where it was scanned beside the good film: the same
            pixels are read and the same objects are written once more.
    """
    verdict = Verdict(mutant.number)
    shared = Path("/dev/shm")  # nothing is tried on the disk here, and memory is faster
    root = shared if os.access(shared, os.W_OK) else None
    work = Path(tempfile.mkdtemp(prefix="bcd-fuzz-", dir=root))
    try:
        _beside(mutant, work, verdict, write=thorough, scanner=scanner)
        if twice or verdict.outcome != "scanned":
            _alone(mutant, work, verdict, write=thorough, scanner=scanner)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return verdict


def _alone(mutant: Mutant, work: Path, verdict: Verdict, *, write: bool, scanner: StandIn | None) -> None:
    folder = work / "alone"
    folder.mkdir()
    (folder / MUTANT).write_bytes(mutant.data)
    with suppress(_StoppedError), _watching(work, verdict):
        found = _find(folder, verdict, "alone")
        if found is not None:
            _through(found, work / "alone-results", verdict, "alone", write=write, scanner=scanner)


def _beside(mutant: Mutant, work: Path, verdict: Verdict, *, write: bool, scanner: StandIn | None) -> None:
    folder, results = work / "beside", work / "beside-results"
    folder.mkdir()
    (folder / MUTANT).write_bytes(mutant.data)
    (folder / GOOD).write_bytes(good_film())
    with suppress(_StoppedError):
        with _watching(work, verdict):
            found = _find(folder, verdict, "beside")
            films = (
                []
                if found is None
                else _through(found, results, verdict, "beside", write=write, scanner=scanner)
            )
        own = _own_header(mutant.data)
        _check_outcomes(found, films, own, mutant, verdict)
        if verdict.outcome == "scanned" and not mutant.same_sop:
            _check_pixels(mutant.data, verdict)
        _check_files(results, verdict)
        if results.is_dir():
            sure = not _AMBIGUOUS.intersection(mutant.kinds)
            good = None if mutant.same_sop else _own_header(good_film())
            _check_objects(results, own if sure else None, good, verdict)


def _find(folder: Path, verdict: Verdict, where: str) -> Discovery | None:
    """The studies; None if there is none."""
    try:
        return find_studies([folder])
    except InputError as error:
        _check_text(str(error), f"grouping {where}", verdict)
        return None
    except Exception as error:
        verdict.fault(f"grouping {where}", _told(error))
        raise _StoppedError from error


def _through(
    found: Discovery, results: Path, verdict: Verdict, where: str, *, write: bool, scanner: StandIn | None
) -> list[FilmResult]:
    """Scan every study, and write it."""
    scanner = StandIn() if scanner is None else scanner
    films: list[FilmResult] = []
    for skipped in (*found.skipped, *found.unplaced):
        _check_text(str(skipped.reason), f"grouping {where}", verdict)

    def broke(number: int, error: Exception) -> None:
        verdict.fault(f"reading {where}", _told(error))

    for study in found.studies:
        step = "reading"
        try:
            result = scan_study(study, scanner, new_job(study, scanner), broke=broke)
            films += result.films
            step = "writing"
            if write:
                publish(result, results)
        except Exception as error:
            if isinstance(error, BcdError):
                _check_text(str(error), f"{step} {where}", verdict)
            verdict.fault(f"{step} {where}", _told(error))
            raise _StoppedError from error
    for complaint in dict.fromkeys(scanner.complaints):
        verdict.fault(f"film as read {where}", complaint)
    return films


def _told(error: BaseException) -> str:
    """Kind of ``error``, the deepest line of this software it came through, and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _ours(frame.filename)]
    places = [own[-1], frames[-1]] if own and own[-1] is not frames[-1] else frames[-1:]
    at = " <- ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(places))
    return f"{type(error).__name__} at {at}: {str(error)[:120]!r}"


def _ours(file: str) -> bool:
    parts = Path(file).parts
    return str(_HERE) in file and any(name in parts for name in ("converters", "worker", "bcd_model"))


# --- what was written ---


def _check_outcomes(
    found: Discovery | None,
    films: Sequence[FilmResult],
    own: Dataset | None,
    mutant: Mutant,
    verdict: Verdict,
) -> None:
    """Each of the two files is somewhere, and the good one was scanned."""
    outcome: dict[str, str] = {film.file: film.outcome for film in films}
    verdict.outcome = outcome.get(MUTANT, "refused")
    if mutant.same_sop:  # nobody can tell which of the two is right
        return
    left_over = () if found is None else (*found.skipped, *found.unplaced)
    passed_over = any(skipped.path.name == MUTANT for skipped in left_over)
    reasons = [film.reason.code for film in films if film.file == MUTANT and isinstance(film, FailedFilm)]
    reasons += [skipped.reason.code for skipped in left_over if skipped.path.name == MUTANT]
    verdict.reason = next(iter(reasons), "")
    unlikely = set(reasons) - mutant.may
    if unlikely:
        verdict.fault(
            "reason beside", f"{', '.join(mutant.kinds)} cannot cause {', '.join(sorted(unlikely))}"
        )
    directory = _class_of(own) == _DIRECTORY
    if MUTANT not in outcome and not passed_over and not directory:
        verdict.fault("result beside", "the mutant is in no result and not passed over either")
    if outcome.get(GOOD) != "scanned":
        verdict.fault("result beside", f"the good film is {outcome.get(GOOD, 'in no study')}")


def _check_pixels(data: bytes, verdict: Verdict) -> None:
    """A scanned film has as many bytes of pixels as its header says: with others, its rows would shear."""
    if len(data) > _LARGE:
        return
    try:
        film = pydicom.dcmread(io.BytesIO(data))
        syntax, stored = film.file_meta.TransferSyntaxUID, film.PixelData
        count, size = film.Rows * film.Columns, film.BitsAllocated // 8
        if film["PixelData"].is_undefined_length != syntax.is_encapsulated or not syntax.is_encapsulated:
            frame = stored
        else:
            frame = next(generate_frames(stored, number_of_frames=1))
        if of_bytes(frame) is not None or film["PixelData"].is_undefined_length != syntax.is_encapsulated:
            return  # it was read as what its bytes are
        if syntax == RLELossless and len(frame) != count * size:
            lengths = _rle_lengths(frame)
            right = lengths == [count] * size
        else:
            lengths = [len(stored)]
            right = len(stored) in (count * size, count * size + count * size % 2)
        is_rle = syntax == RLELossless and len(frame) != count * size
        counted = is_rle or (isinstance(stored, bytes) and not syntax.is_encapsulated)
    except Exception:  # noqa: BLE001 - pydicom may raise anything on a mutant
        return
    if counted and not right:
        verdict.fault("film as read beside", f"{count} pixels of {size} bytes came from ({lengths})")


def _rle_lengths(frame: bytes) -> list[int]:
    """How many bytes each segment of an RLE frame stands for (PS3.5 G.3, G.5)."""
    segments, *starts = struct.unpack_from("<16L", frame)
    starts = [*starts[:segments], len(frame)]
    lengths = []
    for start, end in itertools.pairwise(starts):
        at, length = start, 0
        while at < end:
            code = frame[at]
            if code < 128:  # so many bytes and one more as they are; a padding byte has none behind it
                length += max(0, min(code + 1, end - at - 1))
                at += code + 2
            elif code > 128:
                length += 257 - code if at + 1 < end else 0
                at += 2
            else:
                at += 1
        lengths.append(length)
    return lengths


def _check_files(results: Path, verdict: Verdict) -> None:
    for path in sorted(results.rglob("*")):
        _check_text(str(path.relative_to(results)), "file name", verdict)
        if path.name == "result.json":
            text = path.read_bytes()
            for film in json.loads(text)["films"]:
                if "cannot be made" in str(film["reason"]):
                    verdict.fault("writing beside", f"{film['file']}: {film['reason']}")
            if MARKER.encode() in text:
                verdict.fault("result.json", "names the patient")


def _own_header(data: bytes) -> Dataset | None:
    """The elements that are compared, as pydicom sees them; None if it does not, or would take too long."""
    if len(data) > _LARGE:
        return None
    try:
        # From memory: of a file, pydicom would set aside what an element claims to be long.
        header = pydicom.dcmread(
            io.BytesIO(data), stop_before_pixels=True, specific_tags=[*_IDENTITY, "SOPInstanceUID"]
        )
        if not _has_standard_character_set(header):  # then its bytes stand for themselves
            for keyword in _IDENTITY:
                raw = header.get_item(keyword)
                if raw is not None and isinstance(raw.value, bytes):
                    header.add_new(raw.tag, "LO", raw.value.decode("latin-1"))
        return header
    except Exception:  # noqa: BLE001 - pydicom may raise anything on a mutant
        return None


def _class_of(header: Dataset | None) -> str:
    return _value(getattr(header, "file_meta", None), "MediaStorageSOPClassUID") or ""


def _check_objects(results: Path, own: Dataset | None, good: Dataset | None, verdict: Verdict) -> None:
    good_uid, own_uid = _value(good, "SOPInstanceUID"), _value(own, "SOPInstanceUID")
    of_good: set[str] = set()
    expected = set(_OWN_OBJECTS.values()) if good_uid and _written(results, GOOD) else set()
    for path in sorted(results.rglob("*.dcm")):
        where = f"object {path.relative_to(results).parts[1]}"
        try:
            written = pydicom.dcmread(path)
            references = set(_all_values(written, "ReferencedSOPInstanceUID"))
        except Exception as error:  # noqa: BLE001 - the exception is the finding
            verdict.fault(where, f"cannot be read again: {_told(error)}")
            continue
        for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
            value = _value(written, keyword) or ""
            if len(value) > 64 or not _UID.fullmatch(value):
                verdict.fault(where, f"has no valid {keyword}")
        kind = _OWN_OBJECTS.get(str(written.SOPClassUID))
        if good_uid and good_uid in references:
            _check_patient(written, good, None, where, verdict)
            if kind:
                of_good.add(kind)
        if own_uid and own_uid in references and own_uid != good_uid:
            _check_patient(written, own, good, where, verdict)
    missing = expected - of_good
    if missing:
        verdict.fault("result beside", f"the good film has no {', '.join(sorted(missing))}")


def _written(results: Path, file: str) -> bool:
    """Whether a result.json says that this film was scanned."""
    films = [
        film for path in results.glob("*/result.json") for film in json.loads(path.read_bytes())["films"]
    ]
    return any(film["file"] == file and film["status"] == "scanned" for film in films)


def _check_patient(
    written: Dataset, film: Dataset | None, other: Dataset | None, where: str, verdict: Verdict
) -> None:
    """``written`` names the patient of ``film``; where that is no valid value, at least not ``other``'s."""
    wrong = []
    for keyword in _IDENTITY:
        told, own = _value(written, keyword), _value(film, keyword)
        if told is None or own is None or told == own:
            continue
        foreign = other is not None and told == _value(other, keyword)
        plain = len(own) <= 64 and own.isascii() and own.isprintable() and "\\" not in own
        if foreign or (plain and (told or other is None)):
            wrong.append(keyword)
    if wrong:
        verdict.fault(where, f"names another patient than its film ({', '.join(wrong)})")


def _has_standard_character_set(film: Dataset) -> bool:
    """Whether pydicom reads the texts by the standard's character sets; it takes Python's codecs, too."""
    stated = film.get("SpecificCharacterSet") or ""
    return all(str(term) in python_encoding for term in ([stated] if isinstance(stated, str) else stated))


def _value(header: Dataset | None, keyword: str) -> str | None:
    """The text of an element, "" if it is absent or empty; None if it cannot be told."""
    if header is None:
        return None
    try:
        value = header.get(keyword)
        return "" if value is None else str(value).strip(" \0").rstrip("^")
    except Exception:  # noqa: BLE001 - pydicom may raise anything on a mutant
        return None


def _all_values(dataset: Dataset, keyword: str) -> Iterator[str]:
    """The values of all elements of this keyword at any depth; every element is decoded on the way."""
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from _all_values(item, keyword)
        elif element.keyword == keyword:
            yield str(element.value)


# --- what was said ---


def _check_text(text: str, where: str, verdict: Verdict) -> None:
    if MARKER in text:
        verdict.fault(where, f"says the patient's name or number: {text[:120]!r}")
    if "\n" in text or "\r" in text:
        verdict.fault(where, f"is not one line: {text[:120]!r}")


@contextmanager
def _watching(work: Path, verdict: Verdict) -> Iterator[None]:
    """Note the time; all that is logged or printed in the meantime, from C as well, must name no patient."""
    heard = io.StringIO()
    handler = logging.StreamHandler(heard)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    saved = [os.dup(1), os.dup(2)]
    with (work / "terminal").open("w+b") as terminal, warnings.catch_warnings():
        warnings.simplefilter("always")
        os.dup2(terminal.fileno(), 1)
        os.dup2(terminal.fileno(), 2)
        before, since = _memory(reset=True), time.process_time()
        try:
            yield
        finally:
            after = _memory()
            verdict.cpu = max(verdict.cpu, time.process_time() - since)
            taken = [after["VmHWM"] - before["VmRSS"]]
            if after["VmPeak"] > before["VmPeak"]:
                taken.append(after["VmPeak"] - before["VmSize"])
            verdict.memory = max(verdict.memory, *taken)
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            for number, descriptor in zip((1, 2), saved, strict=True):
                os.dup2(descriptor, number)
                os.close(descriptor)
            root.removeHandler(handler)
            root.setLevel(level)
            terminal.seek(0)
            said = heard.getvalue().encode(errors="replace") + terminal.read()
    for line in said.splitlines():
        if MARKER.encode() in line:
            verdict.fault("log or terminal", f"names the patient: {line[:160]!r}")


def _memory(*, reset: bool = False) -> dict[str, int]:
    """What this process has and had at most, in bytes; "VmHWM", of what it really took, can be reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    rows = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return {row[0].rstrip(":"): int(row[1]) << 10 for row in rows if row and row[0].startswith("Vm")}


def prepare() -> None:
    """Load and warm up what every mutant needs, before the first child is made."""
    good_film()
    warnings.simplefilter("ignore")  # of what looks at the results; what this software says is watched
    config.settings.reading_validation_mode = config.IGNORE
    # What is imported at first need is imported here, once, and not by every child.
    examine(Mutant(0, good_film(), "", (), (), same_sop=True), thorough=True)


def names(faults: Sequence[tuple[str, str]]) -> list[str]:
    """The faults in one line each."""
    return [f"{where}: {what}" for where, what in faults]
