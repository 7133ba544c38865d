"""Crops as the paper makes them (section III), and their 8 variants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from bcd_model.detector.breast import Mask, breast_mask, to_image
from bcd_model.training.windows import VARIANTS, variant
from bcd_model.words import CLASSES, WINDOW, AnnotatedFilm, Film, Label, Pixels, Region

_LEAST_CONTENT = 0.02


def eight_variants(pixels: Pixels) -> npt.NDArray[np.float32]:
    """Return (8, n, n): the four rotations of a square crop, then their mirror images."""
    return np.stack([variant(pixels, index) for index in range(VARIANTS)])


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Rows ``top`` to ``bottom`` and columns ``left`` to ``right`` of a picture, the last ones left out."""

    top: int
    left: int
    bottom: int
    right: int


def film_rectangle(pixels: Pixels) -> Rectangle:
    """Return where the film itself lies in a picture: all of it but the blank rows and columns at its edges.

    Mini-MIAS films are padded with 0 to 1024x1024, so that the border of the film is not that of
    the picture. A row or column is blank if less than 2 % of it is above 0: the padding has specks.
    A picture with nothing in it is its own film.
    """
    content = pixels > 0
    rows, columns = (np.flatnonzero(content.mean(axis=axis) >= _LEAST_CONTENT) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return Rectangle(0, 0, *pixels.shape)
    return Rectangle(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)


def leaves_film(region: Region, film: Rectangle) -> bool:
    """Whether the square of side 2r around ``region`` is cut by the film's border."""
    row, column = region.center
    r = region.radius
    return (
        row - r < film.top - 0.5
        or column - r < film.left - 0.5
        or row + r > film.bottom - 0.5
        or column + r > film.right - 0.5
    )


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
        name: ``mdb005-2`` for the second of a film.
        patient: the unit of a split.
        kind: the lesion's kind, "NORM" for a normal crop.
        region: what was cut, in source pixels.
    """

    pixels: Pixels
    label: int
    name: str
    patient: str
    film: str
    kind: str
    region: Region


def paper_crops(films: Iterable[AnnotatedFilm], seed: int) -> list[PaperCrop]:
    """Return the paper's crops (section III): each lesion, and one window of each normal film.

    A lesion is cut as the square of side 2r around it and resized to 48x48; crops cut by the
    film's border are left out. A normal crop is a random 48x48 window of the film whose centre
    lies in the breast, not resized: sharpness alone parts it from the others, which is why no
    scan is trained on these.
    """
    return _crops(films, (_Square(WINDOW / 2, 0.0),), np.random.default_rng(seed))


def crops_of_one_scale(films: Sequence[AnnotatedFilm], seed: int) -> list[PaperCrop]:
    """Return the paper's crops with the normal ones cut as the lesions are.

    Each normal crop takes the radius of an annotated lesion, drawn at random, and holds at least
    as large a share of breast as that lesion's: neither sharpness nor background parts the classes
    any more.
    """
    squares = []
    for annotated in films:
        if annotated.lesions:
            film = annotated.read()
            inside = film_rectangle(film.pixels)
            mask = breast_mask(film.pixels, film.spacing)
            for lesion in annotated.lesions:
                if not leaves_film(Region(lesion.center, lesion.radius), inside):
                    row, column = (round(x + 0.5) for x in lesion.center)
                    squares.append(
                        _Square(lesion.radius, float(_breast_share(mask, lesion.radius)[row, column]))
                    )
    return _crops(films, squares, np.random.default_rng(seed))


@dataclass(frozen=True, slots=True)
class _Square:
    """What a normal crop is cut like: a square of side 2r, and its least share of breast."""

    radius: float
    share: float


def _breast_share(mask: Mask, radius: float) -> npt.NDArray[np.float64]:
    """Return the share of breast in the square of half side ceil(r) around each corner between pixels.

    Of shape (rows + 1, columns + 1); nothing past the picture is breast.
    """
    half = int(np.ceil(radius))
    total = np.pad(np.pad(mask, half).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    side = 2 * half
    inside = total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
    return np.asarray(inside / side**2, dtype=np.float64)


def _crops(
    films: Iterable[AnnotatedFilm], squares: Sequence[_Square], rng: np.random.Generator
) -> list[PaperCrop]:
    crops = []
    for annotated in films:
        film = annotated.read()
        inside = film_rectangle(film.pixels)
        found: list[tuple[Region, Label, str]] = [
            (Region(each.center, each.radius), each.label, each.kind) for each in annotated.lesions
        ]
        if annotated.label == "normal":
            region = _normal_region(film, inside, squares, rng)
            found = [] if region is None else [(region, "normal", "NORM")]
        whole = [each for each in found if not leaves_film(each[0], inside)]
        for number, (region, label, kind) in enumerate(whole, start=1):
            pixels, name = square_crop(film.pixels, region), f"{annotated.name}-{number}"
            of_class = CLASSES.index(label)
            crops.append(PaperCrop(pixels, of_class, name, annotated.patient, annotated.name, kind, region))
    return crops


def _normal_region(
    film: Film, inside: Rectangle, squares: Sequence[_Square], rng: np.random.Generator
) -> Region | None:
    """A random region of the film whose centre lies in the breast and which the border does not cut.

    It is like one of ``squares``, drawn at random; those that fit nowhere are passed over.
    """
    mask = breast_mask(film.pixels, film.spacing)
    for index in rng.permutation(len(squares)):
        square = squares[int(index)]
        half = int(np.ceil(square.radius))
        rows = np.arange(mask.shape[0])[:, None]
        columns = np.arange(mask.shape[1])
        down = (rows >= inside.top + half) & (rows <= inside.bottom - half)
        across = (columns >= inside.left + half) & (columns <= inside.right - half)
        like = _breast_share(mask, square.radius)[:-1, :-1] >= square.share
        places = np.argwhere(down & across & mask & like)
        if len(places):
            row, column = places[rng.integers(len(places))]
            # The centre of an even window lies between two pixels.
            return Region((float(row) - 0.5, float(column) - 0.5), square.radius)
    return None
