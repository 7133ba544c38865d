"""Text for people, made safe to print."""

from __future__ import annotations


def on_one_line(text: str) -> str:
    """``text`` with what would break the line (a file's name may hold it) or steer the terminal escaped."""
    return "".join(c if c.isprintable() or c == " " else repr(c)[1:-1] for c in text)
