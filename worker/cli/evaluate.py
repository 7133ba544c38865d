"""``evaluate``: what the scan is worth on films with truth, by patient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from worker.cli.console import counted, film_progress, note, say, say_json, say_table, warn
from worker.cli.jobs import JSON
from worker.cli.session import read_studies

if TYPE_CHECKING:
    from bcd_model.assessment.assess import Source
    from bcd_model.assessment.cases import Case
    from bcd_model.assessment.hits import RuleName
    from bcd_model.assessment.honesty import Honesty
    from bcd_model.words import AnnotatedFilm
    from worker.settings import Settings

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
    hit_rule: str = typer.Option("centre", "--hit-rule", metavar="centre|iou", help="When a mark is a hit."),
    least_radius: float = typer.Option(
        15.0, "--least-radius", metavar="PX", min=0, help="Of a lesion, for the centre rule, in pixels."
    ),
    out: Path = typer.Option(
        _FOLDER, "--out", "-o", metavar="DIR", help="Folder for the report; holds parts of films."
    ),
    seed: int = typer.Option(0, "--seed", min=0, help="Of the draws of patients."),
    as_json: bool = JSON,
) -> None:
    """Measure the scan by patient: FROC, film AUC, who is found, calibration, the worst errors.

    Figures of weights on films that they were trained on are no measure; every file says which it is.
    """
    from bcd_model.assessment.hits import HitRule
    from worker.publish import prepare_root
    from worker.settings import load_settings

    rule = HitRule(_rule(hit_rule), least_radius)
    _check(mias, dicom, truth, weights, run, unseen=unseen)
    settings = load_settings()
    films, unusable, remarks = _films(mias, dicom, truth or [])
    prepare_root(out.absolute())
    made = _scan(films, weights, settings, unseen=unseen) if run is None else _of_run(films, run)
    for text in (*made.unusable, *made.remarks):
        warn(text)
    unusable += made.unusable
    # Where the films lie is no part of the answer: the same films, the same bytes.
    remarks = [text.replace(f"{mias}/", "") for text in (*unusable, *remarks, *made.remarks)]
    note(made.honesty.text)
    from bcd_model.assessment.assess import assess
    from bcd_model.assessment.report import REPORT, draw_pictures, make_texts
    from converters.atomic import write_atomically

    figures = assess(made.cases, made.source, made.honesty, rule, seed)
    content, texts = make_texts(figures, remarks)
    for name, data in (draw_pictures(figures) | texts).items():
        write_atomically(out / name, data)
    if as_json:
        say_json(
            {key: value for key, value in content.items() if key != "groups"}
            | {"folder": str(out.absolute())}
        )
    else:
        _show(content)
        say(f"report  {out / REPORT}")
        say("misses.png and false-marks.png show parts of the films: their licence holds for them")
    if unusable:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Marked:
    """Cases with what is known of where their marks come from; ``unusable`` films are not among them."""

    cases: list[Case]
    source: Source
    honesty: Honesty
    unusable: list[str]
    remarks: list[str]


def _rule(name: str) -> RuleName:
    from bcd_model.assessment.hits import RULES
    from bcd_model.errors import UsageError

    for rule in RULES:
        if rule == name:
            return rule
    raise UsageError(f"--hit-rule {name!r} is no rule", f"choose {' or '.join(RULES)}")


def _check(
    mias: Path | None,
    dicom: Path | None,
    truth: list[Path] | None,
    weights: Path | None,
    run: Path | None,
    *,
    unseen: bool,
) -> None:
    from bcd_model.errors import UsageError

    if (mias is None) == (dicom is None):
        raise UsageError(
            "evaluate takes --mias or --dicom, " + ("and there is neither" if mias is None else "not both"),
            "name films with truth",
        )
    if (dicom is None) != (not truth):
        raise UsageError("--dicom and --truth belong together", "give both, or --mias alone")
    if weights is not None and run is not None:
        raise UsageError("--weights and --run are two sources of marks", "choose one")
    if unseen and run is not None:
        raise UsageError("--unseen is about weights; the marks of a run are out of fold", "leave it out")


def _films(
    mias: Path | None, dicom: Path | None, truth: list[Path]
) -> tuple[Sequence[AnnotatedFilm], list[str], list[str]]:
    """The films with truth by name, those that cannot be used, and what else was odd."""
    from bcd_model.assessment.cases import check_films
    from converters.annotated import match_truth
    from converters.mias import read_collection

    films: Sequence[AnnotatedFilm]
    if mias is not None:
        collection = read_collection(mias)
        unusable = [str(film) for film in collection.skipped]
        remarks = [text for text in collection.warnings if text not in unusable]
        films = collection.films
    else:
        matched = match_truth(read_studies([dicom] if dicom else []), truth)
        films, unusable, remarks = matched.films, list(matched.unusable), list(matched.warnings)
    for text in (*unusable, *remarks):
        warn(text)
    check_films(films)
    return sorted(films, key=lambda film: film.name), unusable, remarks


def _scan(
    films: Sequence[AnnotatedFilm], weights: Path | None, settings: Settings, *, unseen: bool
) -> _Marked:
    """The films scanned with one weight file; if ``unseen``, only those of patients it was not trained on."""
    from bcd_model.assessment.assess import Source
    from bcd_model.assessment.honesty import film_digests, of_weights
    from bcd_model.assessment.scoring import scan_case
    from bcd_model.weights import read_info
    from worker.execution import make_scanner

    path = weights or settings.model
    info = read_info(path)
    remarks: list[str] = []
    if unseen:
        films, remarks = _unseen(films, film_digests(info.card))
    model = make_scanner(path, settings.torch_threads).model
    cases, unusable = _each(films, partial(scan_case, model))
    facts = {
        "name": info.identity.name,
        "version": info.identity.version,
        "digest": info.identity.digest,
        "threshold": model.operating_point.threshold,
    }
    source = Source(
        "weights", facts, model.calibration, model.film_calibration, model.operating_point.threshold
    )
    return _Marked(cases, source, of_weights(cases, info.card), unusable, remarks)


def _unseen(
    films: Sequence[AnnotatedFilm], known: frozenset[str] | None
) -> tuple[list[AnnotatedFilm], list[str]]:
    """The films of patients of whom none is among the digests ``known``, and what was left out.

    A film that cannot be read stays among them: the scan tells why.
    """
    from bcd_model.errors import FilmError, InputError
    from bcd_model.words import film_digest

    if known is None:
        raise InputError(
            "the model card of the weights lists no film, so that nobody can tell which are unseen",
            "leave --unseen out, or name weights that this version trained",
        )
    seen: set[str] = set()
    for film in films:
        with suppress(FilmError):
            if film_digest(film.read()) in known:
                seen.add(film.patient)
    left = [film for film in films if film.patient not in seen]
    if not left:
        raise InputError("the weights were trained on every patient given", "name other films, or use --run")
    out = len(films) - len(left)
    of_them = f"{counted(out, 'film')} of {counted(len(seen), 'patient')}"
    return left, [f"{of_them} left out: the weights were trained on them"] if out else []


def _of_run(films: Sequence[AnnotatedFilm], folder: Path) -> _Marked:
    """The films with the marks that a training run made out of fold."""
    from bcd_model.assessment.assess import Source
    from bcd_model.assessment.cases import Case, data_digest, describe
    from bcd_model.assessment.honesty import out_of_fold
    from bcd_model.assessment.runs import check_patients, read_run
    from bcd_model.errors import InputError

    run = read_run(folder)
    check_patients(run, films)
    known = [film for film in films if film.name in run.fold]
    if not known:
        raise InputError(f"{folder}: has marks of none of these films", "name the films it was trained on")
    cases, unusable = _each(
        known,
        lambda film: Case(film, describe(film, film.read()), run.marks[film.name], run.fold[film.name]),
    )
    remarks = []
    names = {film.name for film in films}
    for odd, text in (
        (sorted(names - run.fold.keys()), "not in the run: left out"),
        (sorted(run.fold.keys() - names), "in the run, but not given"),
    ):
        if odd:
            some = ", ".join(odd[:3]) + (", ..." if odd[3:] else "")
            remarks.append(f"{counted(len(odd), 'film')} {text} ({some})")
    folds = len(set(run.fold.values()))
    if run.folds is None:
        remarks.append(f"the run is not finished: {counted(folds, 'fold')} so far")
    elif data_digest(cases) != run.data_digest:
        remarks.append("the films or their truth are not exactly those that the run was made of")
    source = Source("run", {"folds": folds, "data_digest": run.data_digest})
    return _Marked(cases, source, out_of_fold(cases), unusable, remarks)


def _each(
    films: Sequence[AnnotatedFilm], work: Callable[[AnnotatedFilm], Case]
) -> tuple[list[Case], list[str]]:
    """The cases of the films that can be read, and why the others cannot."""
    from bcd_model.assessment.cases import check_films
    from bcd_model.errors import FilmError

    cases: list[Case] = []
    unusable: list[str] = []
    with film_progress(len(films)) as progress:
        for index, film in enumerate(films):
            progress.update(index, film.name)
            try:
                cases.append(work(film))
            except FilmError as error:  # the other films go on
                unusable.append(f"film {film.name}: left out: {error}")
    check_films([case.film for case in cases])
    return cases, unusable


def _show(content: dict[str, Any]) -> None:
    """The main figures for people."""
    data = content["data"]
    say(
        f"{counted(data['films'], 'film')}, {counted(data['patients'], 'patient')}, "
        f"{counted(data['lesions'], 'lesion')}; 95 % intervals over patients in brackets"
    )
    say(f"{content['honesty']['text']}")
    curves = content["froc"]
    rates = next(iter(curves.values()))["sensitivity_at_false_marks_per_film"]
    say()
    say_table(
        ("FALSE MARKS/FILM", *(f"SENSITIVITY ({name})" for name in curves)),
        [
            (
                float(rate),
                *(_figure(curve["sensitivity_at_false_marks_per_film"][rate]) for curve in curves.values()),
            )
            for rate in rates
        ],
    )
    say()
    chosen = curves[content["settings"]["hit_rule"]]
    rows = [
        ("film AUC", _figure(content["film_auc"])),
        ("malignant against benign AUC", _figure(chosen["malignant_against_benign_auc"])),
    ]
    for kind in ("marks", "films"):
        judged = content["calibration"][kind]
        if judged is not None:
            rows += [
                (
                    f"Brier score, {kind} (base rate's)",
                    f"{judged['brier']['value']} ({judged['base_rate_brier']['value']})",
                ),
                (f"calibration slope, {kind}", _figure(judged["slope"])),
                (f"ECE, {kind}", _figure(judged["ece"])),
            ]
    say_table(("FIGURE", "VALUE"), rows)
    say(f"{content['settings']['hit_rule_text']}. {content['disclaimer']}")


def _figure(value: dict[str, float | None]) -> str:
    if value["value"] is None:
        return "-"
    low, high = value["low"], value["high"]
    return f"{value['value']:.3f}" + ("" if low is None or high is None else f" ({low:.3f} to {high:.3f})")
