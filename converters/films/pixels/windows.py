"""Window Center and Width, and the VOI LUT Function that they are used with (PS3.3 C.11.2.1.2, 3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from converters.dicom.file import finite, text, values

Values = npt.NDArray[np.float64]
Function = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]

_FUNCTIONS: Final[tuple[Function, ...]] = get_args(Function)
_KEYWORDS = ("WindowCenter", "WindowWidth")
_MOST_WINDOWS = 8
_NARROW = 16.0
_OVERFLOW = 60.0  # beyond it a sigmoid is 0 or 1 in float64; the clip keeps exp from overflowing


@dataclass(frozen=True, slots=True)
class Window:
    """One window, in the unit that the modality transformation leads to.

    Attributes:
        width: above 0.
    """

    center: float
    width: float
    function: Function = "LINEAR"

    def __str__(self) -> str:
        return f"window {self.center:g}/{self.width:g}"

    def apply(self, x: Values) -> Values:
        """C.11.2.1.2 LINEAR, C.11.2.1.3.2 LINEAR_EXACT, C.11.2.1.3.1 SIGMOID: ``x`` to [0, 1]."""
        center, width = self.center, self.width
        if self.function == "SIGMOID":
            exponent = np.clip(-4.0 * (x - center) / width, -_OVERFLOW, _OVERFLOW)
            sigmoid: Values = 1.0 / (1.0 + np.exp(exponent))
            return sigmoid
        if self.function == "LINEAR":
            center, width = center - 0.5, width - 1.0
        return np.clip((x - center) / width + 0.5, 0.0, 1.0)

    def readings(self) -> tuple[Window, ...]:
        """What the window may mean, likeliest first.

        LINEAR makes a step of a width of 1 and does not know narrower ones. These occur where a Rescale Slope
        makes all values small, and mean LINEAR_EXACT; somewhat wider ones may.
        """
        exact = replace(self, function="LINEAR_EXACT")
        if self.function != "LINEAR" or self.width > _NARROW:
            return (self,)
        return (self, exact) if self.width > 1 else (exact,)


def windows(header: Dataset) -> tuple[Window, ...]:
    """The windows that a file states, in its order and each once; at most 8 of them.

    Centres and widths are paired by their place: one that is empty or no number leaves out its own window
    alone, and so does a width of 0 or below.
    """
    stated = (map(finite, values(header, keyword)) for keyword in _KEYWORDS)
    function = function_of(header) or "LINEAR"
    found = (
        Window(center, width, function)
        for center, width in zip(*stated, strict=False)
        if center is not None and width is not None and width > 0
    )
    return tuple(dict.fromkeys(found))[:_MOST_WINDOWS]


def states_window(header: Dataset) -> bool:
    """Whether a file says anything of a window, usable or not."""
    return any(value not in ("", None) for keyword in _KEYWORDS for value in values(header, keyword))


def why_no_window(header: Dataset) -> str:
    """Why a file that states a window has none that can be used, as a clause that goes on after "window"."""
    center, width = (
        [value for value in values(header, keyword) if value not in ("", None)] for keyword in _KEYWORDS
    )
    if not center or not width:
        return f"has no {'center' if width else 'width'}"
    if any(number is not None and number <= 0 for number in map(finite, width)):
        return "has no width above 0"
    return "could not be read: its Center and Width are no pair of numbers"


def function_of(header: Dataset) -> Function | None:
    """VOI LUT Function (0028,1056), LINEAR if there is none; None if the standard has none of that name."""
    stated = text(header, "VOILUTFunction").replace(" ", "_")
    return next((each for each in _FUNCTIONS if each == (stated or "LINEAR")), None)
