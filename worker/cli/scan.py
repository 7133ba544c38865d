"""``scan`` and ``classify``: in this process, no queue."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from worker.cli.shared.console import note, say, say_json, show_traceback, unexpected
from worker.cli.shared.figures import percent
from worker.cli.shared.options import ALL, JSON, OUT, PATHS
from worker.cli.shared.progress import film_progress
from worker.cli.shared.result import show_result
from worker.cli.shared.studies import read_studies, results_root, unplaced_json

if TYPE_CHECKING:
    from bcd_model.words import Film, Region


def scan(
    paths: list[Path] = PATHS,
    out: Path | None = OUT,
    force: bool = typer.Option(False, "--force", "-f", help="Replace the result of another job."),
    everything: bool = ALL,
    as_json: bool = JSON,
) -> None:
    """Scan studies in this process and write their results; no queue, no record.

    The result is the one that 'submit' would give: the same job, the same bytes.
    """
    from bcd_model.errors import BcdError
    from converters.results.predecessor import read_predecessor
    from converters.results.result_json import to_json
    from worker.cli.shared.console import warn
    from worker.settings import load_settings
    from worker.study.growth import contents_of, films_of, forced, remembered
    from worker.study.outcome import outcome_of
    from worker.study.publish import ResultWriter, check_target, prepare_root, publish
    from worker.study.published import published
    from worker.study.scan import new_job, scan_study
    from worker.study.scanner import make_scanner

    settings = load_settings()
    root = results_root(out, settings)
    prepare_root(root, mode=settings.results_mode)
    found = read_studies(paths)
    studies = found.studies
    scanner = make_scanner(settings.model, settings.torch_threads, settings.threshold, settings.prevalence)
    answers: list[dict[str, object]] = []
    codes = [1] if found.unplaced else []
    with film_progress(sum(len(study.films) for study in studies)) as progress:
        before = 0
        for given in studies:
            folder = root / given.study_instance_uid
            there = published(folder)
            contents = there.contents if there is not None else ()
            study = forced(given, films_of(contents)) if force else remembered(given, contents)
            job = new_job(study, scanner, uid_root=settings.uid_root)
            if there is not None and there.job_id == job.job_id:
                job = new_job(study, scanner, uid_root=settings.uid_root, created=there.created)

            def show(
                film: int, films: int, before: int = before, uid: str = study.study_instance_uid
            ) -> None:
                progress.update(before + film - 1, f"{uid} film {film} of {films}")

            write = ResultWriter()
            try:
                check_target(folder, job.job_id, replace=force, films=contents_of(study))
                earlier = read_predecessor(folder, job.job_id, scanner.identity)
                result = scan_study(study, scanner, job, predecessor=earlier, progress=show)
                publish(result, root, replace=force, mode=settings.results_mode, write=write)
                result = write.written or result
            except BcdError as error:  # the other studies go on
                warn(f"study {study.study_instance_uid}: {error}")
                codes.append(error.exit_code)
                continue
            except Exception as error:  # noqa: BLE001 - whatever one study brings about costs it alone
                show_traceback(error)
                warn(f"study {study.study_instance_uid}: {unexpected(error)}")
                codes.append(BcdError.exit_code)
                continue
            finally:
                before += len(study.films)
            outcome = outcome_of(result)
            codes.append(outcome.exit_code)
            answers.append(to_json(result) | {"folder": str(folder)})
    if as_json:
        say_json({"results": answers, "unplaced": unplaced_json(found)})
    else:
        for answer in answers:
            show_result(answer, everything=everything)
            say(f"files in {answer['folder']}")
            say()
    raise typer.Exit(_exit_code(codes))


def classify(
    file: Path = typer.Argument(metavar="FILE", help="One film, PGM or DICOM.", show_default=False),
    center: str = typer.Option(..., "--center", metavar="R,C", help="Row and column of the region's centre."),
    radius: float = typer.Option(..., "--radius", metavar="N", help="Its radius in pixels.", min=1),
    as_json: bool = JSON,
) -> None:
    """Classify one region of a film: normal, benign or malignant, as in the paper."""
    from bcd_model.words import DISCLAIMER
    from worker.settings import load_settings
    from worker.study.scanner import make_scanner

    settings = load_settings()
    film = _read(file)
    region = _region(center, radius, film)
    scanner = make_scanner(settings.model, settings.torch_threads, settings.threshold)
    probability = scanner.classify(film, region)
    if as_json:
        values = {name: getattr(probability, name) for name in ("normal", "benign", "malignant")}
        identity = scanner.identity
        say_json(
            {
                "file": file.name,
                "center": list(region.center),
                "radius": region.radius,
                "class": probability.label,
                "probability": values,
                "model": {"name": identity.name, "version": identity.version, "digest": identity.digest},
                "warnings": list(film.warnings),
                "disclaimer": DISCLAIMER,
            }
        )
        return
    say(f"{probability.label}")
    for name in ("normal", "benign", "malignant"):
        say(f"  {name:9} {percent(getattr(probability, name)):>7}")
    for text in film.warnings:
        note(f"warning: {text}")
    note(DISCLAIMER)


def _read(file: Path) -> Film:
    from bcd_model.errors import UsageError

    if not file.is_file():
        raise UsageError(f"{file}: there is no such file", "name one film, PGM or DICOM")
    with file.open("rb") as stream:
        start = stream.read(2)
    if start in (b"P2", b"P5"):
        return _read_pgm(file)
    from converters.films.read import read_film

    return read_film(file).film


def _read_pgm(file: Path) -> Film:
    import numpy as np

    from bcd_model.words import Film
    from converters.mias.collection import SPACING
    from converters.mias.pgm import read_graymap

    image = read_graymap(file)
    return Film(
        pixels=image.pixels.astype(np.float32) / np.float32(image.maxval),
        spacing=SPACING,
        spacing_assumed=True,
        file=file.name,
        warnings=(f"a PGM states no pixel spacing: {SPACING[0]} mm assumed, that of mini-MIAS",),
    )


def _region(center: str, radius: float, film: Film) -> Region:
    from bcd_model.errors import UsageError
    from bcd_model.words import Region

    try:
        row, column = (float(part) for part in center.split(","))
    except ValueError:
        raise UsageError(f"--center {center!r} is no place", "give row and column, like 512,300") from None
    rows, columns = film.shape
    if not (-0.5 <= row <= rows - 0.5 and -0.5 <= column <= columns - 0.5):  # (0, 0) is a centre
        raise UsageError(
            f"--center {center} is outside the film", f"it has {rows} rows and {columns} columns, from 0"
        )
    return Region((row, column), radius)


def _exit_code(codes: list[int]) -> int:
    """0 if all went well; if nothing did, the one code all failures share; else 1."""
    if not any(codes):
        return 0
    return codes[0] if len(set(codes)) == 1 else 1
