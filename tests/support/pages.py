"""Pages of text, as a unit stores its dose report beside the films."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

WORDS = ("Dose report of an examination:", "kVp 28,", "mAs 112,", "compression 9 daN,", "AGD 1.3 mGy.")


def page(*, size: int, lines: int, dark: bool, shape: tuple[int, int] = (900, 640)) -> npt.NDArray[np.uint8]:
    """A page of ``lines`` lines of text, with soft edges as fonts are drawn; black on white, or ``dark``."""
    font = ImageFont.load_default(size)
    picture = Image.new("L", shape[::-1], 255)
    draw = ImageDraw.Draw(picture)
    per_line = max(3, shape[1] // (size * 4))
    for line in range(lines):
        text = " ".join(WORDS[(line * 5 + word) % len(WORDS)] for word in range(per_line))
        draw.text((20, 20 + line * round(1.4 * size)), text, font=font, fill=0)
    pixels = np.asarray(picture)
    return 255 - pixels if dark else pixels
