"""When a film was taken, and which of repeats was taken last."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import TypeAlias

from pydicom.dataset import Dataset

from bcd_model.words import Projection
from converters.dicom.file import integer, text

Taken: TypeAlias = tuple[float | None, ...]
"""What a header says of when a film was taken, most telling first; None for what it does not say."""

_DAY = re.compile(r"(\d{4})[.\-/]?(\d{2})[.\-/]?(\d{2})")
_TIME = re.compile(r"(\d{2}):?(\d{2})?:?(\d{2})?(\.\d+)?")
_MOMENT = re.compile(r"(\d{8})(\d*(?:\.\d+)?)(?:[+-]\d{4})?")


def taken(header: Dataset) -> Taken:
    """When a film was taken.

    Acquisition DateTime (0008,002A), or Acquisition Date and Time (0008,0022 and 0032); Content Date and Time
    (0008,0023 and 0033); Instance Number (0020,0013). The offset from UTC is left: one unit takes all films.
    """
    whole = _MOMENT.fullmatch(text(header, "AcquisitionDateTime"))
    acquired = _seconds(whole[1], whole[2]) if whole else None
    if acquired is None:
        acquired = _seconds(text(header, "AcquisitionDate"), text(header, "AcquisitionTime"))
    number = integer(header, "InstanceNumber")
    return (
        acquired,
        _seconds(text(header, "ContentDate"), text(header, "ContentTime")),
        None if number is None else float(number),
    )


def _seconds(date: str, time: str) -> float | None:
    """Seconds that put moments in order; None if day or time are not stated."""
    day, clock = _DAY.fullmatch(date), _TIME.fullmatch(time)
    if day is None or clock is None:
        return None
    hours, minutes, seconds = (int(clock[part] or 0) for part in (1, 2, 3))
    return int("".join(day.groups())) * 86400.0 + hours * 3600 + minutes * 60 + seconds + float(clock[4] or 0)


def ranks(shown: Sequence[Projection], moments: Sequence[Taken]) -> list[int]:
    """For each film how many moments of those that show the same were before it.

    What not all of them state says nothing of their order, and is left out; those that agree in all that is
    left have one rank.
    """
    alike: defaultdict[Projection, list[int]] = defaultdict(list)
    for index, projection in enumerate(shown):
        alike[projection].append(index)
    found = [0] * len(shown)
    for indices in alike.values():
        stated = [
            at
            for at in range(len(moments[indices[0]]))
            if all(len(moments[index]) > at and moments[index][at] is not None for index in indices)
        ]
        keys = {index: tuple(moments[index][at] or 0.0 for at in stated) for index in indices}
        order = sorted(set(keys.values()))
        for index in indices:
            found[index] = order.index(keys[index])
    return found
