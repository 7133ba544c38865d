"""Windows to train the scanning form on, cut from the very levels it will scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bcd_model.detector.pyramid import STRIDE, Level, Pyramid
from bcd_model.words import CLASSES, WINDOW, Laterality, Lesion

_SCALE_RANGE = 1.6
_JITTER = 0.3
_POSITIVES = 0.5
_HARD = 0.5
_GAIN = 0.2
_OFFSET = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class TrainingFilm:
    """A film with its truth and its levels, in memory.

    Attributes:
        digest: SHA-256 of pixels and truth.
        pixel_digest: ``bcd_model.digests.film_digest``.
    """

    name: str
    patient: str
    lesions: tuple[Lesion, ...]
    unlocated: bool
    pyramid: Pyramid
    digest: str = ""
    pixel_digest: str = ""
    view: str | None = None
    laterality: Laterality | None = None


Place = tuple[int, int, int, int]
"""Film, level, and the top-left pixel (row, column) of a window in that level."""


def fitting_levels(pyramid: Pyramid, lesion: Lesion) -> list[int]:
    """Return the levels at which ``lesion`` is about as large as it should be in the window.

    Within a factor of 1.6 of the level's own radius, so two or three levels; the nearest one if
    the lesion is smaller or larger than the pyramid reaches.
    """
    radius = lesion.radius * pyramid.spacing[0]
    ratio = [abs(np.log(radius / level.radius)) for level in pyramid.levels]
    fitting = [index for index, value in enumerate(ratio) if value <= np.log(_SCALE_RANGE)]
    return fitting or [int(np.argmin(ratio))]


def clear_windows(film: TrainingFilm, level: Level) -> npt.NDArray[np.intp]:
    """Return (n, 2) windows in the breast that show no lesion near their centre."""
    free = level.inside.copy()
    u, v = np.indices(free.shape)
    for lesion in film.lesions:
        at = film.pyramid.to_window(level, lesion.center)
        reach = (lesion.radius * film.pyramid.spacing[0] + level.radius / 2) / (STRIDE * level.step)
        free &= np.hypot(u - at[0], v - at[1]) > reach
    return np.argwhere(free)


class WindowSampler:
    """Draws balanced batches of windows; every draw follows from the seed and the step alone.

    Half of a batch are lesions, benign and malignant in equal parts, at the levels that fit them.
    The rest is normal tissue of *every* film, away from its lesions, at the same levels in the same
    shares: sharpness must not give the class away. Once there are hard negatives, they are half of it.
    Films with an abnormality of unknown place give nothing.
    """

    def __init__(self, films: Sequence[TrainingFilm], seed: int) -> None:
        self.films = [film for film in films if not film.unlocated]
        self.seed = seed
        self.hard: list[Place] = []
        # By class (benign, malignant): a lesion and its levels.
        self._lesions: dict[str, list[tuple[int, Lesion, list[int]]]] = {"benign": [], "malignant": []}
        levels = len(self.films[0].pyramid.levels) if self.films else 0
        shares = np.zeros(levels)
        for index, film in enumerate(self.films):
            for lesion in film.lesions:
                fitting = fitting_levels(film.pyramid, lesion)
                self._lesions[lesion.label].append((index, lesion, fitting))
                shares[fitting] += 1 / len(fitting)
        self._level_shares = shares / shares.sum()
        self.clear = [[clear_windows(film, level) for level in film.pyramid.levels] for film in self.films]

    def batch(self, step: int, size: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """Return windows (size, 48, 48) and their classes (size,) of training step ``step``."""
        rng = np.random.default_rng([self.seed, step])
        windows = np.empty((size, WINDOW, WINDOW), dtype=np.float32)
        labels = np.empty(size, dtype=np.int64)
        positives = round(size * _POSITIVES)
        for index in range(size):
            if index < positives:
                label = "malignant" if index % 2 else "benign"
                place = self._draw_lesion(label, rng)
                labels[index] = CLASSES.index(label)
            else:
                use_hard = bool(self.hard) and rng.random() < _HARD
                place = self._draw_hard(rng) if use_hard else self._draw_clear(rng)
                labels[index] = 0
            window = variant(self._cut(place), int(rng.integers(VARIANTS)))
            windows[index] = window * (1 + rng.uniform(-_GAIN, _GAIN)) + rng.uniform(-_OFFSET, _OFFSET)
        return windows, labels

    def _draw_lesion(self, label: str, rng: np.random.Generator) -> Place:
        film, lesion, fitting = self._lesions[label][rng.integers(len(self._lesions[label]))]
        level = int(rng.choice(fitting))
        pyramid = self.films[film].pyramid
        u, v = pyramid.to_window(pyramid.levels[level], lesion.center)
        # Off-centre by up to a part of the smaller of the lesion and what the level is meant for.
        radius = min(lesion.radius * pyramid.spacing[0], pyramid.levels[level].radius)
        reach = max(_JITTER * radius / pyramid.levels[level].step, STRIDE / 2)
        angle, distance = rng.uniform(0, 2 * np.pi), reach * np.sqrt(rng.random())
        row = round(u * STRIDE + distance * np.sin(angle))
        column = round(v * STRIDE + distance * np.cos(angle))
        return film, level, row, column

    def _draw_clear(self, rng: np.random.Generator) -> Place:
        while True:
            film = int(rng.integers(len(self.films)))
            level = int(rng.choice(len(self._level_shares), p=self._level_shares))
            clear = self.clear[film][level]
            if len(clear):
                row, column = clear[rng.integers(len(clear))] * STRIDE
                return film, level, int(row), int(column)

    def _draw_hard(self, rng: np.random.Generator) -> Place:
        film, level, row, column = self.hard[rng.integers(len(self.hard))]
        row += int(rng.integers(-STRIDE // 2, STRIDE // 2 + 1))
        column += int(rng.integers(-STRIDE // 2, STRIDE // 2 + 1))
        return film, level, row, column

    def _cut(self, place: Place) -> npt.NDArray[np.float32]:
        film, level, row, column = place
        pixels = self.films[film].pyramid.levels[level].pixels
        row = min(max(row, 0), pixels.shape[0] - WINDOW)
        column = min(max(column, 0), pixels.shape[1] - WINDOW)
        return pixels[row : row + WINDOW, column : column + WINDOW]


VARIANTS = 8
"""Rotations by 0, 90, 180 and 270 degrees, and the mirror image of each."""


def variant(pixels: npt.NDArray[np.float32], index: int) -> npt.NDArray[np.float32]:
    """Return variant ``index`` (0 to 7) of the last two axes; variant 0 is the crop itself."""
    turned = np.rot90(pixels, index % 4, axes=(-2, -1))
    return turned[..., ::-1] if index >= 4 else turned
