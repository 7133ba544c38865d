"""Where the breast is in a film, and its contrast brought to a common footing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from bcd_model.words import Pixels

Mask = npt.NDArray[np.bool_]

_COARSE_MM = 1.0
_SMOOTH_MM = 1.5
_OPEN_MM = 6
_HISTOGRAM_BINS = 256
_SKIN = 0.45
_FRAME = 0.95
_CLIP = 5.0
_LEAST_CONTRAST = 0.005


def to_image(pixels: npt.NDArray[np.generic], spacing: tuple[float, float]) -> sitk.Image:
    """Return (rows, columns) pixels as a SimpleITK image in mm.

    The corner of the first pixel is at (0, 0) mm, so its centre is half a spacing away from it.
    """
    image = sitk.GetImageFromArray(pixels)
    rows, columns = spacing
    image.SetSpacing((columns, rows))
    image.SetOrigin((columns / 2, rows / 2))
    return image


def resample(image: sitk.Image, spacing: tuple[float, float]) -> sitk.Image:
    """Return ``image`` on a grid of ``spacing`` mm (rows, columns) over the same extent.

    Where the new grid is coarser, a Gaussian takes away what it cannot hold.
    """
    old = image.GetSpacing()
    new = (spacing[1], spacing[0])
    size = [max(1, int(np.ceil(n * o / s - 1e-6))) for n, o, s in zip(image.GetSize(), old, new, strict=True)]
    # A box of the new pixel's width has variance s^2/12; the old pixel has done its own part.
    sigma = [np.sqrt(max(s * s - o * o, 0.0) / 12) for s, o in zip(new, old, strict=True)]
    for axis, value in enumerate(sigma):
        # The recursive filter needs at least 4 pixels on its axis.
        if value > 0.2 * old[axis] and image.GetSize()[axis] >= 4:
            image = sitk.RecursiveGaussian(
                image, value, False, sitk.RecursiveGaussianImageFilter.ZeroOrder, axis
            )
    return sitk.Resample(
        image,
        size,
        sitk.Transform(2, sitk.sitkIdentity),
        sitk.sitkLinear,
        (new[0] / 2, new[1] / 2),
        new,
        image.GetDirection(),
        0.0,
        image.GetPixelID(),
        True,  # extrapolate to the nearest pixel: the last grid point may lie past the last centre
    )


def breast_mask(pixels: Pixels, spacing: tuple[float, float]) -> Mask:
    """Return where the breast is.

    The largest bright component of the smoothed film, without bridges to labels and tape, holes
    filled. The pectoral muscle belongs to it.

    Args:
        pixels: (rows, columns) in [0, 1].
        spacing: mm, (rows, columns).

    Returns:
        (rows, columns) bool; all False if the film has no contrast.
    """
    if float(pixels.max()) - float(pixels.min()) < 1e-6:
        return np.zeros(pixels.shape, dtype=np.bool_)
    film = to_image(pixels.astype(np.float32, copy=False), spacing)
    coarse = resample(film, (_COARSE_MM, _COARSE_MM))
    smooth = sitk.SmoothingRecursiveGaussian(coarse, _SMOOTH_MM) if min(coarse.GetSize()) >= 4 else coarse
    smooth = _without_frame(smooth)
    otsu = sitk.OtsuThresholdImageFilter()
    otsu.SetNumberOfHistogramBins(_HISTOGRAM_BINS)
    otsu.Execute(smooth)
    # Otsu parts dense tissue from the rest; the skin line is dimmer.
    bright = smooth > otsu.GetThreshold() * _SKIN
    bright = sitk.BinaryMorphologicalOpening(bright, [_OPEN_MM // 2] * 2, sitk.sitkBall, 0, 1)
    parts = sitk.RelabelComponent(sitk.ConnectedComponent(bright), sortByObjectSize=True)
    breast = sitk.BinaryFillhole(parts == 1)
    return fit_mask(breast, film)


def _without_frame(coarse: sitk.Image) -> sitk.Image:
    """Return the film without what saturates at its border: the digitiser's white frame, tape."""
    saturated = sitk.ConnectedComponent(coarse >= _FRAME)
    labels = sitk.GetArrayViewFromImage(saturated)
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    pixels = sitk.GetArrayFromImage(coarse)
    pixels[np.isin(labels, np.unique(edge[edge > 0]))] = 0
    cleaned = sitk.GetImageFromArray(pixels)
    cleaned.CopyInformation(coarse)
    return cleaned


def fit_mask(mask: sitk.Image, like: sitk.Image) -> Mask:
    """Return ``mask`` on the grid of ``like`` as (rows, columns) bool."""
    fitted = sitk.Resample(
        mask,
        like,
        sitk.Transform(2, sitk.sitkIdentity),
        sitk.sitkNearestNeighbor,
        0.0,
        mask.GetPixelID(),
        True,
    )
    return np.asarray(sitk.GetArrayFromImage(fitted) > 0, dtype=np.bool_)


def normalise(pixels: Pixels, mask: Mask) -> Pixels:
    """Return the film with mean 0 and standard deviation 1 inside the breast, 0 outside.

    Exposure and digitisation differ from film to film; what the network needs is contrast. The
    values are clipped at 5 standard deviations, so that a label or a scratch weighs no more. A film
    with hardly any contrast is not stretched: its noise is not structure.
    """
    inside = pixels[mask]
    if inside.size == 0:
        return np.zeros(pixels.shape, dtype=np.float32)
    mean = float(inside.mean(dtype=np.float64))
    deviation = float(inside.std(dtype=np.float64))
    scaled = (pixels - np.float32(mean)) / np.float32(max(deviation, _LEAST_CONTRAST))
    return np.where(mask, np.clip(scaled, -_CLIP, _CLIP), 0).astype(np.float32)
