"""Where the chest wall is in a mammogram's pixels, and the Patient Orientation that follows.

In a medio-lateral oblique view the upper corner at the chest wall is filled by the pectoral muscle and
the axilla, which are bright; the corner opposite lies outside the skin line, which curves away from it.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from bcd_model.words import Laterality

Side: TypeAlias = Literal["left", "right"]
"""A side of the image as stored: left is column 0."""

_GRID = 128  # the image is judged on about this many blocks a side: shape matters, not texture
_TISSUE = 0.5  # of Otsu's threshold, which lies between fat and gland rather than at the skin
_MIN_SIDE = 8  # blocks
_MIN_AREA = 0.02  # of the image; the smallest real breasts cover about 0.1
_UPPER = 0.3  # the part of the breast's height that is compared,
_OUTER = 0.2  # and of its width, at either side
_MIN_CONTRAST = 0.2  # between the two corners; the lowest of 254 MIAS films is 0.33


def chest_wall(pixels: npt.NDArray[Any]) -> Side | None:
    """Find the side of an upright MLO at which the chest wall lies.

    Args:
        pixels: (rows, columns), bright is dense, any scale. Labels, tape and a bright frame
            around the film do no harm as long as the breast is the largest bright thing.

    Returns:
        The side, or None if there is no breast to be seen or its two upper corners look alike.
    """
    coarse = _coarse(pixels)
    region = None if coarse is None else _largest_bright_region(coarse)
    if coarse is None or region is None:
        return None
    columns = np.flatnonzero(region.any(axis=0))
    rows = np.flatnonzero(region.any(axis=1))
    height, width = rows[-1] + 1 - rows[0], columns[-1] + 1 - columns[0]
    upper = slice(rows[0], rows[0] + max(1, int(height * _UPPER)))
    breast = np.where(region, coarse, 0.0)[upper, columns[0] : columns[-1] + 1]
    outer = max(1, int(width * _OUTER))
    left, right = float(breast[:, :outer].mean()), float(breast[:, -outer:].mean())
    if abs(left - right) <= _MIN_CONTRAST * (left + right):
        return None
    return "left" if left > right else "right"


def patient_orientation(laterality: Laterality, wall: Side) -> tuple[str, str]:
    """Patient Orientation (0020,0020) of an upright MLO: the directions of the rows and the columns.

    Along a row, away from the chest wall is anterior. Down a column is towards the feet and, as the
    detector of an MLO is tilted along the pectoral muscle, from the axilla towards the midline: to the
    patient's right in a left breast. So a left MLO is ``A\\FR`` and a right one ``P\\FL`` when they hang
    back to back (PS3.3 C.7.6.1.1.1; the hanging of the IHE Mammography Image profile).
    """
    return ("P" if wall == "right" else "A"), ("FR" if laterality == "L" else "FL")


def usual_wall(laterality: Laterality) -> Side:
    """The chest wall's side in a MIAS film of this breast, for a film that shows none."""
    return "right" if laterality == "L" else "left"


def _coarse(pixels: npt.NDArray[Any]) -> npt.NDArray[np.float32] | None:
    """Block means, the darkest at 0; None if the image is too small or uniform to show a breast."""
    block = max(1, max(pixels.shape) // _GRID)
    rows, columns = (side // block for side in pixels.shape)
    if rows < _MIN_SIDE or columns < _MIN_SIDE:
        return None
    blocks = pixels[: rows * block, : columns * block].reshape(rows, block, columns, block)
    coarse: npt.NDArray[np.float32] = blocks.mean(axis=(1, 3), dtype=np.float32)
    coarse -= coarse.min()
    return coarse if coarse.any() else None


def _largest_bright_region(coarse: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_] | None:
    """The breast on the coarse grid; None if no bright region is of a breast's size."""
    image = sitk.GetImageFromArray(coarse)
    otsu = sitk.OtsuThresholdImageFilter()
    otsu.Execute(image)
    mask = sitk.Cast(image > _TISSUE * otsu.GetThreshold(), sitk.sitkUInt8)
    # Opening parts the breast from labels, tape and frame that touch it.
    mask = sitk.BinaryMorphologicalOpening(mask, [3, 3], sitk.sitkBall)
    parts = sitk.RelabelComponent(sitk.ConnectedComponent(mask))
    region: npt.NDArray[np.bool_] = sitk.GetArrayFromImage(parts) == 1
    return region if region.mean() >= _MIN_AREA else None
