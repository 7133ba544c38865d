"""``scan``: studies in this process, no queue."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp

import typer

from bcd_model.errors import BcdError, exit_code_of
from converters.films.studies import StudyInput
from converters.results.predecessor import read_predecessor
from converters.results.result_json import to_json
from worker.cli.shared.console import say, say_json, show_traceback, unexpected, warn
from worker.cli.shared.options import ALL, JSON, OUT, PATHS
from worker.cli.shared.progress import film_progress
from worker.cli.shared.report import next_command
from worker.cli.shared.result import PROBABILITIES, show_result, study_line
from worker.cli.shared.studies import read_studies, results_root, unplaced_json
from worker.cli.shared.zips import unpacked
from worker.settings import Settings, load_settings
from worker.study.growth import contents_of, films_of, forced, remembered
from worker.study.outcome import outcome_of
from worker.study.publish import ResultWriter, check_target, prepare_root, publish
from worker.study.published import published
from worker.study.same_film import films_in_result, recognised
from worker.study.scan import new_job, scan_study
from worker.study.scanner import load_scanner


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
    settings = load_settings()
    root = results_root(out, settings)
    prepare_root(root, mode=settings.results_mode)
    with unpacked(paths, lambda: Path(mkdtemp(prefix="bcd-"))) as films:
        found = read_studies(films.paths, films.shown)
        unplaced = unplaced_json(found, films.shown)
        answers, codes = _scan(found.studies, root, settings, force=force)
    codes += [1] if found.unplaced else []
    if as_json:
        say_json({"results": answers, "unplaced": unplaced})
    else:
        for answer in answers:
            show_result(answer, everything=everything)
            say(f"files in {answer['folder']}")
            say()
        if answers:
            say(PROBABILITIES)
            for answer in answers:
                say(study_line(answer))
            say(next_command(str(answers[0]["folder"])))
    raise typer.Exit(exit_code_of(codes))


def _scan(
    studies: Sequence[StudyInput], root: Path, settings: Settings, *, force: bool
) -> tuple[list[dict[str, object]], list[int]]:
    """The results of ``studies``, and the exit codes of all."""
    scanner = load_scanner(
        settings.model,
        threads=settings.torch_threads,
        threshold=settings.threshold,
        prevalence=settings.prevalence,
    )
    answers: list[dict[str, object]] = []
    codes: list[int] = []
    with film_progress(sum(len(study.films) for study in studies)) as progress:
        before = 0
        for given in studies:
            uid = given.study_instance_uid
            folder = root / uid

            def show(film: int, films: int, before: int = before, uid: str = uid) -> None:
                progress(before + film - 1, f"{uid} film {film} of {films}")

            write = ResultWriter()
            try:
                there = published(folder)
                contents = there.contents if there is not None else ()
                known = recognised(given, [films_in_result(contents)], force=force)
                study = forced(known, films_of(contents)) if force else remembered(known, contents)
                job = new_job(study, scanner, uid_root=settings.uid_root)
                if there is not None and there.job_id == job.job_id:
                    job = new_job(study, scanner, uid_root=settings.uid_root, created=there.created)
                check_target(folder, job.job_id, replace=force, films=contents_of(study))
                earlier = read_predecessor(folder, job.job_id, scanner.identity)
                result = scan_study(study, scanner, job, predecessor=earlier, progress=show)
                publish(result, root, replace=force, mode=settings.results_mode, write=write)
                result = write.written or result
            except BcdError as error:  # the other studies go on
                warn(f"study {uid}: {error}")
                codes.append(error.exit_code)
                continue
            except Exception as error:  # noqa: BLE001 - whatever one study brings about costs it alone
                show_traceback(error)
                warn(f"study {uid}: {unexpected(error)}")
                codes.append(BcdError.exit_code)
                continue
            finally:
                before += len(given.films)
            codes.append(outcome_of(result).exit_code)
            answers.append(to_json(result) | {"folder": str(folder)})
    return answers, codes
