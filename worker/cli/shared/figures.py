"""Numbers and times, as people read them."""

from __future__ import annotations

from datetime import datetime


def percent(value: float) -> str:
    """A probability for people: one decimal, or two digits where abnormal films are rare."""
    return f"{100 * value:.1f} %" if value >= 0.00995 or value < 1e-6 else f"{100 * value:.2g} %"


def counted(count: int, one: str, many: str = "") -> str:
    """``1 film``, ``2 films``, ``10,000 films``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def clock(seconds: float, *, day: bool = False) -> str:
    """A time in seconds since 1970 as the clock of this machine shows it, with the ``day`` if wanted."""
    return f"{datetime.fromtimestamp(seconds):{'%Y-%m-%d %H:%M:%S' if day else '%H:%M:%S'}}"


def duration(seconds: float) -> str:
    """``7 s``, ``3 min 7 s``, ``2 h 5 min``, ``1 d 2 h``."""
    whole = max(0, round(seconds))
    for size, unit, part, part_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit}" + (f" {rest} {part_unit}" if rest else "")
    return f"{whole} s"
