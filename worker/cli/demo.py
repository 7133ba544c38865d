"""``demo``: a phantom study the whole way, with what was found against what is there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from bcd_model.evaluation.hits import CENTRE
from bcd_model.evaluation.scored_films import ScoredMark
from bcd_model.words import DISCLAIMER
from converters.mias.phantom import write_phantom
from converters.mias.to_dicom import convert_mias
from converters.results import wording
from converters.results.result_json import read_result
from converters.truth.file import TRUTH_FILE, FilmTruth, read_truth
from worker.cli.shared.console import note, say, say_table
from worker.cli.shared.figures import counted, percent
from worker.cli.shared.session import open_queue
from worker.cli.shared.studies import read_studies
from worker.cli.shared.submission import cancelled_on_interrupt, make_submitter, queue_studies, wait_for_jobs
from worker.queue.summary import values_of
from worker.settings import load_settings


def demo(
    out: Path = typer.Option(Path("bcd-demo"), "--out", "-o", metavar="DIR", help="Folder for everything."),
    patients: int = typer.Option(
        2, "--patients", metavar="N", min=1, max=160, help="Phantom patients, two films each."
    ),
    seed: int = typer.Option(0, "--seed", metavar="N", min=0, help="The same seed gives the same films."),
) -> None:
    """Phantom films -> DICOM -> queue -> scan -> CAD SR and overlays -> findings against the truth."""
    from worker.queue.submission import exit_code  # brings Redis

    settings = load_settings()
    films, dicom, results = out / "films", out / "dicom", out / "results"
    write_phantom(films, patients=patients, seed=seed)
    conversion = convert_mias(films, dicom, uid_root=settings.uid_root)
    note(f"{counted(conversion.films, 'phantom film')} converted to DICOM")
    studies = read_studies([dicom]).studies
    with open_queue(settings) as queue, cancelled_on_interrupt(queue) as submitted:
        submitter = make_submitter(queue, results.absolute(), "interactive", force=True)
        queue_studies(submitter, studies, submitted)
        records = wait_for_jobs(queue, submitted)
    truth = read_truth(dicom / TRUTH_FILE)
    holding = wording.prevalence(*values_of(records, "prevalence"))
    rows: list[tuple[object, ...]] = []
    for record in records:
        folder = record.result_folder()
        if folder is not None:
            for film in read_result(folder)["films"]:
                rows += _rows(film, truth.get(film["sop_instance_uid"]))
    rows.sort(key=lambda row: str(row[0]))
    say_table(("FILM", "SIDE", "LESION", "AT", "FINDING", "AT", "P(ABNORMAL)", "VERDICT"), rows)
    hits = sum(row[-1] == "found" for row in rows)
    lesions = sum(len(film.lesions) for film in truth.values())
    say(f"{hits} of {counted(lesions, 'lesion')} found; films are procedural phantoms; {holding}.")
    say(DISCLAIMER)
    say(f"films    {films.absolute()}")
    say(f"DICOM    {dicom.absolute()}")
    say(f"results  {results.absolute()}; each study has a page, report.html")
    if records:
        say(f"next:    bcd-admin results {records[0].job_id}")
    raise typer.Exit(exit_code(records, submitted))


def _rows(film: Mapping[str, Any], truth: FilmTruth | None) -> list[tuple[object, ...]]:
    """A row for each lesion, with the finding that hits it, and for each finding that hits none."""
    name = truth.name if truth else film["file"]
    side = film["laterality"] or "?"
    if film["status"] != "scanned":
        return [(name, side, "", "", "", "", "", f"{film['status']}: {film['reason'] or film['rule']}")]
    left = [finding for finding in film["findings"] if finding["presented"]]
    rows: list[tuple[object, ...]] = []
    for lesion in truth.lesions if truth else ():
        hits = [f for f in left if CENTRE.hits(ScoredMark(f["center"], 0.0), lesion)]
        left = [finding for finding in left if finding not in hits]
        about = (name, side, f"{lesion.kind} {lesion.label}", _place(lesion.center))
        if hits:
            rows.append((*about, hits[0]["class"], _place(hits[0]["center"]), _abnormal(hits[0]), "found"))
        else:
            rows.append((*about, "", "", "", "missed"))
    rows += [(name, side, "", "", f["class"], _place(f["center"]), _abnormal(f), "false mark") for f in left]
    return rows or [(name, side, "none", "", "none", "", "", "nothing to find")]


def _place(point: tuple[float, float] | list[float]) -> str:
    return f"{point[0]:.0f},{point[1]:.0f}"


def _abnormal(finding: Mapping[str, Any]) -> str:
    probability = finding["probability"]
    return percent(probability["benign"] + probability["malignant"])
