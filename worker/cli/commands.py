"""All commands under one roof."""

from __future__ import annotations

from collections.abc import Callable

import typer
from typer.main import get_command

from worker.cli import (
    cancel,
    classify,
    convert,
    demo,
    doctor,
    evaluate,
    jobs,
    model,
    phantom,
    reproduce,
    results,
    retry,
    scan,
    serve,
    status,
    submit,
    token,
    train,
    up,
    worker,
)

_HELP = "Computer-aided detection on mammograms: DICOM in, CNN scan, CAD SR out. Research use only."
_SHORT = {"help_option_names": ["-h", "--help"]}


def make_cli() -> Callable[..., object]:
    """The command ``bcd-admin`` with everything below it."""
    app = typer.Typer(
        help=_HELP,
        add_completion=False,
        context_settings=_SHORT,
        rich_markup_mode=None,
    )
    app.callback()(_options)
    conversions = typer.Typer(help="Convert collections of films to DICOM.")
    conversions.command("mias")(convert.convert_mias)
    tokens = typer.Typer(help="Who may use the HTTP gateway.")
    tokens.command("create")(token.create)
    tokens.command("list")(token.show)
    tokens.command("revoke")(token.revoke)

    app.command("demo", short_help="A phantom study, end to end.")(demo.demo)
    app.add_typer(conversions, name="convert")
    app.command("phantom", short_help="Draw films with known lesions.")(phantom.phantom)
    app.command("scan", short_help="Scan studies in this process, no queue.")(scan.scan)
    app.command("classify", short_help="Classify one region of a film.")(classify.classify)
    app.command("submit", short_help="Scan studies through the queue.")(submit.submit)
    app.command("jobs", short_help="List jobs, the newest first.")(jobs.jobs)
    app.command("status", short_help="Show one job, or a whole batch.")(status.status)
    app.command("cancel", short_help="End jobs that have not ended.")(cancel.cancel)
    app.command("retry", short_help="Do again what failed or was cancelled.")(retry.retry)
    app.command("results", short_help="Show what was found in a study or batch.")(results.results)
    app.command("worker", short_help="Work on the jobs of a queue.")(worker.worker)
    app.command("up", short_help="Keep the embedded engine running.")(up.up)
    app.command("serve", short_help="Serve the HTTP gateway to a queue.")(serve.serve)
    app.add_typer(tokens, name="token")
    app.command("train", short_help="Cross-validate and train the recipe.")(train.train)
    app.command("reproduce", short_help="The paper's systems, and what they are worth.")(reproduce.reproduce)
    app.command("model", short_help="Show the model: data, figures, limits.")(model.model)
    app.command("evaluate", short_help="What the scan is worth on films with truth.")(evaluate.evaluate)
    app.command("doctor", short_help="Check settings, queue and folders.")(doctor.doctor)
    return get_command(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        from bcd_model import __version__

        typer.echo(f"bcd-cad {__version__}")
        raise typer.Exit


def _options(
    version: bool = typer.Option(
        False, "--version", help="Show the version and exit.", is_eager=True, callback=_show_version
    ),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error; works anywhere."),
) -> None:
    """What stands before the command; ``main`` itself looks for ``--debug``."""
