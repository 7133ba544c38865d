"""Which VOI transformation a film is shown by: a VOI LUT, a window, or its own range (PS3.3 C.11.2).

A film may state several, and any of them may be wrong: meant for other pixels, for another bit depth, or a
placeholder. What each makes of the film's own pixels decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from bcd_model.errors import FilmError
from converters.dicom.file import items
from converters.films.pixels.lookup_tables import LookUpTable, LookUpTableError, read_table
from converters.films.pixels.picture import Judgement, judge
from converters.films.pixels.windows import Window, function_of, states_window, why_no_window, windows

Values = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Voi: TypeAlias = LookUpTable | Window

_SHARE_LEFT_OUT = 0.001
"""Share of the pixels that may lie below, and above, the range taken where no window is used."""

_STRETCHED = "stretched between its own 0.1 and 99.9 percentiles"
_NAMED = 3
_REMEDY = "export it again with a window that fits its pixels"


class GrayscaleError(FilmError):
    """A transformation of gray values that cannot be carried out, or that leaves no picture."""

    code = "gray-scale"


@dataclass(frozen=True, slots=True, eq=False)
class GrayValues:
    """Every value that can be stored, once; all arrays are of shape (values,).

    Attributes:
        values: the stored values, without the bits above the image's.
        x: what the modality transformation makes of them.
        counts: how many pixels have them.
        padded: which are padding.
        bits: Bits Stored.
        inverse: whether low values are shown bright.
    """

    values: Integers
    x: Values
    counts: Integers
    padded: Mask
    bits: int
    inverse: bool

    @property
    def seen(self) -> Integers:
        """How many pixels that are no padding have each value."""
        return np.where(self.padded, 0, self.counts)

    def presented(self, unit: Values) -> Values:
        """``unit`` within [0, 1], inverted where the film is."""
        clipped = np.clip(unit, 0.0, 1.0)
        return 1.0 - clipped if self.inverse else clipped


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """The transformation that is taken.

    Attributes:
        unit: what it makes of each value, before inversion.
        voi: None if the full range of the bits is shown.
        of_file: whether the file states it.
        remarks: why it is taken and not the first of the file, and what is odd about it.
        item: of VOI LUT Sequence, if it is a VOI LUT.
    """

    unit: Values
    voi: Voi | None
    of_file: bool
    remarks: tuple[str, ...] = ()
    item: Dataset | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    """A VOI LUT or window of the file, or why there is none.

    Attributes:
        name: as it stands after "its".
        problem: a clause that goes on after the name.
        remarks: such clauses, if it is taken.
    """

    name: str
    voi: Voi | None
    problem: str = ""
    remarks: tuple[str, ...] = ()
    item: Dataset | None = None


def choose(gray: GrayValues, header: Dataset, *, stretch: bool) -> Choice:
    """The first VOI LUT or window of the file that leaves a good picture, else the film's own range.

    If that is no better, the first of the file that leaves a picture at all.

    Args:
        stretch: whether the film may be shown by its own range.

    Raises:
        GrayscaleError: nothing leaves a picture; or nothing but windows of a width of 1 or less is stated,
            and none of them leaves one: the unit of their values is not known.
    """
    seen = gray.seen
    if np.count_nonzero(seen) < 2:
        raise GrayscaleError("blank: its pixels are all alike", "export it again")
    bright = gray.presented(between(gray.x, percentiles(gray.x, seen)))
    passed: dict[str, str] = {}
    poor: tuple[_Candidate, Values] | None = None
    narrow: list[bool] = []
    for candidate in _candidates(gray, seen, header):
        if candidate.voi is None:
            passed[candidate.name] = candidate.problem
            continue
        unit = candidate.voi.apply(gray.x)
        judgement = _judged(gray, unit, seen, bright)
        if judgement.kind == "good":
            passed.pop(candidate.name, None)  # a window that is good by another function
            if judgement.why:
                candidate = replace(candidate, remarks=(*candidate.remarks, judgement.why))
            return _of_file(candidate, unit, f"shown by its {candidate.name}" if passed else "", passed)
        passed.setdefault(candidate.name, judgement.why)
        narrow.append(isinstance(candidate.voi, Window) and candidate.voi.width <= 1)
        if judgement.is_picture and poor is None:
            poor = candidate, unit
    own = _by_its_own(gray, seen, passed)
    judgement = _judged(gray, own.unit, seen, bright)
    unknown_unit = poor is None and bool(narrow) and all(narrow)
    if stretch and not unknown_unit:
        if judgement.kind == "good":
            return own
        if judgement.is_picture and poor is None:
            odd = f"its own range {judgement.why}"
            return Choice(own.unit, own.voi, False, (*own.remarks, odd))
    if poor is not None:
        return _of_file(*poor, "nothing that could be taken instead leaves a better picture", passed)
    what = "blank" if judgement.kind == "blank" else "not a picture"
    raise GrayscaleError(f"{what}: {_why(passed) or f'its gray scale {judgement.why}'}", _REMEDY)


def _candidates(gray: GrayValues, seen: Integers, header: Dataset) -> Iterator[_Candidate]:
    """The VOI LUTs of a file, then its windows."""
    luts = items(header, "VOILUTSequence")
    for number, item in enumerate(luts, start=1):
        name = f"VOI LUT {number}" if len(luts) > 1 else "VOI LUT"
        try:
            lut = read_table(item, gray.x, seen, scaled=True)
        except LookUpTableError as error:
            yield _Candidate(name, None, error.reason.detail)
        else:
            yield _Candidate(name, lut, remarks=lut.remarks, item=item)
    found = windows(header)
    if not found and states_window(header):
        yield _Candidate("window", None, why_no_window(header))
    unknown = () if function_of(header) else ("has a VOI LUT Function that is not known: taken as LINEAR",)
    for window in found:
        for reading in window.readings():
            same = reading.function == window.function
            exact = () if same else ("is taken as LINEAR_EXACT: it is too narrow for LINEAR",)
            yield _Candidate(str(window), reading, remarks=(*unknown, *exact))


def _judged(gray: GrayValues, unit: Values, seen: Integers, bright: Values) -> Judgement:
    if not np.isfinite(unit).all():
        return Judgement("blank", "leads beyond all numbers")
    shown = gray.presented(unit)
    shown[gray.padded] = 0.0
    return judge(shown, gray.values, seen, bright)


def _of_file(candidate: _Candidate, unit: Values, instead: str, passed: Mapping[str, str]) -> Choice:
    remarks = [f"{_why(passed)}: {instead}"] if instead else []
    remarks += (f"its {candidate.name} {remark}" for remark in candidate.remarks)
    return Choice(unit, candidate.voi, True, tuple(remarks), candidate.item)


def _why(passed: Mapping[str, str]) -> str:
    """What is wrong with the VOI LUTs and windows that are not taken."""
    named = [f"its {name} {why}" for name, why in passed.items()]
    more = len(named) - _NAMED
    return "; ".join([*named[:_NAMED], *([f"{more} more are no better"] if more > 0 else [])])


def _by_its_own(gray: GrayValues, seen: Integers, passed: Mapping[str, str]) -> Choice:
    """The film without a window: between its own percentiles, or up to 8 bits by the range of these."""
    ends, deep = own_ends(gray, seen), gray.bits > 8
    how = (
        "stretched between its own 0.1 and 99.9 percentiles"
        if deep
        else "shown by the full range of its bits"
    )
    remarks: tuple[str, ...] = ()
    if passed or deep:
        remarks = (f"{_why(passed) or 'no window in the file'}: {how}",)
    return Choice(between(gray.x, ends), _window_between(ends) if deep else None, False, remarks)


def _window_between(ends: tuple[float, float]) -> Window | None:
    low, high = ends
    if not low < high < np.inf:
        return None
    center, width = low / 2 + high / 2, high - low
    return Window(center + 0.5, width + 1) if width >= 1 else Window(center, width, "LINEAR_EXACT")


def own_ends(gray: GrayValues, counts: Integers) -> tuple[float, float]:
    """What is shown as 0 and as 1 where no window is used, of pixels that are ``counts`` in number."""
    if gray.bits > 8:
        low, high = percentiles(gray.x, counts)
        if high > low:
            return low, high
    start = -(1 << (gray.bits - 1)) if gray.values.min() < 0 else 0
    stored = gray.x[(gray.values >= start) & (gray.values < start + (1 << gray.bits))]
    return float(stored.min()), float(stored.max())


def percentiles(x: Values, counts: Integers) -> tuple[float, float]:
    """The 0.1 and the 99.9 percentile of pixels that have the values ``x``, ``counts`` of them each."""
    order = np.argsort(x, kind="stable")
    cumulative = np.cumsum(counts[order])
    total, last = int(cumulative[-1]), x.size - 1
    low = int(np.searchsorted(cumulative, _SHARE_LEFT_OUT * total, side="right"))
    high = int(np.searchsorted(cumulative, (1.0 - _SHARE_LEFT_OUT) * total))
    return float(x[order[min(low, last)]]), float(x[order[min(high, last)]])


def between(x: Values, ends: tuple[float, float]) -> Values:
    """``x`` with its two ``ends`` at 0 and 1; 0 if there is nothing between them."""
    low, high = ends
    return (x - low) / (high - low) if high > low else np.zeros_like(x)
