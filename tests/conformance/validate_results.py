"""Run every validator over a folder of results and print what they found.

    python -m tests.conformance.validate_results RESULTS_DIR [--films DIR] [--sample N]

Exit code 0 if there is no error and no warning beyond those that ``validators.ALLOWED`` explains.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import pydicom

from tests.conformance import validators
from tests.conformance.validators import Problem

_TOOLS = ("dciodvfy", "dsrdump", "dcmpschk", "dcmp2pgm", "dcentvfy", "pixelmed", "tid1500reader")
_DOCUMENTS = ("cad_sr", "measurement_sr")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", type=Path, help="folder that holds result folders, at any depth")
    parser.add_argument("--films", type=Path, help="the scanned DICOM files, for dcmp2pgm and dcentvfy")
    parser.add_argument("--sample", type=int, help="as many studies only, always the same ones")
    parser.add_argument("--tools", nargs="+", choices=_TOOLS, default=_TOOLS)
    options = parser.parse_args(arguments)

    studies = sorted(path.parent for path in options.results.rglob("result.json"))
    if options.sample is not None and options.sample < len(studies):
        studies = sorted(random.Random(0).sample(studies, options.sample))
    films = _films(options.films) if options.films else {}

    files: Counter[tuple[str, str]] = Counter()
    found: dict[tuple[str, str], list[Problem]] = defaultdict(list)
    for number, study in enumerate(studies, start=1):
        print(f"\r{number}/{len(studies)}", end="", file=sys.stderr, flush=True)
        for kind, tool, problems in _judge(study, films, options.tools):
            files[kind, tool] += 1
            found[kind, tool] += problems
    print(file=sys.stderr)
    _print(files, found, len(studies))
    return 1 if any(validators.unexplained(problems) for problems in found.values()) or not files else 0


def _films(folder: Path) -> dict[str, Path]:
    """Where each film is, by SOP Instance UID."""
    known = {}
    for path in folder.rglob("*"):
        if path.is_file():
            header = pydicom.dcmread(
                path, force=True, specific_tags=["SOPInstanceUID"], stop_before_pixels=True
            )
            if "SOPInstanceUID" in header:
                known[str(header.SOPInstanceUID)] = path
    return known


def _judge(
    study: Path, films: dict[str, Path], tools: Sequence[str]
) -> Iterable[tuple[str, str, list[Problem]]]:
    """(kind of object, tool, problems) for each file and tool."""
    objects = [
        (path, path.parent.name if path.parent != study else path.stem) for path in study.rglob("*.dcm")
    ]
    for path, kind in sorted(objects):
        if "dciodvfy" in tools:
            yield kind, "dciodvfy", validators.dciodvfy(path)
        if kind in _DOCUMENTS:
            if "dsrdump" in tools:
                yield kind, "dsrdump", validators.dsrdump(path)
            if "pixelmed" in tools:
                yield kind, "pixelmed", validators.pixelmed(path)
        if kind == "measurement_sr" and "tid1500reader" in tools:
            with tempfile.TemporaryDirectory() as scratch:
                yield kind, "tid1500reader", validators.tid1500reader(path, Path(scratch, "read.json"))
        if kind == "presentation":
            if "dcmpschk" in tools:
                yield kind, "dcmpschk", validators.dcmpschk(path)
            if "dcmp2pgm" in tools and path.stem in films:
                picture = path.with_suffix(".pgm~")
                try:
                    yield kind, "dcmp2pgm", validators.dcmp2pgm(films[path.stem], path, picture)
                finally:
                    picture.unlink(missing_ok=True)
    if "dcentvfy" in tools and objects:
        told = json.loads((study / "result.json").read_bytes())["films"]
        own = [films[uid] for film in told if (uid := film["sop_instance_uid"]) in films]
        problems = validators.dcentvfy([*own, *(path for path, _ in objects)])
        # A film whose file was not given is bound to be missing.
        missing = re.compile(r"Missing SOPInstanceUID that was referenced - ([0-9.]+)")
        yield (
            "study",
            "dcentvfy",
            [p for p in problems if not (found := missing.search(p.text)) or found[1] in films],
        )


def _print(
    files: Counter[tuple[str, str]], found: dict[tuple[str, str], list[Problem]], studies: int
) -> None:
    print(f"{studies} studies")
    print(f"{'object':<16}{'tool':<15}{'files':>7}{'errors':>8}{'warnings':>10}{'explained':>11}")
    for kind, tool in sorted(files):
        problems = found[kind, tool]
        left = validators.unexplained(problems)
        errors = sum(p.severity == "error" for p in left)
        print(
            f"{kind:<16}{tool:<15}{files[kind, tool]:>7}{errors:>8}{len(left) - errors:>10}"
            f"{len(problems) - len(left):>11}"
        )
    texts: Counter[tuple[str, str, str, str]] = Counter()
    for problems in found.values():
        for problem in problems:
            # UIDs, positions and numbers differ from file to file; the complaint is the same.
            text = re.sub(r"\d+(\.\d+)+", "#", problem.text)
            text = re.sub(r"</[^<>]*\.dcm>", "<file>", text)
            texts[problem.tool, problem.severity, text[:300], validators.explained(problem)] += 1
    for (tool, severity, text, reason), count in sorted(texts.items()):
        print(f"\n{count} x {tool} {severity}: {text}")
        print(f"    {'explained: ' + reason if reason else 'NOT EXPLAINED'}")


if __name__ == "__main__":
    sys.exit(main())
