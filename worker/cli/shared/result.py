"""The result of one study, for people: in full, or in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bcd_model.words import DISCLAIMER
from converters.results import wording
from worker.cli.shared.console import say, say_table
from worker.cli.shared.figures import counted, percent
from worker.text import on_one_line


def show_result(result: Mapping[str, Any], *, everything: bool = False) -> None:
    """Print ``result.json`` for people: a table of findings for every film."""
    model, point = result["model"], result["operating_point"]
    say(f"study {result['study_instance_uid']}")
    say(f"job   {result['job_id']}, {model['name']} {model['version']} ({model['digest'][:12]})")
    holding = wording.prevalence(point["prevalence"])
    say(f"findings from P(abnormal) {percent(point['threshold'])}; {holding}. {DISCLAIMER}")
    if result["looked_at"] != "all":
        say(f"warning: {_what_was_missed(result)}")
    for text in result["warnings"]:
        say(on_one_line(f"warning: {text}"))
    for film in result["films"]:
        say()
        _show_film(film, everything=everything)


def study_line(result: Mapping[str, Any]) -> str:
    """The findings of a study in one line: the worst one, how many there are, and how many warnings."""
    films = [film for film in result["films"] if film["status"] == "scanned"]
    found = [(_abnormal(finding), film, finding) for film in films for finding in _presented(film)]
    parts = [_what_was_missed(result)] if result["looked_at"] != "all" else []
    if found:
        probability, film, finding = max(found, key=lambda each: each[0])
        parts.append(f"{finding['class']}, P(abnormal) {percent(probability)}, {film_name(film)}")
        flagged = sum(bool(_presented(film)) for film in films)
        parts.append(
            f"{counted(len(found), 'finding')} in {flagged} of {counted(len(films), 'film')} scanned"
        )
    elif films:
        point = percent(result["operating_point"]["threshold"])
        parts.append(f"no finding from P(abnormal) {point} in {counted(len(films), 'film')} scanned")
    warnings = len(result["warnings"]) + sum(len(film["warnings"]) for film in result["films"])
    if warnings:
        parts.append(counted(warnings, "warning"))
    return on_one_line(f"study {result['study_instance_uid']}: {'; '.join(parts)}")


def film_name(film: Mapping[str, Any]) -> str:
    """``L CC, film.dcm``: what a film shows, as far as that is stated, and its file."""
    return ", ".join(filter(None, (" ".join(filter(None, (film["laterality"], film["view"]))), film["file"])))


def _presented(film: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [finding for finding in film["findings"] if finding["presented"]]


def _abnormal(finding: Mapping[str, Any]) -> float:
    return float(finding["probability"]["benign"] + finding["probability"]["malignant"])


def _what_was_missed(result: Mapping[str, Any]) -> str:
    """That a study was not looked at as a whole: what became of its films, and which views are missing."""
    outcomes = [film["status"] for film in result["films"]]
    parts = [
        f"{outcomes.count(each)} {each}" for each in ("scanned", "failed", "excluded") if each in outcomes
    ]
    start = "LOOKED AT IN PART" if "scanned" in outcomes else "NOT LOOKED AT"
    unseen = f"; not looked at: {', '.join(result['not_looked_at'])}" if result["not_looked_at"] else ""
    return f"{start}: of {counted(len(outcomes), 'film')} {', '.join(parts)}{unseen}"


def _show_film(film: Mapping[str, Any], *, everything: bool) -> None:
    title = on_one_line(f"film {', '.join(filter(None, (film['sop_instance_uid'], film_name(film))))}")
    if film["status"] == "failed":
        say(on_one_line(f"{title}: failed: {film['reason']}"))
        return
    if film["status"] == "excluded":
        say(f"{title}: excluded: {wording.RULES[film['rule']]}")
        return
    shown = film["findings"] if everything else _presented(film)
    hidden = len(film["findings"]) - len(shown)
    say(f"{title}: {film['class']}")
    for text in film["warnings"]:
        say(on_one_line(f"  warning: {text}"))
    if shown:
        say_table(FINDING_COLUMNS, [finding_row(n, finding) for n, finding in enumerate(shown, start=1)])
    else:
        say("  no findings")
    if hidden:
        say(f"  {counted(hidden, 'finding')} below the operating point; --all shows them")


PROBABILITIES = (
    "P(abnormal) of a finding: BENIGN and MALIGNANT together; LIKELIER: which of the two has more of it. "
    "A film's own probability (film_probability in --json) is calibrated apart, and differs from them."
)
FINDING_COLUMNS = ("  #", "ROW", "COLUMN", "RADIUS PX", "LIKELIER", "NORMAL", "BENIGN", "MALIGNANT")


def finding_row(number: int, finding: Mapping[str, Any]) -> Sequence[object]:
    """One finding for a table: place in source pixels, class, probabilities."""
    probability = finding["probability"]
    return (
        number,
        round(finding["center"][0]),
        round(finding["center"][1]),
        round(finding["radius"]),
        finding["class"],
        *(percent(probability[name]).rjust(7) for name in ("normal", "benign", "malignant")),
    )
