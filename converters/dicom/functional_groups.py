"""The functional groups of an image of one frame, as the attributes that images without them have.

A 2-D picture made from a tomosynthesis may be a multi-frame object of one frame: its window, its rescale and
its pixel spacing then stand in macros (PS3.3 C.7.6.16.2) and nowhere else.
"""

from __future__ import annotations

from typing import Final

from pydicom.dataset import Dataset

_GROUPS: Final = ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence")
_MACROS: Final = {
    "FrameVOILUTSequence": ("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
    "PixelMeasuresSequence": ("PixelSpacing",),
    "PixelValueTransformationSequence": ("RescaleIntercept", "RescaleSlope", "RescaleType"),
}


def lift(header: Dataset) -> None:
    """Give ``header`` what its functional groups say of its one frame; what it states itself stays.

    The macro of the frame comes before the one that all frames share. An image of several frames is left as
    it is.
    """
    frames = header.get("NumberOfFrames")
    if frames is not None and str(frames).strip() not in ("", "0", "1"):
        return
    for macro, keywords in _MACROS.items():
        items = [
            item
            for groups in _GROUPS
            for group in header.get(groups) or ()
            for item in group.get(macro) or ()
        ]
        if not items or any(keyword in header for keyword in keywords):
            continue  # a window of the image itself is not mixed with a width of its frame
        for keyword in keywords:
            if keyword in items[0]:
                header[keyword] = items[0][keyword]
