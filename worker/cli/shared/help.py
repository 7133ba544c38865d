"""What ``--help`` says: arguments in plain words, and an example that can be typed."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

from worker.cli.shared.console import PROGRAM


def example(arguments: str) -> str:
    """The end of a command's help; ``arguments`` are those of ``bcd-admin``."""
    return f"\b\nExample:\n  {PROGRAM} {arguments}"  # \b: its lines stay as they are


class PlainCommand(TyperCommand):
    """Names its arguments as the usage of a Unix tool does, without the types of Python."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The usage after the command's name."""
        arguments = [param for param in self.get_params(ctx) if param.param_type_name == "argument"]
        names = [str(each.metavar) if each.required else f"[{each.metavar}]" for each in arguments]
        return ["[OPTIONS]", *names]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The arguments and the options, each with what it is."""
        params: list[Any] = self.get_params(ctx)
        arguments = [(each.metavar, each.help) for each in params if each.param_type_name == "argument"]
        options = [each.get_help_record(ctx) for each in params if each.param_type_name == "option"]
        for title, rows in (("Arguments", arguments), ("Options", options)):
            if rows:
                with formatter.section(title):
                    formatter.write_dl([row for row in rows if row])
