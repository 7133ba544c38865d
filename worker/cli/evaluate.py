"""``evaluate``: what the scan is worth on films with truth, by patient."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from bcd_model.errors import OutputError, UsageError
from bcd_model.evaluation.evaluate import assess
from bcd_model.evaluation.hits import HitRule, RuleName
from bcd_model.evaluation.report.drawing import check_pictures_can_be_drawn
from bcd_model.evaluation.report.files import PICTURES, REPORT, draw_pictures, make_texts
from bcd_model.evaluation.report.markdown import figure_text
from converters.atomic import write_atomically
from converters.films.studies import StudyInput
from worker.cli.shared.console import note, say, say_json, say_table, warn
from worker.cli.shared.figures import counted
from worker.cli.shared.options import JSON
from worker.cli.shared.progress import film_progress
from worker.cli.shared.studies import read_studies
from worker.settings import load_settings
from worker.study.evaluate import films_of_dicom, films_of_mias, marks_of_run, scan_films
from worker.study.publish import prepare_root

_FOLDER = Path("bcd-evaluation")


def evaluate(
    mias: Path | None = typer.Option(None, "--mias", metavar="DIR", help="PGM films with Info.txt."),
    dicom: Path | None = typer.Option(None, "--dicom", metavar="DIR", help="DICOM films; with --truth."),
    truth: list[Path] | None = typer.Option(
        None, "--truth", metavar="FILE", help="truth.json or reading.json; may be given more than once."
    ),
    weights: Path | None = typer.Option(
        None,
        "--weights",
        metavar="FILE",
        help="Weights to scan with.",
        show_default="BCD_MODEL, else shipped",
    ),
    run: Path | None = typer.Option(
        None, "--run", metavar="DIR", help="Instead of a scan: the out-of-fold marks of 'train --out DIR'."
    ),
    unseen: bool = typer.Option(
        False, "--unseen", help="Leave out the patients that the weights were trained on."
    ),
    hit_rule: RuleName = typer.Option(
        "centre", "--hit-rule", metavar="centre|iou", help="When a mark is a hit."
    ),
    least_radius: float = typer.Option(
        15.0, "--least-radius", metavar="PX", min=0, help="Of a lesion, for the centre rule, in pixels."
    ),
    out: Path = typer.Option(
        _FOLDER, "--out", "-o", metavar="DIR", help="Folder for the report; holds parts of films."
    ),
    seed: int = typer.Option(0, "--seed", metavar="N", min=0, help="Of the draws of patients."),
    as_json: bool = JSON,
) -> None:
    """Measure the scan by patient: FROC, film AUC, who is found, calibration, the worst errors.

    Figures of weights on films that they were trained on do not measure it; every file says which they are.
    """
    _check(mias, dicom, truth, weights, run, unseen=unseen)
    check_pictures_can_be_drawn()
    rule = HitRule(hit_rule, _finite(least_radius))
    settings = load_settings()
    _check_there(mias, dicom, *(truth or []))
    given = films_of_mias(mias) if mias else films_of_dicom(_studies(dicom or Path()), truth or [])
    for text in (*given.unusable, *given.warnings):
        warn(text)
    prepare_root(out.absolute())
    with film_progress(len(given.films), lines=not as_json) as progress:
        if run is None:
            path = weights or settings.model
            marked = scan_films(given.films, path, settings.torch_threads, progress, unseen=unseen)
        else:
            marked = marks_of_run(given.films, run, progress)
    for text in (*marked.unusable, *marked.remarks):
        warn(text)
    if as_json:
        note(marked.overlap.text)
    # Where the films lie is no part of the answer: the same films, the same bytes.
    odd = (*given.unusable, *marked.unusable, *given.warnings, *marked.remarks)
    remarks = [text.replace(f"{mias}/", "") for text in odd]
    figures = assess(marked.cases, marked.source, marked.overlap, rule, seed)
    content, texts = make_texts(figures, remarks)
    _remove(out, PICTURES)  # if it ends before the new ones are drawn, none of another evaluation is left
    _write(out, texts)  # before the pictures, for which films are read again
    _write(out, draw_pictures(figures))
    if as_json:
        say_json({key: content[key] for key in content if key != "groups"} | {"folder": str(out.absolute())})
    else:
        _show(content)
        say(f"report  {out / REPORT}")
        say("misses.png and false-marks.png show parts of the films: their licence holds for them")
    if given.unusable or marked.unusable:
        raise typer.Exit(1)


def _studies(folder: Path) -> Iterator[StudyInput]:
    """The studies of ``folder``, looked for when the first is asked for: after the truth has been read."""
    yield from read_studies([folder]).studies


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        write_atomically(folder / name, data)


def _remove(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        try:
            (folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot be replaced ({error.strerror or error})", "choose another --out", folder / name
            ) from error


def _finite(least_radius: float) -> float:
    if not math.isfinite(least_radius):
        raise UsageError(f"--least-radius {least_radius} is not a radius", "give pixels, such as 15")
    return least_radius


def _check(
    mias: Path | None,
    dicom: Path | None,
    truth: list[Path] | None,
    weights: Path | None,
    run: Path | None,
    *,
    unseen: bool,
) -> None:
    if (mias is None) == (dicom is None):
        raise UsageError(
            "evaluate needs films with truth"
            if mias is None
            else "evaluate takes --mias or --dicom, not both",
            "give --mias DIR, or --dicom DIR with --truth FILE",
        )
    if (dicom is None) != (not truth):
        raise UsageError("--dicom and --truth belong together", "give both, or --mias alone")
    if weights is not None and run is not None:
        raise UsageError("--weights and --run are two sources of marks", "choose one")
    if unseen and run is not None:
        raise UsageError("--unseen is about weights; the marks of a run are out of fold", "leave it out")


def _check_there(*paths: Path | None) -> None:
    for path in filter(None, paths):
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UsageError("does not exist", "check the path", path) from error
        except OSError as error:
            raise UsageError(error.strerror or str(error), "check the path", path) from error


def _show(content: dict[str, Any]) -> None:
    """The main figures for people."""
    data = content["data"]
    say(
        f"{counted(data['films'], 'film')}, {counted(data['patients'], 'patient')}, "
        f"{counted(data['lesions'], 'lesion')}; 95 % intervals over patients in brackets"
    )
    say(content["overlap"]["text"])
    curves = content["froc"]
    rates = next(iter(curves.values()))["sensitivity_at_false_marks_per_film"]
    say()
    say_table(
        ("FALSE MARKS/FILM", *(f"SENSITIVITY ({name})" for name in curves)),
        [
            (
                float(rate),
                *(
                    figure_text(curve["sensitivity_at_false_marks_per_film"][rate])
                    for curve in curves.values()
                ),
            )
            for rate in rates
        ],
    )
    say()
    chosen = curves[content["settings"]["hit_rule"]]
    rows = [
        ("film AUC", figure_text(content["film_auc"])),
        ("malignant against benign AUC", figure_text(chosen["malignant_against_benign_auc"])),
    ]
    for kind in ("marks", "films"):
        judged = content["calibration"][kind]
        if judged is not None:
            rows += [
                (
                    f"Brier score, {kind} (base rate's)",
                    f"{judged['brier']['value']:.4f} ({judged['base_rate_brier']['value']:.4f})",
                ),
                (f"calibration slope, {kind}", figure_text(judged["slope"])),
                (f"ECE, {kind}", figure_text(judged["ece"])),
            ]
    say_table(("FIGURE", "VALUE"), rows)
    say(f"{content['settings']['hit_rule_text']}. {content['disclaimer']}")
