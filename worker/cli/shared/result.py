"""The result of one study, for people."""

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
        say(_what_was_missed(result))
    for text in result["warnings"]:
        say(on_one_line(f"warning: {text}"))
    for film in result["films"]:
        say()
        _show_film(film, everything=everything)


def _what_was_missed(result: Mapping[str, Any]) -> str:
    """That a study was not looked at as a whole: what became of its films, and which views nobody saw."""
    outcomes = [film["status"] for film in result["films"]]
    parts = [
        f"{outcomes.count(each)} {each}" for each in ("scanned", "failed", "excluded") if each in outcomes
    ]
    start = "LOOKED AT IN PART" if "scanned" in outcomes else "NOT LOOKED AT"
    unseen = f"; not looked at: {', '.join(result['not_looked_at'])}" if result["not_looked_at"] else ""
    return f"warning: {start}: of {counted(len(outcomes), 'film')} {', '.join(parts)}{unseen}"


def _show_film(film: Mapping[str, Any], *, everything: bool) -> None:
    side = " ".join(filter(None, (film["laterality"], film["view"])))
    title = on_one_line(f"film {film['sop_instance_uid'] or film['file']}" + (f" ({side})" if side else ""))
    if film["status"] == "failed":
        file = f", {film['file']}" if film["sop_instance_uid"] else ""
        say(on_one_line(f"{title}{file}: failed: {film['reason']}"))
        return
    if film["status"] == "excluded":
        say(f"{title}: excluded: {wording.RULES[film['rule']]}")
        return
    shown = [finding for finding in film["findings"] if everything or finding["presented"]]
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


FINDING_COLUMNS = ("  #", "ROW", "COLUMN", "RADIUS", "CLASS", "NORMAL", "BENIGN", "MALIGNANT")


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
