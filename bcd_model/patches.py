"""Crops as the paper makes them (section III), and their 8 variants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from bcd_model.breast import breast_mask, to_image
from bcd_model.words import CLASSES, WINDOW, AnnotatedFilm, Film, Label, Pixels, Region

VARIANTS = 8
"""Rotations by 0, 90, 180 and 270 degrees, and the mirror image of each."""


def variant(pixels: npt.NDArray[np.float32], index: int) -> npt.NDArray[np.float32]:
    """Return variant ``index`` (0 to 7) of the last two axes; variant 0 is the crop itself."""
    turned = np.rot90(pixels, index % 4, axes=(-2, -1))
    return turned[..., ::-1] if index >= 4 else turned


def eight_variants(pixels: Pixels) -> npt.NDArray[np.float32]:
    """Return (8, n, n): the four rotations of a square crop, then their mirror images."""
    return np.stack([variant(pixels, index) for index in range(VARIANTS)])


def leaves_film(region: Region, shape: tuple[int, int]) -> bool:
    """Whether the square of side 2r around ``region`` is cut by the film's border."""
    row, column = region.center
    r = region.radius
    return row - r < -0.5 or column - r < -0.5 or row + r > shape[0] - 0.5 or column + r > shape[1] - 0.5


def square_crop(pixels: Pixels, region: Region, size: int = WINDOW) -> Pixels:
    """Return the square of side 2r around ``region``, resized to (size, size).

    What lies past the film's border is 0. Linear interpolation; where the crop shrinks, a
    Gaussian first takes away what the new grid cannot hold.
    """
    row, column = region.center
    side = 2 * region.radius
    step = side / size
    # Cut generously first: smoothing a whole film for one crop is wasted.
    reach = region.radius + 4 * step + 2
    top, left = int(np.floor(row - reach)), int(np.floor(column - reach))
    bottom, right = int(np.ceil(row + reach)) + 1, int(np.ceil(column + reach)) + 1
    rows, columns = pixels.shape
    part = np.zeros((bottom - top, right - left), dtype=np.float32)
    r0, r1, c0, c1 = max(top, 0), min(bottom, rows), max(left, 0), min(right, columns)
    if r0 < r1 and c0 < c1:
        part[r0 - top : r1 - top, c0 - left : c1 - left] = pixels[r0:r1, c0:c1]
    image = to_image(part, (1.0, 1.0))
    if step > 1:
        image = sitk.SmoothingRecursiveGaussian(image, float(np.sqrt((step * step - 1) / 12)))
    corner = (column + 0.5 - region.radius - left, row + 0.5 - region.radius - top)
    crop = sitk.Resample(
        image,
        [size, size],
        sitk.Transform(2, sitk.sitkIdentity),
        sitk.sitkLinear,
        (corner[0] + step / 2, corner[1] + step / 2),
        (step, step),
        image.GetDirection(),
        0.0,
        sitk.sitkFloat32,
    )
    return np.asarray(sitk.GetArrayFromImage(crop), dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class PaperCrop:
    """One crop of the paper's data set, before its variants are made.

    Attributes:
        pixels: (48, 48) float32 in [0, 1].
        label: index into ``CLASSES``.
        patient: the unit of an honest split.
        kind: the lesion's kind, "NORM" for a normal crop.
        region: what was cut, in source pixels.
    """

    pixels: Pixels
    label: int
    patient: str
    film: str
    kind: str
    region: Region


def paper_crops(films: Iterable[AnnotatedFilm], seed: int) -> list[PaperCrop]:
    """Return the paper's crops (section III): each lesion, and one window of each normal film.

    A lesion is cut as the square of side 2r around it and resized to 48x48; crops cut by the
    film's border are left out. A normal crop is a random 48x48 window within the breast, not
    resized: sharpness alone parts it from the others, which is why no scan is trained on these.
    """
    return _crops(films, (WINDOW / 2,), np.random.default_rng(seed))


def crops_of_one_scale(films: Sequence[AnnotatedFilm], seed: int) -> list[PaperCrop]:
    """Return the paper's crops with the normal ones cut at the lesions' radii, and resized as they are.

    The radius of each normal crop is drawn from those of the annotated lesions: neither size nor
    sharpness parts the classes any more.
    """
    radii = tuple(lesion.radius for annotated in films for lesion in annotated.lesions)
    return _crops(films, radii, np.random.default_rng(seed))


def _crops(
    films: Iterable[AnnotatedFilm], normal_radii: tuple[float, ...], rng: np.random.Generator
) -> list[PaperCrop]:
    crops = []
    for annotated in films:
        film = annotated.read()
        found: list[tuple[Region, Label, str]] = [
            (Region(each.center, each.radius), each.label, each.kind) for each in annotated.lesions
        ]
        if annotated.label == "normal":
            region = _normal_region(film, normal_radii, rng)
            found = [] if region is None else [(region, "normal", "NORM")]
        for region, label, kind in found:
            if not leaves_film(region, film.shape):
                pixels = square_crop(film.pixels, region)
                crops.append(
                    PaperCrop(pixels, CLASSES.index(label), annotated.patient, annotated.name, kind, region)
                )
    return crops


def _normal_region(film: Film, radii: tuple[float, ...], rng: np.random.Generator) -> Region | None:
    """A random region whose centre lies in the breast and which the border does not cut.

    Its radius is drawn from ``radii``; those that fit nowhere in the film are passed over.
    """
    mask = breast_mask(film.pixels, film.spacing)
    for radius in rng.permutation(np.asarray(radii)) if len(radii) > 1 else radii:
        half = int(np.ceil(radius))
        places = np.argwhere(mask[half : mask.shape[0] - half, half : mask.shape[1] - half])
        if len(places):
            row, column = places[rng.integers(len(places))]
            # The centre of an even window lies between two pixels.
            return Region((float(row + half) - 0.5, float(column + half) - 0.5), float(radius))
    return None
