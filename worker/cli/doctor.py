"""``doctor``: whether what does the work can do it."""

from __future__ import annotations

import typer

from worker.cli.shared.console import say, say_json
from worker.cli.shared.options import JSON
from worker.doctor import examine


def doctor(as_json: bool = JSON) -> None:
    """Check what is configured, reachable and writable, and say how to mend what is not."""
    checks = examine()
    failed = [check for check in checks if check.state == "fail"]
    if as_json:
        say_json({"usable": not failed, "checks": [check.as_json() for check in checks]})
    else:
        for check in checks:
            say(f"{check.state:4}  {check.name}: {check.found}")
            if check.remedy:
                say(f"      -> {check.remedy}")
        say("usable" if not failed else "not usable")
    raise typer.Exit(failed[0].exit_code if failed else 0)
