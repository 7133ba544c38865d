"""Procedural mammograms with known lesions, in the form of the MIAS collection (PGM and ``Info.txt``).

For the demonstration and the tests, where no real film may be shipped; no weights are trained on them.
A phantom is an MLO: breast with skin line and pectoral muscle, fatty and fibroglandular tissue made of
1/f noise and strands (ligaments, ducts), film background and grain, with grey levels and a spectrum
like those of the MIAS films. Lesions are obvious on purpose. Each film depends on the seed and its own
number alone, so the first films are the same however many are made.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from PIL import Image, ImageDraw, ImageFont

from bcd_model.errors import UsageError
from bcd_model.words import DISCLAIMER, Laterality, Lesion, Point
from converters.atomic import write_atomically
from converters.mias.collection import INFO_FILE, MiasCollection, info_line, read_collection
from converters.mias.pgm import write_pgm

Grid: TypeAlias = npt.NDArray[np.floating[Any]]

_FULL = 1024  # pixels a side for which all lengths below are given
_SMALLEST = 128
_FIRST_WORDS = "Procedural phantom"
_KINDS = ("NORM", "SPIC", "CIRC", "CALC")
_TISSUES = ("F", "G", "D")
_DEMO = (("SPIC", "F"), ("NORM", "F"), ("CIRC", "F"), ("CALC", "G"))
"""Kind and tissue of films 1 to 4; the later ones draw theirs."""
_STRANDS = ((1.5, 0.6, 120), (2.5, 0.6, 120), (4.0, 0.7, 60), (6.0, 0.8, 60))
"""Width in pixels, brightness and number of the strands of each layer."""


@dataclass(frozen=True, slots=True, eq=False)
class _Anatomy:
    """One breast, chest wall at the left.

    Attributes:
        scale: pixels per pixel of a film of 1024 x 1024.
        wall: column of the chest wall.
        edge: column at which the film ends beyond the skin; the matrix around it is blank.
        depth: distance from the skin line in pixels, negative outside the breast.
        muscle: 0 to 1, how far a pixel belongs to the pectoral muscle.
        nipple: its place.
    """

    scale: float
    wall: int
    edge: int
    depth: Grid
    muscle: Grid
    nipple: Point


def write_phantom(
    out: Path, *, patients: int = 2, seed: int = 0, shape: tuple[int, int] = (_FULL, _FULL)
) -> MiasCollection:
    """Write two films for each patient and their ``Info.txt`` to ``out``, and read them back.

    The films of the first two patients are, in this order, a malignant spiculated mass, a normal film,
    a benign circumscribed mass and a malignant cluster of calcifications.

    Args:
        out: folder to write to; made if need be, files of the same names are replaced.
        patients: at least 1.
        seed: the same one always gives the same films.
        shape: (rows, columns) of each film, at least 128 each; everything scales with it, the pixel
            spacing that readers take for granted (0.2 mm) does not.

    Raises:
        UsageError: an argument is out of its range, or ``out`` holds a real collection.
        OutputError: a file cannot be written.
    """
    if patients < 1 or seed < 0 or min(shape) < _SMALLEST:
        raise UsageError(
            f"no phantom of {patients} patients, seed {seed}, {shape[0]} x {shape[1]} pixels",
            f"ask for 1 patient or more, a seed of 0 or more, {_SMALLEST} x {_SMALLEST} pixels or more",
        )
    _refuse_other_collection(out)
    lines = []
    for number in range(1, 2 * patients + 1):
        name = f"phantom{number:03d}"
        rng = np.random.default_rng([seed, number])
        kind, tissue = str(rng.choice(_KINDS)), str(rng.choice(_TISSUES))
        if number <= len(_DEMO):
            kind, tissue = _DEMO[number - 1]
        pixels, lesion = _film(rng, kind, tissue, "L" if number % 2 else "R", shape)
        write_pgm(out / f"{name}.pgm", pixels)
        lines.append(info_line(name, tissue, shape[0], lesion))
    text = "\n".join([f"{_FIRST_WORDS}, seed {seed}. {DISCLAIMER}", "", *lines, ""])
    write_atomically(out / INFO_FILE, text.encode())
    return read_collection(out)


def _refuse_other_collection(out: Path) -> None:
    """Raise UsageError if ``out`` has an ``Info.txt`` that is not a phantom's: it would be lost."""
    info = out / INFO_FILE
    try:
        words = info.read_bytes()[: len(_FIRST_WORDS)]
    except OSError:  # there is none, or writing will tell what is wrong
        return
    if words != _FIRST_WORDS.encode():
        raise UsageError("belongs to another collection", "choose another folder for the phantom", info)


def _film(
    rng: np.random.Generator, kind: str, tissue: str, laterality: Laterality, shape: tuple[int, int]
) -> tuple[npt.NDArray[np.uint8], Lesion | None]:
    """Pixels and lesion of one film."""
    anatomy = _anatomy(rng, shape)
    image = _tissue(rng, anatomy, tissue)
    lesion = None
    if kind != "NORM":
        draw = {"CIRC": _circumscribed_mass, "SPIC": _spiculated_mass, "CALC": _calcifications}[kind]
        low, high = (20.0, 40.0) if kind == "CALC" else (28.0, 55.0)
        radius = float(round(rng.uniform(low, high) * anatomy.scale))
        center = _place(rng, anatomy, radius)
        _add(image, draw(rng, radius, anatomy.scale), center)
        lesion = Lesion(center, radius, "benign" if kind == "CIRC" else "malignant", kind)
    pixels = _expose(rng, anatomy, image)
    if laterality == "L":  # left breasts have the chest wall at the right edge
        pixels = pixels[:, ::-1]
        if lesion is not None:
            mirrored = (lesion.center[0], shape[1] - 1 - lesion.center[1])
            lesion = Lesion(mirrored, lesion.radius, lesion.label, lesion.kind)
    return _labelled(pixels, anatomy, laterality), lesion


def _anatomy(rng: np.random.Generator, shape: tuple[int, int]) -> _Anatomy:
    """Draw a breast: where the skin, the muscle and the nipple are."""
    rows, columns = shape
    scale = min(shape) / _FULL
    wall = round(columns * rng.uniform(0.20, 0.27))
    reach = columns * rng.uniform(0.38, 0.46)  # of the skin from the wall, at the nipple
    nipple_row = rows * rng.uniform(0.56, 0.64)
    bottom = rows * rng.uniform(0.90, 0.95)
    row = np.arange(rows, dtype=np.float32)
    # Above the nipple the skin swings back to the axilla, below it closes like an ellipse.
    axilla = rng.uniform(0.36, 0.46)
    above = axilla + (1 - axilla) * (
        0.5 + 0.5 * np.cos(np.pi * np.clip((nipple_row - row) / nipple_row, 0, 1))
    )
    below = np.sqrt(np.clip(1 - ((row - nipple_row) / (bottom - nipple_row)) ** 2, 0, 1))
    skin = wall + reach * np.where(row < nipple_row, above, below)
    skin += 12 * scale * np.exp(-(((row - nipple_row) / (16 * scale)) ** 2))
    inside = np.arange(columns)[None, :] <= skin[:, None]
    depth = _distance_inside(inside)

    # The muscle: a triangle between the upper edge, the wall, and a slightly bulging line.
    muscle_width, muscle_height = columns * rng.uniform(0.16, 0.24), rows * rng.uniform(0.42, 0.58)
    across = (np.arange(columns)[None, :] - wall) / muscle_width + row[:, None] / muscle_height
    muscle = _smooth_step((1 - across + 0.03 * np.sin(3 * np.pi * across)) / 0.06)
    return _Anatomy(
        scale=scale,
        wall=wall,
        edge=min(columns, round(wall + reach + columns * rng.uniform(0.07, 0.12))),
        depth=depth,
        muscle=muscle,
        nipple=(float(nipple_row), float(wall + reach)),
    )


def _tissue(rng: np.random.Generator, anatomy: _Anatomy, tissue: str) -> Grid:
    """Grey levels of a breast without lesions, before exposure: 0 outside, about 60 to 220 inside."""
    shape, scale = anatomy.depth.shape, anatomy.scale
    row, column = _distances_to(shape, anatomy.nipple)
    clouds = _noise(rng, shape, 2.0)
    strands = _strands(rng, anatomy)
    # Gland fans out behind the nipple; its outline frays with the clouds.
    back = anatomy.nipple[1] - anatomy.wall
    fan = ((column + 0.50 * back) / (0.50 * back)) ** 2 + ((row + 0.1 * back) / (0.70 * back)) ** 2
    extent = {"F": 0.30, "G": 0.65, "D": 1.0}[tissue]
    gland = _smooth_step((extent - fan + 0.5 * clouds) / 1.4 + 0.4) * (1 - anatomy.muscle)
    gland *= _smooth_step(anatomy.depth / (70 * scale))
    amount = {"F": 34.0, "G": 44.0, "D": 56.0}[tissue]

    compressed = 1 - np.exp(-np.clip(anatomy.depth, 0, None) / (38 * scale))  # thinner near the skin
    level = 126 + 6 * clouds + 30 * strands * (1 - 0.7 * anatomy.muscle)
    level += gland * (amount + 7 * _noise(rng, shape, 1.1) + 16 * strands)
    level += (62 + 3 * clouds) * anatomy.muscle
    return np.asarray(level * compressed, dtype=np.float32)


def _expose(rng: np.random.Generator, anatomy: _Anatomy, image: Grid) -> npt.NDArray[np.uint8]:
    """Put the image on film: blur, fog, grain, clipping, and the blank matrix around the film."""
    film = _blur(np.where(anatomy.depth > 0, image, 0.0), 0.7)
    grain = rng.standard_normal(film.shape, dtype=np.float32)
    film = 8 + film + _blur(3.6 * grain, 0.6)
    # The densest film is brighter than black and the brightest tissue is not clear film.
    film = np.where(film > 190, 190 + 50 * np.tanh((film - 190) / 50), film)
    pixels = np.clip(np.rint(film), 0, 255).astype(np.uint8)
    pixels[:, : anatomy.wall] = 0
    pixels[:, anatomy.edge :] = 0
    return pixels


def _labelled(
    pixels: npt.NDArray[np.uint8], anatomy: _Anatomy, laterality: Laterality
) -> npt.NDArray[np.uint8]:
    """The film with its lead letters, which say that it is a phantom, in the lower corner at the skin."""
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    size = max(8.0, 22 * anatomy.scale)
    margin = round(8 * anatomy.scale)
    right = anatomy.edge - margin if laterality == "R" else pixels.shape[1] - anatomy.wall - margin
    ImageDraw.Draw(picture).text(
        (right, pixels.shape[0] - margin),
        f"{laterality} PHANTOM",
        fill=230,
        font=ImageFont.load_default(size),
        anchor="rs",
    )
    return np.asarray(picture, dtype=np.uint8)


def _place(rng: np.random.Generator, anatomy: _Anatomy, radius: float) -> Point:
    """A whole pixel for a lesion's centre: clear of skin, wall and muscle."""
    from_wall = np.arange(anatomy.depth.shape[1])[None, :] - anatomy.wall
    room = np.minimum(anatomy.depth - 30 * anatomy.scale, from_wall - 0.3 * radius)
    room = np.minimum(room, _distance_inside(anatomy.muscle < 0.01))
    candidates = np.argwhere(room > radius)
    if len(candidates) == 0:  # a breast too slim for it: where there is most room
        candidates = np.argwhere(room == room.max())
    row, column = candidates[rng.integers(len(candidates))]
    return float(row), float(column)


def _circumscribed_mass(rng: np.random.Generator, radius: float, scale: float) -> Grid:
    """A well-defined round or oval mass."""
    row, column = _patch(radius)
    turn, squeeze = rng.uniform(0, np.pi), rng.uniform(0.85, 1.0)
    along = row * np.cos(turn) + column * np.sin(turn)
    across = (column * np.cos(turn) - row * np.sin(turn)) / squeeze
    distance = np.hypot(along, across) / (0.9 * radius)
    dome = 1 - 0.25 * np.clip(distance, 0, 1) ** 2
    return np.asarray(62 * _smooth_step((1 - distance) / 0.3 + 0.5) * dome)


def _spiculated_mass(rng: np.random.Generator, radius: float, scale: float) -> Grid:
    """A dense irregular core with spicules that reach the annotated circle."""
    row, column = _patch(radius)
    distance, angle = np.hypot(row, column), np.arctan2(row, column)
    ragged = np.zeros_like(distance)
    for lobes in range(2, 7):
        ragged += rng.uniform(0.02, 0.06) * np.cos(lobes * angle + rng.uniform(0, 2 * np.pi))
    core = _smooth_step((0.58 + ragged - distance / radius) / 0.4 + 0.5)
    spicules = np.zeros_like(distance)
    for _ in range(int(rng.integers(14, 22))):
        off = (angle - rng.uniform(-np.pi, np.pi) + np.pi) % (2 * np.pi) - np.pi
        width = rng.uniform(1.5, 3.0) * scale + 0.02 * radius
        line = np.exp(-((distance * np.sin(off) / width) ** 2)) * (np.abs(off) < np.pi / 2)
        fading = np.clip(1.15 - distance / (radius * rng.uniform(0.95, 1.3)), 0, 1)
        spicules = np.maximum(spicules, line * fading)
    return np.asarray(np.maximum(70 * core, 55 * spicules))


def _calcifications(rng: np.random.Generator, radius: float, scale: float) -> Grid:
    """A cluster of 8 to 20 bright specks inside the annotated circle, in a faint haze."""
    row, column = _patch(radius)
    specks = 14 * _smooth_step(1.2 - np.hypot(row, column) / radius)
    for _ in range(int(rng.integers(8, 21))):
        away, turn = 0.85 * radius * np.sqrt(rng.uniform()), rng.uniform(0, 2 * np.pi)
        size = max(0.6, rng.uniform(1.0, 2.0) * scale)
        squared = (row - away * np.sin(turn)) ** 2 + (column - away * np.cos(turn)) ** 2
        specks = np.maximum(specks, rng.uniform(80, 130) * np.exp(-squared / (2 * size**2)))
    return np.asarray(specks)


def _patch(radius: float) -> tuple[Grid, Grid]:
    """Row and column offsets from a lesion's centre, over a square that holds all of the lesion."""
    half = int(np.ceil(1.5 * radius))
    offsets = np.arange(-half, half + 1, dtype=np.float32)
    return offsets[:, None], offsets[None, :]


def _add(image: Grid, patch: Grid, center: Point) -> None:
    """Add ``patch`` to ``image`` with its middle at ``center``, a whole pixel; what sticks out is cut."""
    half = patch.shape[0] // 2
    top, left = int(center[0]) - half, int(center[1]) - half
    rows = slice(max(top, 0), min(top + patch.shape[0], image.shape[0]))
    columns = slice(max(left, 0), min(left + patch.shape[1], image.shape[1]))
    image[rows, columns] += patch[
        rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
    ]


def _noise(rng: np.random.Generator, shape: tuple[int, ...], slope: float) -> Grid:
    """Gaussian noise of amplitude 1/f**slope, mean 0, standard deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :])
    frequency[0, 0] = np.inf
    # Below about 3 cycles a film the noise would be one big shadow.
    low = 3 / max(shape)
    spectrum = np.fft.rfft2(rng.standard_normal(shape, dtype=np.float32)) / np.hypot(frequency, low) ** slope
    noise = np.fft.irfft2(spectrum, s=shape)
    return np.asarray((noise - noise.mean()) / noise.std())


def _strands(rng: np.random.Generator, anatomy: _Anatomy) -> Grid:
    """Thin bright curves, as ligaments, ducts and vessels draw: most run towards the nipple."""
    rows, columns = anatomy.depth.shape
    scale = anatomy.scale
    total = np.zeros((rows, columns), dtype=np.float32)
    inside = np.argwhere(anatomy.depth[::8, ::8] > 0) * 8
    for width, weight, count in _STRANDS:
        layer = Image.new("L", (columns, rows))
        pen = ImageDraw.Draw(layer)
        for row, column in inside[rng.integers(len(inside), size=count)]:
            heading = np.arctan2(anatomy.nipple[0] - row, anatomy.nipple[1] - column) + rng.normal(0, 0.35)
            steps = int(rng.integers(6, 24))
            headings = heading + np.cumsum(rng.normal(0, 0.12, steps))
            length = 12 * scale
            along = row + length * np.cumsum(np.sin(headings)), column + length * np.cumsum(np.cos(headings))
            points = [(float(x), float(y)) for y, x in zip(*along, strict=True)]
            pen.line(points, fill=int(rng.integers(60, 256)), width=max(1, round(width * scale)))
        total += weight * _blur(np.asarray(layer, dtype=np.float32) / 255, 0.6 * width * scale)
    return total


def _blur(image: Grid, sigma: float) -> Grid:
    """Gaussian blur, sigma in pixels."""
    blurred = sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(image), max(sigma, 0.5))
    return np.asarray(sitk.GetArrayFromImage(blurred), dtype=np.float32)


def _distance_inside(mask: npt.NDArray[np.bool_]) -> Grid:
    """Distance in pixels to the mask's edge: positive inside; the image's border is no edge."""
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    distance = sitk.SignedMaurerDistanceMap(image, insideIsPositive=True, squaredDistance=False)
    return np.asarray(sitk.GetArrayFromImage(distance), dtype=np.float32)


def _distances_to(shape: tuple[int, ...], point: Point) -> tuple[Grid, Grid]:
    """Signed distances of all pixels to ``point``: along the rows' axis and the columns'."""
    return np.arange(shape[0])[:, None] - point[0], np.arange(shape[1])[None, :] - point[1]


def _smooth_step(value: Grid) -> Grid:
    """0 below 0, 1 above 1, smooth between."""
    clipped = np.clip(value, 0.0, 1.0)
    return np.asarray(clipped * clipped * (3 - 2 * clipped))
