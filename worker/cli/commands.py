"""All commands under one roof.

Each has a module of its name, which is imported when that command is asked for: ``--help`` imports none.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from worker.cli.shared.help import PlainCommand, example

_HELP = "Computer-aided detection on mammograms: DICOM in, CNN scan, CAD SR out. Research use only."
_SHORT = {"help_option_names": ["-h", "--help"]}

# What --help says of each, and an example of it. The module of the name has a function of that name.
_COMMANDS = {
    "Run": {
        "demo": ("A phantom study, end to end.", "demo --out bcd-demo"),
        "phantom": ("Draw films with known lesions.", "phantom phantom-films --patients 3"),
        "convert": ("Convert collections of films to DICOM.", "convert mias all-mias dicom"),
        "scan": ("Scan studies in this process, no queue.", "scan films --out results"),
        "classify": ("Classify one region of a film.", "classify film.dcm --center 512,300 --radius 40"),
        "submit": ("Scan studies through the queue.", "submit films --batch monday"),
        "cancel": ("End jobs that have not ended.", "cancel --batch monday"),
        "retry": ("Do again what failed or was cancelled.", "retry --batch monday"),
    },
    "Look": {
        "results": ("Show what was found in a study or batch.", "results --batch monday"),
        "status": ("Show one job, or a whole batch.", "status --batch monday --watch"),
        "jobs": ("List jobs, the newest first.", "jobs --state failed"),
    },
    "Measure": {
        "evaluate": (
            "What the scan is worth on films with truth.",
            "evaluate --dicom films --truth films/truth.json",
        ),
        "reproduce": (
            "The paper's systems, and what they are worth.",
            "reproduce --mias all-mias --out paper --quick",
        ),
        "model": ("Show the model: data, figures, limits.", "model"),
    },
    "Train": {
        "train": ("Cross-validate and train the recipe.", "train --mias all-mias --out run"),
    },
    "Serve": {
        "up": ("Keep the embedded engine running.", "up"),
        "worker": ("Work on the jobs of a queue.", "worker --processes 4"),
        "serve": ("Serve the HTTP gateway to a queue.", "serve --port 8042"),
        "token": ("Who may use the HTTP gateway.", "token create reading-room"),
    },
    "Check": {
        "doctor": ("Check settings, queue and folders.", "doctor"),
    },
}
_GROUPS = frozenset({"convert", "token"})
"""These have commands of their own. The module of the name has a typer.Typer of that name."""


def make_cli() -> Callable[..., object]:
    """The command ``bcd-admin`` with everything below it."""
    app = typer.Typer(
        cls=LazyGroup,
        help=_HELP,
        context_settings=_SHORT,
        rich_markup_mode=None,
    )
    app.callback()(_options)
    return get_command(app)


class LazyGroup(TyperGroup):
    """Lists its commands from the table above, and imports the module of the one that is asked for.

    Attributes:
        commands: what is listed, also by the completion of a shell; none of them can run.
    """

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {
            name: TyperCommand(name, help=text)
            for panel in _COMMANDS.values()
            for name, (text, _) in panel.items()
        }

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that ``args`` begin with, which can run, with its name and its own arguments."""
        name, listed, rest = super().resolve_command(ctx, args)
        return name, _load(name) if name and listed else None, rest

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands by what they are for."""
        width = max(map(len, self.commands))
        for title, panel in _COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), text) for name, (text, _) in panel.items()])


def _load(name: str) -> Any:
    found = getattr(import_module(f"worker.cli.{name}"), name)
    ((text, words),) = (panel[name] for panel in _COMMANDS.values() if name in panel)
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    if name in _GROUPS:
        app.add_typer(found, name=name, help=text, epilog=example(words))
    else:
        app.command(name, cls=PlainCommand, epilog=example(words))(found)
    return get_group(app).commands[name]


def _show_version(wanted: bool) -> None:
    if wanted:
        from bcd_model import __version__  # brings numpy

        typer.echo(f"bcd-cad {__version__}")
        raise typer.Exit


def _options(
    version: bool = typer.Option(
        False, "--version", help="Show the version and exit.", is_eager=True, callback=_show_version
    ),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error; works anywhere."),
) -> None:
    """What stands before the command; ``main`` itself looks for ``--debug``."""
